//! Writing: Hugging Face's layout, byte for byte what was read, bounded memory, clear refusals.

use std::fs;
use std::io::Write;
use std::path::Path;

use engine::weights::{Checkpoint, FileDtype, Planned, ShardPlan, WrittenFile, open_file};

use super::contents;

fn planned(name: &str, dtype: FileDtype, shape: &[usize]) -> Planned {
    Planned { name: name.to_owned(), dtype, shape: shape.to_vec() }
}

/// Writes a copy of a checkpoint into an empty folder.
fn copy(source: &Checkpoint, folder: &Path, limit: u64) -> Vec<WrittenFile> {
    let tensors = source.names().map(|name| {
        let info = source.info(name).unwrap();
        planned(name, info.dtype, info.shape)
    });
    let plan = ShardPlan::new("model", tensors.collect(), limit).unwrap();
    let written = plan.write(folder, |tensor, sink| sink.put_stored(source, &tensor.name)).unwrap();
    assert_eq!(written.iter().map(|file| file.bytes).sum::<u64>(), plan.total_bytes());
    written
}

fn source() -> Checkpoint {
    open_file(&super::fixtures().join("pickle/plain.safetensors")).unwrap()
}

#[test]
fn a_copy_holds_the_same_bytes_whatever_the_shards() {
    let source = source();
    for (limit, files) in [(u64::MAX, 1), (100, 2), (1, source.names().count())] {
        let folder = tempfile::tempdir().unwrap();
        let written = copy(&source, folder.path(), limit);
        let copied = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(contents(&copied), contents(&source), "limit {limit}");
        let weights = written.iter().filter(|file| file.name.ends_with(".safetensors")).count();
        // An empty tensor fits into any file.
        assert!(weights == files || limit == 1, "limit {limit}: {written:?}");
        for file in &written {
            assert_eq!(fs::metadata(folder.path().join(&file.name)).unwrap().len(), file.bytes);
            if file.name.ends_with(".safetensors") {
                let bytes = fs::read(folder.path().join(&file.name)).unwrap();
                let (_, metadata) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
                assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
            }
        }
    }
}

#[test]
fn shards_have_the_names_and_index_of_hugging_face() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = ["a", "b", "c"].map(|name| planned(name, FileDtype::F32, &[2]));
    let plan = ShardPlan::new("model", tensors.to_vec(), 16).unwrap();
    let written = plan.write(folder.path(), |_, sink| sink.put_f32(&[1.0, 2.0])).unwrap();
    let names: Vec<&str> = written.iter().map(|file| file.name.as_str()).collect();
    let wanted = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    assert_eq!(names, wanted);
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join(wanted[2])).unwrap()).unwrap();
    let wanted = serde_json::json!({
        "metadata": { "total_size": 24 },
        "weight_map": { "a": wanted[0], "b": wanted[0], "c": wanted[1] },
    });
    assert_eq!(index, wanted);
}

#[test]
fn every_tensor_is_aligned() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = vec![
        planned("mask", FileDtype::Bool, &[3]),
        planned("half", FileDtype::BF16, &[5]),
        planned("single", FileDtype::F32, &[3]),
        planned("long", FileDtype::I64, &[1]),
    ];
    let plan = ShardPlan::new("model", tensors, u64::MAX).unwrap();
    let zeros = |tensor: &Planned| vec![0; tensor.shape[0] * tensor.dtype.size()];
    plan.write(folder.path(), |tensor, sink| sink.put(&zeros(tensor))).unwrap();
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let (header, metadata) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    for tensor in plan.tensors() {
        let begin = 8 + header + metadata.info(&tensor.name).unwrap().data_offsets.0;
        assert!(begin.is_multiple_of(tensor.dtype.size()), "{tensor:?} at {begin}");
    }
}

#[test]
fn pieces_and_writers_serve_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let plan =
        ShardPlan::new("adapter_model", vec![planned("w", FileDtype::F32, &[2, 2])], u64::MAX).unwrap();
    let written = plan.write(folder.path(), |_, sink| {
        sink.put_f32(&[1.0])?;
        sink.write_all(bytemuck_bytes(&[2.0, 3.0])).unwrap();
        sink.put(bytemuck_bytes(&[4.0]))
    });
    assert_eq!(written.unwrap()[0].name, "adapter_model.safetensors");
    let back = open_file(&folder.path().join("adapter_model.safetensors")).unwrap();
    assert_eq!(back.read_f32("w").unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

fn bytemuck_bytes(numbers: &[f32]) -> &[u8] {
    bytemuck::cast_slice(numbers)
}

#[test]
fn conversion_rounds_and_refuses_overflow_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |name: &str, dtype| ShardPlan::new(name, vec![planned("w", dtype, &[3])], u64::MAX).unwrap();
    let numbers = [1.0f32, 1.0 + 3.0 / 256.0, -7e4];
    plan("wide", FileDtype::F32).write(folder.path(), |_, sink| sink.put_f32(&numbers)).unwrap();
    let wide = open_file(&folder.path().join("wide.safetensors")).unwrap();
    plan("bf16", FileDtype::BF16).write(folder.path(), |_, sink| sink.put_stored(&wide, "w")).unwrap();
    let bf16 = open_file(&folder.path().join("bf16.safetensors")).unwrap();
    assert_eq!(bf16.read_f32("w").unwrap(), [1.0, 1.015625, -70144.0]);
    let error =
        plan("f16", FileDtype::F16).write(folder.path(), |_, sink| sink.put_stored(&wide, "w")).unwrap_err();
    assert!(error.what.en.contains("-70000 (element 2 of w) is outside the range of F16"), "{error}");
    let error =
        plan("int", FileDtype::I32).write(folder.path(), |_, sink| sink.put_stored(&wide, "w")).unwrap_err();
    assert!(error.what.en.contains("cannot be converted from F32 to I32"), "{error}");
}

#[test]
fn a_tensor_of_another_length_is_an_error() {
    for given in [1, 3] {
        let folder = tempfile::tempdir().unwrap();
        let plan = ShardPlan::new("model", vec![planned("w", FileDtype::F32, &[2])], u64::MAX).unwrap();
        let error = plan.write(folder.path(), |_, sink| sink.put_f32(&vec![0.0; given])).unwrap_err();
        assert!(error.what.en.contains("not written as planned"), "{error}");
    }
}

#[test]
fn plans_and_places_are_checked() {
    let one = planned("w", FileDtype::F32, &[1]);
    assert!(ShardPlan::new("model", vec![one.clone(), one.clone()], u64::MAX).is_err());
    assert!(ShardPlan::new("model", vec![planned("__metadata__", FileDtype::F32, &[1])], u64::MAX).is_err());
    assert!(ShardPlan::new("model", vec![planned("w", FileDtype::F32, &[usize::MAX, 2])], u64::MAX).is_err());
    let folder = tempfile::tempdir().unwrap();
    let plan = ShardPlan::new("model", vec![one], u64::MAX).unwrap();
    plan.write(folder.path(), |_, sink| sink.put_f32(&[0.0])).unwrap();
    assert!(
        plan.write(folder.path(), |_, sink| sink.put_f32(&[0.0])).is_err(),
        "an older file was overwritten"
    );
    let plan = ShardPlan::new("model", vec![planned("w", FileDtype::F32, &[1 << 50])], u64::MAX).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = plan.write(folder.path(), |_, _| Ok(())).unwrap_err();
    assert!(cfg!(not(unix)) || error.what.en.contains("Not enough disk space"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

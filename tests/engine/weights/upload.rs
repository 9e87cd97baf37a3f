//! Stored tensors on the CPU device: right in every format, without copies where the file allows it.

use std::path::Path;
use std::process::Command;

use burn::tensor::{DType, Device, Tensor};
use engine::weights::{Checkpoint, FileDtype, Planned, ShardPlan, load_tensor, open_file};

use super::{Written, safetensors};

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.cast(burn::tensor::FloatDType::F32).into_data().try_to_vec().unwrap()
}

/// `w` = [[1, -2, 3], [0.5, 65504, -0]] in a file format, `shift` bytes further than aligned.
fn file(dtype: FileDtype, shift: usize) -> Written {
    let values = [1.0, -2.0, 3.0, 0.5, 65504.0, -0.0];
    let mut data = vec![0; 6 * dtype.size()];
    // 65504 rounds to 65536 in bf16, which f16 cannot hold: see the test of overflow.
    engine::weights::encode_f32(&values, &mut data, dtype).unwrap();
    let end = data.len();
    let mut header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":[2,3],"data_offsets":[0,{end}]}}}}"#);
    while !(8 + header.len()).is_multiple_of(8) {
        header.push(' ');
    }
    header.push_str(&" ".repeat(shift));
    Written::new("model.safetensors", &safetensors(&header, &data))
}

#[test]
fn every_format_loads_as_every_other_aligned_or_not() {
    for from in [FileDtype::F32, FileDtype::F16, FileDtype::BF16, FileDtype::F64] {
        for to in [DType::F32, DType::BF16, DType::F16] {
            for shift in [0, 1, 2, 3, 4] {
                let file = file(from, shift);
                let checkpoint = file.open().unwrap();
                let loaded = load_tensor::<2>(&checkpoint, "w", &Device::flex(), to);
                if from == FileDtype::BF16 && to == DType::F16 {
                    let error = loaded.unwrap_err();
                    assert!(error.what.en.contains("65536 (element 4 of w)"), "{error}");
                    continue;
                }
                let loaded = loaded.unwrap();
                assert_eq!((loaded.dtype(), loaded.dims()), (to, [2, 3]));
                let rounded = from == FileDtype::BF16 || to == DType::BF16;
                let large = if rounded { 65536.0 } else { 65504.0 };
                assert_eq!(
                    numbers(loaded),
                    [1.0, -2.0, 3.0, 0.5, large, -0.0],
                    "{from} as {to:?}, shift {shift}"
                );
            }
        }
    }
}

#[test]
fn a_loaded_tensor_computes_and_is_never_written_through() {
    let file = file(FileDtype::F32, 0);
    let before = std::fs::read(file.path()).unwrap();
    let checkpoint = file.open().unwrap();
    let loaded = load_tensor::<2>(&checkpoint, "w", &Device::flex(), DType::F32).unwrap();
    let kept = loaded.clone();
    // Each of these may work in place on a tensor that nobody else holds.
    let changed = (loaded + 1.0).mul_scalar(2.0).exp().log();
    assert_eq!(numbers(changed.slice([0..1, 0..1])), [4.0]);
    let alone = load_tensor::<2>(&checkpoint, "w", &Device::flex(), DType::F32).unwrap();
    let alone = alone.slice_assign([0..1, 0..1], Tensor::from_data([[9.0]], &Device::flex()));
    assert_eq!(numbers(alone)[..2], [9.0, -2.0]);
    assert_eq!(numbers(kept)[..2], [1.0, -2.0]);
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
    assert_eq!(checkpoint.read_f32("w").unwrap()[0], 1.0);
}

#[test]
fn a_loaded_tensor_outlives_the_checkpoint_and_the_name() {
    let loaded = {
        let file = file(FileDtype::BF16, 0);
        load_tensor::<2>(&file.open().unwrap(), "w", &Device::flex(), DType::BF16).unwrap()
    };
    assert_eq!(numbers(loaded)[..3], [1.0, -2.0, 3.0]);
}

#[test]
fn strided_and_empty_tensors_load() {
    let views = open_file(&super::fixtures().join("pickle/views.bin")).unwrap();
    let wanted = open_file(&super::fixtures().join("pickle/views.safetensors")).unwrap();
    let loaded = load_tensor::<2>(&views, "transposed", &Device::flex(), DType::F32).unwrap();
    assert_eq!(numbers(loaded), wanted.read_f32("transposed").unwrap());
    let plain = open_file(&super::fixtures().join("pickle/plain.bin")).unwrap();
    assert_eq!(load_tensor::<2>(&plain, "empty", &Device::flex(), DType::F32).unwrap().dims(), [0, 4]);
}

#[test]
fn wrong_wishes_are_errors() {
    let plain = open_file(&super::fixtures().join("pickle/plain.bin")).unwrap();
    let device = Device::flex();
    assert!(
        load_tensor::<1>(&plain, "f32", &device, DType::F32).unwrap_err().what.en.contains("2 dimensions")
    );
    assert!(load_tensor::<1>(&plain, "i64", &device, DType::F32).unwrap_err().what.en.contains("not floats"));
    assert!(
        load_tensor::<1>(&plain, "absent", &device, DType::F32).unwrap_err().what.en.contains("no tensor")
    );
    assert!(load_tensor::<2>(&plain, "f32", &device, DType::I64).is_err());
}

// --- memory ---------------------------------------------------------------------------------------------

const MIB: usize = 1 << 20;

fn child_folder() -> Option<std::path::PathBuf> {
    std::env::var_os("EMBERWRIGHT_TEST_FOLDER").map(Into::into)
}

/// Memory of this process that is not backed by a file, at most so far and now, in MiB.
fn own_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Eight tensors of 32 MiB.
fn large(folder: &Path, dtype: FileDtype) -> Checkpoint {
    let tensors = (0..8).map(|index| {
        let shape = vec![8 * MIB * 4 / dtype.size() / 1024, 1024];
        Planned { name: format!("w{index}"), dtype, shape }
    });
    let plan = ShardPlan::new("model", tensors.collect(), 100 * MIB as u64).unwrap();
    let piece = vec![1u8; MIB];
    plan.write(folder, |_, sink| (0..32).try_for_each(|_| sink.put(&piece))).unwrap();
    Checkpoint::open(folder).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the child of memory_stays_bounded"]
fn load_and_copy_large_files() {
    let Some(folder) = child_folder() else { return };
    let names: Vec<String> = (0..8).map(|index| format!("w{index}")).collect();
    let f32 = folder.join("f32");
    std::fs::create_dir(&f32).unwrap();
    let checkpoint = large(&f32, FileDtype::F32);
    let before = own_memory();
    let load = |dtype| -> Vec<Tensor<2>> {
        names.iter().map(|name| load_tensor(&checkpoint, name, &Device::flex(), dtype).unwrap()).collect()
    };
    let shared = load(DType::F32);
    let sum: f32 =
        shared.iter().map(|tensor| tensor.clone().slice([0..1, 0..1]).sum().into_scalar::<f32>()).sum();
    assert!(sum.is_finite());
    let as_stored = own_memory() - before;
    let halves = load(DType::BF16);
    let converted = own_memory() - before;
    drop(halves);
    // An export: all tensors to another format, and all as they are.
    let peak_before = own_memory();
    for (name, dtype) in [("same", FileDtype::F32), ("half", FileDtype::BF16)] {
        let out = folder.join(name);
        std::fs::create_dir(&out).unwrap();
        let tensors = checkpoint.names().map(|name| {
            let shape = checkpoint.info(name).unwrap().shape.to_vec();
            Planned { name: name.to_owned(), dtype, shape }
        });
        let plan = ShardPlan::new("model", tensors.collect(), u64::MAX).unwrap();
        let mut most = 0;
        plan.write(&out, |tensor, sink| {
            sink.put_stored(&checkpoint, &tensor.name)?;
            most = most.max(own_memory().saturating_sub(peak_before));
            Ok(())
        })
        .unwrap();
        assert!(most < 16, "the export of 256 MiB took {most} MiB");
    }
    let same = Checkpoint::open(&folder.join("same")).unwrap();
    assert!(names.iter().all(|name| same.bytes(name).unwrap() == checkpoint.bytes(name).unwrap()));
    let report =
        format!("256 MiB in f32: {as_stored} MiB loaded as stored, {converted} MiB with a bf16 copy");
    assert!(as_stored < 16, "{report}");
    assert!((120..160).contains(&converted), "{report}");
    std::fs::write(folder.join("done"), report).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "weights::upload::load_and_copy_large_files", "--include-ignored", "--nocapture"])
        .env("EMBERWRIGHT_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", std::fs::read_to_string(folder.path().join("done")).unwrap());
}

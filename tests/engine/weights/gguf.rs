//! GGUF: formats of numbers against the `gguf` package, and models there and back.

use std::path::Path;

use engine::models::{FAMILIES, Model, ModelFolder};
use engine::weights::gguf::arch;
use engine::weights::{Checkpoint, open_file, read_f32};
use protocol::ExportRequest;
use serde_json::Map;

use super::{Written, fixtures};
use crate::common;
use crate::exports::{model_ref, request, write};
use crate::families::made::{Container, Made, load, logits};
use crate::golden::{distance, floats};

#[test]
fn every_format_is_dequantised_as_the_package_does() {
    let folder = fixtures().join("gguf");
    let expected = open_file(&folder.join("kinds.safetensors")).unwrap();
    let read = Checkpoint::open(&folder.join("kinds.gguf")).unwrap();
    assert_eq!(expected.names().count(), 7);
    for name in expected.names() {
        let info = read.info(name).unwrap();
        assert_eq!(info.stored_as.to_lowercase(), name.trim_start_matches("kind."));
        assert_eq!(info.shape, [3, 512]);
        assert_eq!(read.read_f32(name).unwrap(), expected.read_f32(name).unwrap(), "{name}");
    }
    assert_eq!(read.parameters(), 7 * 3 * 512);
    assert!(read.total_bytes() < 7 * 3 * 512 * 3, "quantised tensors count as they lie in the file");
}

#[test]
fn a_format_that_is_not_read_is_refused_by_name() {
    let err = Checkpoint::open(&fixtures().join("gguf/refused.gguf")).unwrap_err();
    assert!(err.what.en.contains("Q5_0"), "{err:?}");
    assert!(err.mend.is_some());
}

#[test]
fn an_architecture_that_is_not_known_is_refused_by_name() {
    let mut metadata = data::gguf::Metadata::default();
    metadata.insert("general.architecture", data::gguf::Value::Text("rwkv7".into()));
    let file = Written::new("model.gguf", &data::gguf::encode(&metadata, &[]));
    let err = Checkpoint::open(&file.path()).unwrap_err();
    assert!(err.what.en.contains("rwkv7"), "{err:?}");
}

/// To `out`, with the numbers as `dtype`.
fn to(model: &Path, adapters: &[&Path], target: &str, dtype: &str, out: &Path) -> ExportRequest {
    ExportRequest { dtype: dtype.into(), ..request(model_ref(model, adapters), target, out.into()) }
}

/// Every parameter of both, bit by bit, or within `tolerance`.
#[track_caller]
fn same_parameters(one: &Model, other: &Model, tolerance: f64) {
    assert_eq!(one.params.iter().count(), other.params.iter().count());
    for (id, param) in one.params.iter() {
        let (a, b) = (read_f32(&param.value).unwrap(), read_f32(&other.params.get(id).value).unwrap());
        let far = distance(&a, &b);
        assert!(far <= tolerance, "{} differs by {far}", param.name);
    }
}

#[test]
fn golden_models_are_the_same_after_gguf() {
    let ids: Vec<u32> = (0..20).map(|n| (n * 37 + 11) % 200).collect();
    let mut missing = 0;
    for case in [
        "llama-gqa-llama3",
        "llama-bf16-sharded",
        "gpt2-base",
        "llama-mha-untied",
        "llama-bias",
        "llama-rope-linear",
    ] {
        let Some(dir) = common::golden(case) else {
            missing += 1;
            continue;
        };
        let dir = dir.join("model");
        let live = load(&dir);
        let out = tempfile::tempdir().unwrap();
        for dtype in ["f32", "bf16", "f16", "q8_0", "keep"] {
            let written = out.path().join(dtype);
            let report = write(&to(&dir, &[], "gguf", dtype, &written)).unwrap();
            assert!(report.verify.unwrap().passed, "{case} {dtype}");
            let exact = dtype == "f32" || dtype == "keep";
            if exact {
                let back = load(&written);
                same_parameters(&live, &back, 0.0);
                let far = distance(&logits(&live, &ids, None), &logits(&back, &ids, None));
                assert!(far <= 2e-5, "{case}: logits differ by {far}");
            }
        }
    }
    common::skipped(missing, "golden models");
}

#[test]
fn what_llama_cpp_does_otherwise_is_refused_with_its_name() {
    let dir = common::golden("gpt2-hubnames").unwrap().join("model");
    let out = tempfile::tempdir().unwrap();
    let err = write(&to(&dir, &[], "gguf", "f32", &out.path().join("gguf"))).unwrap_err();
    assert!(err.details[0].contains("scale_attn_by_inverse_layer_idx"), "{err:?}");
    assert!(!out.path().join("gguf").exists());
    let err = write(&to(&dir, &[], "merged", "q8_0", &out.path().join("merged"))).unwrap_err();
    assert!(err.what.en.contains("`merged` cannot store numbers as q8_0"), "{err:?}");
}

#[test]
fn a_merged_adapter_is_in_the_file() {
    let (Some(case), Some(base)) = (common::golden("method-lora-all"), common::golden("llama-gqa-llama3"))
    else {
        return common::skipped(1, "golden adapters");
    };
    let adapter = case.join("final");
    let train = crate::golden::json(&case.join("train.json"));
    assert_eq!(train["base"], "llama-gqa-llama3");
    let out = tempfile::tempdir().unwrap();
    let base = base.join("model");
    for (target, name) in [("gguf", "one"), ("merged", "other")] {
        let request = to(&base, &[&adapter], target, "f32", &out.path().join(name));
        assert!(write(&request).unwrap().verify.unwrap().passed);
    }
    same_parameters(&load(&out.path().join("one")), &load(&out.path().join("other")), 0.0);
}

#[test]
fn from_gguf_to_a_folder_and_from_there_to_the_same() {
    let dir = common::golden("llama-gqa-llama3").unwrap().join("model");
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name);
    write(&to(&dir, &[], "gguf", "f32", &path("gguf"))).unwrap();
    let file = path("gguf/model-f32.gguf");
    write(&to(&file, &[], "merged", "keep", &path("folder"))).unwrap();
    same_parameters(&load(&dir), &load(&path("folder")), 0.0);
    let (old, new) = (data::Tokenizer::open(&dir).unwrap(), data::Tokenizer::open(&path("folder")).unwrap());
    let text = "a river of stone, 12 of them";
    assert_eq!(old.encode(text, true).unwrap(), new.encode(text, true).unwrap());
    // Tokens that are known to end answers stop the model, too.
    assert!(old.stop_ids().is_subset(new.stop_ids()));
    assert_eq!(old.chat_templates()[0].source, new.chat_templates()[0].source);
    // And once more: what the file says of the model survives.
    write(&to(&path("folder"), &[], "gguf", "q8_0", &path("again"))).unwrap();
    write(&to(&file, &[], "gguf", "q8_0", &path("direct"))).unwrap();
    let bytes = |name: &str| std::fs::read(path(name).join("model-q8_0.gguf")).unwrap();
    let head = |bytes: &[u8]| data::gguf::parse(bytes, bytes.len() as u64).unwrap();
    let (again, direct) = (bytes("again"), bytes("direct"));
    let tensors = |bytes: &[u8]| {
        let mut tensors: Vec<_> = head(bytes)
            .tensors
            .into_iter()
            .map(|t| (t.name, bytes[t.start as usize..][..t.bytes as usize].to_vec()))
            .collect();
        tensors.sort();
        tensors
    };
    assert_eq!(tensors(&again), tensors(&direct));
}

#[test]
fn every_family_with_a_layout_is_written_and_read_back_and_others_are_refused() {
    let ids = [10, 5, 6, 11, 90, 91, 7];
    let mut written = Vec::new();
    for family in FAMILIES {
        let made = Made::new(family, Container::Safetensors);
        // Words as tokens are nothing that GGUF has.
        std::fs::remove_file(made.path().join("tokenizer.json")).unwrap();
        let out = made.path().join("gguf");
        let done = write(&ExportRequest { verify: false, ..to(made.path(), &[], "gguf", "f32", &out) });
        if arch::of_family(family.id).next().is_none() {
            let err = done.unwrap_err();
            assert!(err.what.en.contains("cannot be written as GGUF"), "{}: {err:?}", family.id);
            continue;
        }
        if family.id == "baichuan" {
            // The very small one has ALiBi, which llama.cpp tells by 40 blocks.
            assert!(done.unwrap_err().details[0].contains("ALiBi with 2 blocks"));
            continue;
        }
        let report = done.unwrap_or_else(|err| panic!("{}: {err:?}", family.id));
        let (live, back) = (made.load(), load(&out));
        // Gains with 1 added lose what is below the last bit of 1.
        same_parameters(&live, &back, 2e-7);
        // Within the shortest window of the very small models, which some layouts cannot say.
        let far = distance(&logits(&live, &ids, None), &logits(&back, &ids, None));
        assert!(far <= 2e-5, "{}: logits differ by {far}", family.id);
        assert!(report.notes.iter().any(|note| note.en.contains("no tokenizer")));
        written.push(family.id);
    }
    println!("written as GGUF and read back: {}", written.join(", "));
    assert!(written.contains(&"llama") && written.contains(&"gpt2"));
}

#[test]
fn files_that_lie_are_refused_without_a_panic() {
    let dir = common::golden("llama-gqa-llama3").unwrap().join("model");
    let out = tempfile::tempdir().unwrap();
    write(&to(&dir, &[], "gguf", "q8_0", &out.path().join("gguf"))).unwrap();
    let bytes = std::fs::read(out.path().join("gguf/model-q8_0.gguf")).unwrap();
    let file = Written::new("model.gguf", &bytes);
    let open = || ModelFolder::open(&file.path(), &Map::new()).map(drop);
    open().unwrap();
    let end = data::gguf::parse(&bytes[..], bytes.len() as u64).unwrap().tensors[0].start as usize;
    for at in (0..end).step_by(61) {
        let mut changed = bytes.clone();
        changed[at] ^= 0xFF;
        file.replace(&changed);
        if open().is_ok() {
            drop(data::Tokenizer::open(&file.path()));
        }
    }
    for length in [0, 3, 4, 24, end / 2, end, bytes.len() - 1] {
        file.replace(&bytes[..length]);
        assert!(open().is_err(), "{length} bytes");
    }
}

/// Queries, keys and values in one matrix become three, and one again.
#[test]
fn baichuan_is_taken_apart_and_put_together() {
    let family = FAMILIES.iter().find(|family| family.id == "baichuan").unwrap();
    for head in ["", r#", "z_loss_weight": 0"#] {
        let made = Made::of(
            family,
            &format!(
                r#"{{ "model_type": "baichuan", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 48,
                "num_hidden_layers": 2, "num_attention_heads": 6, "max_position_embeddings": 64{head} }}"#
            ),
            Container::Safetensors,
        );
        std::fs::remove_file(made.path().join("tokenizer.json")).unwrap();
        let out = made.path().join("gguf");
        write(&ExportRequest { verify: false, ..to(made.path(), &[], "gguf", "f32", &out) }).unwrap();
        let (live, back) = (made.load(), load(&out));
        if head.is_empty() {
            same_parameters(&live, &back, 0.0);
        }
        let ids = [10, 5, 6, 11, 90, 91, 7];
        let far = distance(&logits(&live, &ids, None), &logits(&back, &ids, None));
        assert!(far <= 2e-5, "logits differ by {far}");
    }
}

/// The golden numbers of ChatGLM's quantisation: 8 bits, and 4 bits with two columns a byte.
#[test]
fn weights_of_quantised_chatglm_checkpoints_unfold() {
    let eight =
        (8, vec![2usize, 4], vec![64i8, -127, 32, 95, 64, -3, 10, -127], [0.007_874_016f32, 0.031_496_063]);
    let pack = |even: i8, odd: i8| ((even << 4) | (odd & 15)) as u8 as i8;
    let four =
        (4, vec![2, 2], vec![pack(3, -7), pack(2, 5), pack(3, 0), pack(1, -7)], [0.142_857_15, 0.571_428_6]);
    let wanted = [
        [0.503_937, -1.0, 0.251_968_5, 0.748_031_5, 2.015_748, -0.094_488_19, 0.314_960_6, -4.0],
        [0.428_571_43, -1.0, 0.285_714_3, 0.714_285_75, 1.714_285_8, 0.0, 0.571_428_6, -4.0],
    ];
    for ((bits, shape, numbers, scales), wanted) in [eight, four].into_iter().zip(wanted) {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(r#"{{"quantization_bit": {bits}}}"#);
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let data: Vec<u8> =
            numbers.iter().map(|n| *n as u8).chain(scales.iter().flat_map(|s| s.to_le_bytes())).collect();
        let count = numbers.len();
        let header = format!(
            r#"{{"m.weight":{{"dtype":"I8","shape":{shape:?},"data_offsets":[0,{count}]}},"m.weight_scale":{{"dtype":"F32","shape":[2],"data_offsets":[{count},{}]}}}}"#,
            count + 8
        );
        std::fs::write(folder.path().join("model.safetensors"), super::safetensors(&header, &data)).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["m.weight"]);
        assert_eq!(checkpoint.info("m.weight").unwrap().shape, [2, 4]);
        let read = checkpoint.read_f32("m.weight").unwrap();
        assert!(distance(&read, &wanted) < 1e-6, "{bits} bits: {read:?}");
    }
}

#[test]
fn scales_that_do_not_fit_are_refused() {
    let open = |header: &str, bytes: usize| {
        let folder = tempfile::tempdir().unwrap();
        let data = vec![0; bytes];
        std::fs::write(folder.path().join("model.safetensors"), super::safetensors(header, &data)).unwrap();
        Checkpoint::open(folder.path()).map(drop)
    };
    let alone = r#"{"m.weight_scale":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(open(alone, 8).unwrap_err().what.en.contains("without m.weight"));
    let short = r#"{"m.weight":{"dtype":"I8","shape":[3,2],"data_offsets":[0,6]},"m.weight_scale":{"dtype":"F16","shape":[2],"data_offsets":[6,10]}}"#;
    assert!(open(short, 10).unwrap_err().what.en.contains("do not fit"));
}

#[test]
fn golden_logits_hold_through_gguf() {
    let dir = common::golden("gpt2-base").unwrap();
    let out = tempfile::tempdir().unwrap();
    let written = out.path().join("gguf");
    write(&to(&dir.join("model"), &[], "gguf", "f32", &written)).unwrap();
    let expected = dir.join("expected.safetensors");
    let ids = crate::golden::integers(&expected, "input_ids");
    let row: Vec<u32> = ids[..24].iter().map(|id| *id as u32).collect();
    let got = logits(&load(&written), &row, None);
    assert!(distance(&got, &floats(&expected, "logits")[..got.len()]) < 1e-4);
}

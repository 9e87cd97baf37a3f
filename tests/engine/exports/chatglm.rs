//! Prefixes in the layout of ChatGLM's own programs.

use std::path::{Path, PathBuf};

use engine::export::target_of;
use engine::methods::{self, Attach, adapter_bytes, load_adapter};
use engine::models::FAMILIES;
use engine::weights::open_file;
use protocol::config::MethodConfig;
use protocol::{ExportReport, UserError};
use serde_json::{Value as Json, json};

use super::{model_ref, request, write};
use crate::families::ROW;
use crate::families::made::{Container, Made, logits};
use crate::{common, golden};

/// A tiny model with an adapter folder beside it, written as [`engine::methods::Adapter::save`] does.
struct Tuned {
    made: Made,
    adapter: PathBuf,
}

impl Tuned {
    fn new(family: &str, method: &str, params: &Json) -> Self {
        let family = FAMILIES.iter().find(|it| it.id == family).unwrap();
        let made = Made::new(family, Container::Safetensors);
        let mut model = made.load();
        let params = params.as_object().unwrap().clone();
        let config = MethodConfig { kind: method.into(), params, ..MethodConfig::default() };
        let context = Attach { seed: 5, learning_rate: 1.0 };
        let adapter = made.path().join("adapter");
        std::fs::create_dir(&adapter).unwrap();
        methods::attach(&mut model, &config, &context).unwrap().unwrap().save(&adapter, "base").unwrap();
        Self { made, adapter }
    }

    fn export(&self) -> Result<ExportReport, UserError> {
        let model = model_ref(self.made.path(), &[&self.adapter]);
        write(&request(model, "chatglm", self.made.path().join("out")))
    }

    fn logits(&self, adapter: &Path) -> Vec<f32> {
        let model = self.made.load();
        let adapter = load_adapter(adapter, &model).unwrap();
        logits(&model, &ROW, Some(adapter.view()))
    }
}

/// Names and shapes of a checkpoint's tensors, by name, without what all names begin with.
fn tensors(dir: &Path) -> Vec<(String, Vec<usize>)> {
    let file = open_file(&dir.join("pytorch_model.bin")).unwrap();
    let tensor = |name: &str| {
        let short = name.strip_prefix("transformer.prefix_encoder.").unwrap();
        (short.to_owned(), file.info(name).unwrap().shape.to_vec())
    };
    file.names().map(tensor).collect()
}

/// What THUDM's `PrefixEncoder` declares: 32 hidden, keys and values of 2 blocks, `width` numbers a token.
fn declared(width: usize, embedding: usize, projected: bool) -> Vec<(String, Vec<usize>)> {
    let all = [
        ("embedding.weight", vec![5, embedding]),
        ("trans.0.weight", vec![32, embedding]),
        ("trans.0.bias", vec![32]),
        ("trans.2.weight", vec![width, 32]),
        ("trans.2.bias", vec![width]),
    ];
    let taken = all.into_iter().take(if projected { 5 } else { 1 });
    let mut named: Vec<_> = taken.map(|(name, shape)| (name.to_owned(), shape)).collect();
    named.sort();
    named
}

#[test]
fn a_prefix_is_written_as_chatglm_has_it_and_read_bit_for_bit() {
    // 2 · 2 blocks · (4 or 2 key heads) · 8.
    for (family, width, embedding) in [("chatglm-6b", 128, 32), ("chatglm", 64, 64)] {
        for method in ["p-tuning-v2", "prefix"] {
            for (params, projected) in [
                (json!({ "tokens": 5 }), false),
                (json!({ "tokens": 5, "projection": true }), true),
                (json!({ "tokens": 5, "projection": true, "projection_width": 7 }), false),
            ] {
                let tuned = Tuned::new(family, method, &params);
                // PEFT's embedding is as wide as the keys of one block: ChatGLM2 has another.
                let projected = projected && (method == "p-tuning-v2" || family == "chatglm-6b");
                let case = format!("{method} on {family} with {params}");
                let report = tuned.export().unwrap_or_else(|err| panic!("{case}: {err:?}"));
                assert!(report.verify.as_ref().unwrap().passed, "{case}");
                assert_eq!(report.files, ["pytorch_model.bin", "config.json", "README.md"], "{case}");
                assert_eq!(std::fs::read_dir(&report.dir).unwrap().count(), 3, "{case}");
                let wide = if projected { embedding } else { width };
                assert_eq!(tensors(&report.dir), declared(width, wide, projected), "{case}");
                let config = golden::json(&report.dir.join("config.json"));
                assert_eq!(
                    (&config["pre_seq_len"], &config["prefix_projection"]),
                    (&json!(5), &json!(projected))
                );
                assert_eq!(config["model_type"], "chatglm");
                let lost = params.get("projection").is_some() && !projected;
                assert_eq!(report.notes.iter().any(|note| note.en.contains("projection")), lost, "{case}");
                assert!(tuned.logits(&report.dir) == tuned.logits(&tuned.adapter), "{case}: other logits");
            }
        }
    }
}

/// Both ways: a checkpoint of ChatGLM's own code comes out as it was, and becomes a folder of PEFT's.
#[test]
fn a_checkpoint_of_the_reference_code_comes_out_as_it_was() {
    let mut missing = 0;
    for (case, base) in [
        ("chatglm-6b-v1", "chatglm-6b-v1"),
        ("projection-chatglm-6b-v1", "chatglm-6b-v1"),
        ("chatglm2", "chatglm2-6b"),
        ("projection-chatglm2", "chatglm2-6b"),
    ] {
        let found = common::golden(&format!("seed/method-ptuning-v2-{case}/final"));
        let (Some(dir), Some(base)) = (found, common::golden(&format!("seed/{base}/model"))) else {
            missing += 1;
            continue;
        };
        let out = tempfile::tempdir().unwrap();
        let wanted = model_ref(&base, &[&dir]);
        let written = write(&request(wanted.clone(), "chatglm", out.path().join("chatglm"))).unwrap();
        let [before, after] =
            [&dir, &written.dir].map(|dir| open_file(&dir.join("pytorch_model.bin")).unwrap());
        assert_eq!(tensors(&dir), tensors(&written.dir), "{case}");
        for name in before.names() {
            assert_eq!(before.bytes(name).unwrap(), after.bytes(name).unwrap(), "{case}: {name}");
        }
        let [old, new] = [&dir, &written.dir].map(|dir| golden::json(&dir.join("config.json")));
        for key in ["pre_seq_len", "prefix_projection", "num_layers", "hidden_size"] {
            assert_eq!(old[key], new[key], "{case}: {key}");
        }
        // The forecasts: within the archive's own bytes, and to the byte.
        let folder = engine::models::ModelFolder::open(&base, &serde_json::Map::new()).unwrap();
        let forecast = (target_of("chatglm").unwrap().bytes)(
            &folder,
            &request(wanted.clone(), "chatglm", PathBuf::new()),
        );
        let card = std::fs::metadata(written.dir.join("README.md")).unwrap().len();
        let own = written.bytes - card - forecast.unwrap();
        assert!(own < 4096, "{case}: {own} bytes more than forecast");
        let peft = write(&request(wanted, "adapter", out.path().join("peft"))).unwrap();
        assert!(peft.verify.unwrap().passed, "{case}");
        let size: u64 = std::fs::read_dir(&peft.dir)
            .unwrap()
            .map(Result::unwrap)
            .filter(|file| file.file_name() != "README.md")
            .map(|file| file.metadata().unwrap().len())
            .sum();
        assert_eq!(adapter_bytes(folder.model(), &dir).unwrap(), size, "{case}");
    }
    common::skipped(missing, "checkpoints of ChatGLM's own code");
}

#[test]
fn what_chatglm_could_not_load_is_refused_with_a_way_out() {
    let few = json!({ "tokens": 5 });
    let rank = json!({ "rank": 2 });
    for (family, method, params, word) in [
        ("chatglm", "lora", &rank, "no other adapters"),
        ("chatglm", "prompt", &few, "no other adapters"),
        ("llama", "p-tuning-v2", &few, "is no ChatGLM"),
        ("glm", "prefix", &few, "is no ChatGLM"),
    ] {
        let tuned = Tuned::new(family, method, params);
        let forecast = (target_of("chatglm").unwrap().bytes)(
            &tuned.made.open(),
            &request(model_ref(tuned.made.path(), &[&tuned.adapter]), "chatglm", PathBuf::new()),
        );
        for err in [tuned.export().unwrap_err(), forecast.unwrap_err()] {
            assert!(err.what.en.contains(word), "{method} on {family}: {err:?}");
            assert!(err.mend.as_ref().unwrap().en.contains("--to adapter"), "{err:?}");
        }
        assert!(!tuned.made.path().join("out").exists());
    }
    let tuned = Tuned::new("chatglm", "p-tuning-v2", &few);
    let two = model_ref(tuned.made.path(), &[&tuned.adapter, &tuned.adapter]);
    let err = write(&request(two, "chatglm", tuned.made.path().join("out"))).unwrap_err();
    assert!(err.what.en.contains("exactly one adapter"), "{err:?}");
}

//! Runs with new tokens: what learns, what is written, and that it is what was trained.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use data::{Extension, Tokenizer};
use engine::models::{Growth, ModelFolder};
use engine::nn::Value;
use engine::weights::{load_tensor, open_file, read_f32};
use protocol::config::{RowsTrained, VocabularyConfig, parse_run_file};
use protocol::{Command, Event, ExportRequest, FindingKind, ModelRef, ScoreRequest, StopReason};
use serde_json::Value as Json;

use crate::project::{copy, run_file};
use crate::runs::support::{Engine, Project, stepped};
use crate::{common, exports};

/// The tokenizer has 516 tokens. Llama's embedding has 524 rows, so that of the new ones some come into rows to spare;
/// GPT-2's has 516.
const TOKENS: &str = "tokens = [\"ember\", \"light\", \"wood\", \"iron\", \"river\", \"stone\", \"cloud\", \"余烬\", \"铁匠铺\", \"语言模型\"]\n";
const LORA: &str = "[method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";
const FIRST: usize = 516;

fn project(model: &str) -> Project {
    let project = Project::new();
    std::fs::remove_dir_all(project.path("model")).unwrap();
    copy(&common::golden(&format!("{model}/model")).unwrap(), &project.path("model"));
    project
}

fn settings(more: &str) -> String {
    format!("max_steps = 6\nlearning_rate = 1e-2\n{LORA}[vocabulary]\n{TOKENS}{more}")
}

fn rows(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let weights = open_file(file).unwrap();
    let shape = weights.info(name).unwrap_or_else(|| panic!("{name} in {}", file.display())).shape.to_vec();
    let tensor = load_tensor::<2>(&weights, name, &Device::flex(), DType::F32).unwrap();
    (shape, read_f32(&Value::Matrix(tensor)).unwrap())
}

fn delta(run: &Path, module: &str) -> (Vec<usize>, Vec<f32>) {
    let name = format!("base_model.model.{module}.token_adapter.trainable_tokens_delta");
    rows(&run.join("adapter/adapter_model.safetensors"), &name)
}

fn json(file: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn model(project: &Project, adapter: Option<&str>) -> ModelRef {
    let adapter = adapter.map(|name| project.path(name));
    let adapters: Vec<&Path> = adapter.iter().map(PathBuf::as_path).collect();
    exports::model_ref(&project.path("model"), &adapters)
}

/// Exports with the comparison against the live model.
fn exported(model: ModelRef, target: &str, out: PathBuf) -> protocol::Result<PathBuf> {
    let request = ExportRequest { dtype: "f32".into(), ..exports::request(model, target, out) };
    let report = exports::write(&request)?;
    let verify = report.verify.unwrap();
    assert!(verify.passed && verify.greedy_equal == verify.greedy_total, "{verify:?}");
    Ok(report.dir)
}

fn scores(engine: &mut Engine, project: &Project, model: ModelRef, rows: &str) -> Vec<Json> {
    project.write("rows.jsonl", rows);
    let (input, output) = (project.path("rows.jsonl"), project.path("scores.jsonl"));
    let score = ScoreRequest { model, input, output: output.clone() };
    engine.ask(
        |request| Command::Score { request, score },
        |event| match event {
            Event::Scored { .. } => Some(()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    );
    let text = std::fs::read_to_string(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Where this is set, what was trained is written there for `tests/reference/vocabulary_peft.py`.
fn keep_for_check(project: &Project, name: &str, run: &str) {
    let Some(dir) = std::env::var_os("EMBERWRIGHT_VOCABULARY_OUT") else { return };
    let dir = Path::new(&dir).join(name);
    copy(&project.path("model"), &dir.join("model"));
    copy(&project.path(run).join("adapter"), &dir.join("adapter"));
    copy(&project.path("merged"), &dir.join("merged"));
    let rows = "{\"prompt\": \"ember wood and\", \"completion\": \" river stone 余烬 in the 语言模型\"}\n";
    let adapter = format!("{run}/adapter");
    let scored = scores(&mut Engine::start(), project, model(project, Some(&adapter)), rows);
    std::fs::write(dir.join("scores.json"), serde_json::to_vec(&scored).unwrap()).unwrap();
}

#[test]
fn only_new_rows_learn_and_begin_with_the_mean_of_their_pieces() {
    for (base, modules) in [
        ("llama-gqa-llama3", &["model.embed_tokens"][..]),
        ("llama-bf16-sharded", &["model.embed_tokens", "lm_head"][..]),
        ("gpt2-base", &["transformer.wte"][..]),
    ] {
        let project = project(base);
        project.run(&settings("train = \"none\"\n"), "idle").finished();
        project.run(&settings(""), "new").finished();
        let config = json(&project.path("new/adapter/adapter_config.json"));
        let record = json(&project.path("new/tokenizer/vocabulary.json"));
        let folder = ModelFolder::open(&project.path("model"), &serde_json::Map::new()).unwrap();
        let embedding = folder.checkpoint.as_ref().unwrap();
        for module in modules {
            let (shape, begun) = delta(&project.path("idle"), module);
            let (_, learned) = delta(&project.path("new"), module);
            let width = shape[1];
            assert_eq!(shape, [10, width], "{base}");
            assert_eq!(
                config["trainable_token_indices"][module],
                serde_json::json!((FIRST..FIRST + 10).collect::<Vec<_>>())
            );
            // The head learns of every token by what it is not, an embedding of its own only what it is asked for.
            let moved: Vec<bool> =
                begun.chunks(width).zip(learned.chunks(width)).map(|(a, b)| distance(a, b) > 0.0).collect();
            let only_asked = modules.len() > 1 && *module != "lm_head";
            assert!(
                moved[0] && (only_asked || moved.iter().all(|moved| *moved)),
                "{base} {module}: {moved:?}"
            );
            assert!(!only_asked || moved[7..] == [false; 3], "{base} {module}: {moved:?}");
            let stored = folder.file_name(&format!("{module}.weight")).unwrap();
            let old = load_tensor::<2>(embedding, &stored, &Device::flex(), DType::F32).unwrap();
            let old = read_f32(&Value::Matrix(old)).unwrap();
            for (token, row) in record["tokens"].as_array().unwrap().iter().zip(begun.chunks(width)) {
                let pieces: Vec<usize> = token["pieces"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|id| id.as_u64().unwrap() as usize)
                    .collect();
                assert!(pieces.len() > 1, "{token}");
                let mean: Vec<f32> = (0..width)
                    .map(|at| pieces.iter().map(|id| old[id * width + at]).sum::<f32>() / pieces.len() as f32)
                    .collect();
                assert!(distance(&mean, row) < 1e-6, "{base} {module} {token}");
            }
        }
        let names: Vec<String> = {
            let weights = open_file(&project.path("new/adapter/adapter_model.safetensors")).unwrap();
            weights.names().map(str::to_owned).collect()
        };
        // Nothing of the base's own rows is in the adapter.
        assert!(
            names.iter().all(|name| name.contains(".lora_") || name.contains(".token_adapter.")),
            "{names:?}"
        );
        exported(model(&project, Some("new/adapter")), "merged", project.path("merged")).unwrap();
        exported(model(&project, Some("new/adapter")), "adapter", project.path("again")).unwrap();
        assert_eq!(delta(&project.path("new"), modules[0]), {
            let name = format!("base_model.model.{}.token_adapter.trainable_tokens_delta", modules[0]);
            rows(&project.path("again/adapter_model.safetensors"), &name)
        });
        let merged = json(&project.path("merged/config.json"));
        assert_eq!(merged["vocab_size"], 526, "{base}");
        let opened = ModelFolder::open(&project.path("merged"), &serde_json::Map::new()).unwrap();
        assert_eq!(opened.info.vocabulary, 526);
        let tokenizer = Tokenizer::open(&project.path("merged")).unwrap();
        assert_eq!(tokenizer.id("语言模型"), Some(525));
        assert_eq!(tokenizer.encode("余烬", false).unwrap().ids.last(), Some(&523));
        keep_for_check(&project, base, "new");
    }
}

#[test]
fn a_run_with_new_tokens_is_resumed_bit_for_bit_without_the_list() {
    let project = project("llama-gqa-llama3");
    let list = "ember\nlight\nwood\niron\nriver\nstone\ncloud\n语言模型\n余烬\n";
    let settings = format!(
        "max_steps = 7\nsave_every = 2\neval_every = 3\n{LORA}dropout = 0.1\n[vocabulary]\nfile = \"list.txt\"\npad_to_multiple_of = 16\n"
    );
    project.write("list.txt", list);
    project.run(&settings, "whole").finished();
    let mut engine = Engine::start();
    let part = engine.run(project.start(&settings, "cut"), |update, control| {
        if stepped(update) == Some(3) {
            control.stop();
        }
    });
    assert_eq!(part.finished().0, StopReason::Stopped);
    std::fs::remove_file(project.path("list.txt")).unwrap();
    let last = engine.run(project.resume("cut"), |_, _| {});
    assert_eq!(last.finished().0, StopReason::Completed);
    assert_eq!(project.lines("whole"), project.lines("cut"));
    let read =
        |run: &str| std::fs::read(project.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(read("whole") == read("cut"));
    // 525 tokens, filled up to a multiple of 16: 528 rows, 12 of which are new.
    assert_eq!(delta(&project.path("cut"), "model.embed_tokens").0, [12, 48]);
    // Other tokens are another run.
    let file = project.path("cut/tokenizer/vocabulary.json");
    let record = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, record.replace("\"pad_to_multiple_of\":16", "\"pad_to_multiple_of\":32")).unwrap();
    let refused = engine.run(project.resume("cut"), |_, _| {});
    assert!(refused.failed().to_string().contains("the new tokens"), "{}", refused.failed());
}

#[test]
fn embedding_and_head_learn_whole_where_asked() {
    for base in ["llama-gqa-llama3", "llama-bf16-sharded"] {
        let project = project(base);
        project.run(&settings("train = \"all\"\n"), "run").finished();
        let file = project.path("run/adapter/adapter_model.safetensors");
        assert_eq!(rows(&file, "base_model.model.model.embed_tokens.weight").0, [526, 48]);
        let tied = base == "llama-gqa-llama3";
        // PEFT wants a tied head's copy under its own name, too.
        assert_eq!(rows(&file, "base_model.model.lm_head.weight").0, [526, 48]);
        let config = json(&project.path("run/adapter/adapter_config.json"));
        assert_eq!(config["modules_to_save"][0], "model.embed_tokens");
        assert_eq!(config["ensure_weight_tying"] == true, tied);
        exported(model(&project, Some("run/adapter")), "merged", project.path("merged")).unwrap();
        exported(model(&project, Some("run/adapter")), "adapter", project.path("again")).unwrap();
        for name in ["model.embed_tokens", "lm_head"].map(|path| format!("base_model.model.{path}.weight")) {
            assert_eq!(rows(&file, &name), rows(&project.path("again/adapter_model.safetensors"), &name));
        }
        keep_for_check(&project, &format!("{base}-all"), "run");
    }
}

#[test]
fn full_fine_tuning_ends_with_a_larger_model() {
    let project = project("llama-bf16-sharded");
    let settings = format!("max_steps = 3\n[method]\nkind = \"full\"\n[vocabulary]\n{TOKENS}");
    let settings = settings.replace("[method]", "save_every = 2\n[method]");
    let (_, result) = project.run(&settings, "run").finished();
    let folder = ModelFolder::open(&result, &serde_json::Map::new()).unwrap();
    assert_eq!(folder.info.vocabulary, 526);
    let tokenizer = Tokenizer::open(&result).unwrap();
    assert_eq!(tokenizer.largest_id(), 525);
    let scored = scores(
        &mut Engine::start(),
        &project,
        ModelRef { path: result, ..ModelRef::default() },
        "{\"ids\": [1, 525, 520, 3]}\n",
    );
    assert!(scored[0]["sum"].as_f64().unwrap().is_finite());
}

#[test]
fn the_base_beside_an_adapter_with_new_tokens_stays_what_it_was() {
    let project = project("llama-gqa-llama3");
    project.run(&settings(""), "tuned").finished();
    project.run(&format!("max_steps = 4\n{LORA}"), "plain").finished();
    let rows = "{\"prompt\": \"ember wood\", \"completion\": \" river stone\"}\n";
    let alone =
        |adapter: Option<&str>| scores(&mut Engine::start(), &project, model(&project, adapter), rows);
    let mut engine = Engine::start();
    for adapter in [None, Some("tuned/adapter"), Some("plain/adapter"), None, Some("tuned/adapter"), None] {
        assert_eq!(
            scores(&mut engine, &project, model(&project, adapter), rows),
            alone(adapter),
            "{adapter:?}"
        );
    }
    let tuned = alone(Some("tuned/adapter"));
    assert!(tuned[0]["ids"].as_array().unwrap().iter().any(|id| id.as_u64().unwrap() >= FIRST as u64));
    // The two cannot act together.
    let mut both = model(&project, Some("tuned/adapter"));
    both.adapters.push(project.path("plain/adapter"));
    assert!(exported(both, "merged", project.path("both")).is_err());
    // Continuing takes the tokens along.
    let more = format!("max_steps = 2\n{LORA}init_from = \"tuned/adapter\"\n");
    let (_, result) = project.run(&more, "more").finished();
    assert!(Extension::open(&result).unwrap().is_some());
}

#[test]
fn check_and_estimate_know_the_new_tokens() {
    let project = project("llama-gqa-llama3");
    let mut engine = Engine::start();
    let config =
        |settings: &str| Box::new(parse_run_file(&run_file(settings), Path::new("run.toml")).unwrap());
    let mut verdict = |settings: &str| {
        let (config, base) = (config(settings), project.path(""));
        engine.ask(
            |request| Command::Check { request, config, base },
            |event| match event {
                Event::Checked { verdict, .. } => Some(*verdict),
                Event::Failed { error, .. } => panic!("{error}"),
                _ => None,
            },
        )
    };
    let plain = verdict(&format!("max_steps = 6\n{LORA}"));
    let extended = verdict(&settings(""));
    assert!(extended.tokens < plain.tokens * 4 / 5, "{} of {}", extended.tokens, plain.tokens);
    let finding = extended.findings.iter().find(|finding| finding.kind == FindingKind::Vocabulary).unwrap();
    assert!(finding.text.en.contains("tokens a character instead of"), "{}", finding.text);
    assert!(plain.findings.iter().all(|finding| finding.kind != FindingKind::Vocabulary));
    let (was, is) = (plain.forecast.unwrap(), extended.forecast.unwrap());
    // Two rows more in the base, ten learn.
    assert_eq!(is.weights - was.weights, 2 * 48 * 4);
    assert_eq!(is.trainable - was.trainable, 10 * 48 * 4);
    assert_eq!(is.optimizer - was.optimizer, 10 * 48 * 8);
    let useless = verdict(&format!("max_steps = 6\n{LORA}[vocabulary]\ntokens = [\"黄昏\"]\n"));
    assert!(
        useless
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::Vocabulary && finding.mend.is_some())
    );
    let (config, base) = (config(&settings("")), project.path(""));
    let estimate = engine.ask(
        |request| Command::Estimate { request, config, base, steps: None, longest: None },
        |event| match event {
            Event::Estimated { estimate, .. } => Some(*estimate),
            other => panic!("{other:?}"),
        },
    );
    assert!(estimate.problems.is_empty(), "{:?}", estimate.problems);
    assert!(estimate.forecast.trainable >= is.trainable);
}

#[test]
fn a_head_with_biases_grows_and_shrinks_again() {
    let dir = common::root().join("tests/fixtures/reference/families/phi-defaults");
    let open = || ModelFolder::open(&dir, &serde_json::Map::new()).unwrap();
    let mut folder = open();
    let base = folder.info.vocabulary;
    let config = VocabularyConfig { tokens: vec!["a".into(), "b".into()], ..VocabularyConfig::default() };
    let extension = Extension::at_most(&config, base).unwrap().unwrap();
    let growth = std::sync::Arc::new(Growth::new(extension.into(), base, RowsTrained::New).unwrap());
    folder.resize(Some(growth)).unwrap();
    assert_eq!(folder.info.vocabulary, base + 2);
    let value = |model: &engine::models::Model, name: &str| {
        read_f32(&model.params.get(model.params.find(name).unwrap()).value).unwrap()
    };
    let plain = open().load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
    let mut grown = folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
    let (old, new) = (value(&plain, "lm_head.bias"), value(&grown, "lm_head.bias"));
    assert_eq!(new[..base], old[..]);
    let mean = old.iter().sum::<f32>() / base as f32;
    assert!(new[base..].iter().all(|bias| (bias - mean).abs() < 1e-6), "{:?} {mean}", &new[base..]);
    let (old, new) = (value(&plain, "lm_head.weight"), value(&grown, "lm_head.weight"));
    let width = old.len() / base;
    let mean: Vec<f32> =
        (0..width).map(|at| old.iter().skip(at).step_by(width).sum::<f32>() / base as f32).collect();
    assert!(distance(&new[base * width..(base + 1) * width], &mean) < 1e-6);
    let logits = |model: &engine::models::Model| {
        read_f32(&Value::Vector(model.logits(&[1, 2, 3], 1, None).unwrap().flatten(0, 2))).unwrap()
    };
    let (before, after) = (logits(&plain), logits(&grown));
    for (before, after) in before.chunks(base).zip(after.chunks(base + 2)) {
        assert!(distance(before, &after[..base]) < 1e-6);
    }
    grown.resize(None).unwrap();
    assert_eq!(logits(&grown), before);
}

//! Estimates against what training really does.

use std::collections::BTreeMap;
use std::path::Path;

use engine::methods::METHODS;
use engine::weights::{Checkpoint, open_file};
use protocol::{Command, Event, ExportRequest, Remedy, RunConfig, RunEvent};
use serde_json::Value;

use super::{check, config, estimate};
use crate::project::{conversations, copy};
use crate::runs::support::{Engine, Project};
use crate::{common, exports};

/// One folder of each family.
const FAMILIES: [&str; 2] = ["llama-gqa-llama3", "gpt2-base"];

/// `[method]` sections of every method; those with settings are tried with them, too.
fn methods() -> Vec<String> {
    let plain = METHODS.iter().map(|method| {
        // What stands in front of the rows needs positions, too.
        let few = (method.params)().iter().any(|spec| spec.key == "tokens");
        format!("kind = \"{}\"\n{}", method.id, if few { "tokens = 4" } else { "" })
    });
    let lora = [
        "targets = \"all-linear\"\nrank = 4\nalpha = 12\n[rank_pattern]\ndown = 2\n[alpha_pattern]\n\"*.0.*\" = 6.5",
        "targets = [\"o\", \"*.1.mlp.*\"]\ndora = true\nbias = \"all\"\nrslora = true",
    ];
    plain.chain(lora.map(|settings| format!("kind = \"lora\"\n{settings}"))).collect()
}

fn project(family: &str) -> Project {
    let project = Project::new();
    std::fs::remove_dir_all(project.path("model")).unwrap();
    copy(&common::golden(&format!("{family}/model")).unwrap(), &project.path("model"));
    project
}

fn run_config(method: &str) -> RunConfig {
    let mut config = config("max_steps = 1\n");
    let table: toml::Table = toml::from_str(method).unwrap();
    config.data.max_length = 48;
    config.method = toml::Value::Table(table).try_into().unwrap();
    *config
}

/// Elements of the tensors under each adapted module in an adapter's file.
fn adapted(weights: &Checkpoint) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let lora = weights.names().any(|name| name.contains(".lora_"));
    for name in weights.names() {
        let short = name.strip_prefix("base_model.model.").unwrap();
        // LoRA also learns biases and whole modules beside its factors: these are no adapted matrices.
        let path = match short.split_once(".lora_") {
            Some((path, _)) => path,
            None if lora => continue,
            None => {
                [".adapter_", ".ln_tuning_layers"]
                    .iter()
                    .find_map(|part| short.split_once(part))
                    .unwrap_or_else(|| short.rsplit_once('.').unwrap())
                    .0
            }
        };
        *found.entry(path.to_owned()).or_insert(0) += weights.info(name).unwrap().elements() as u64;
    }
    found
}

fn size_of(dir: &Path, names: &[&str]) -> u64 {
    names.iter().map(|name| std::fs::metadata(dir.join(name)).unwrap().len()).sum()
}

#[test]
fn an_estimate_is_what_training_does() {
    for family in FAMILIES {
        let project = project(family);
        let mut engine = Engine::start();
        for (number, method) in methods().iter().enumerate() {
            let config = run_config(method);
            let estimate = estimate(&mut engine, &project, &config, None);
            assert_eq!(estimate.problems, [], "{family}: {method}");
            let out = project.path(&format!("run-{number}"));
            let (base, source) = (project.path(""), String::new());
            let told = engine.run(
                |request| protocol::RunCommand::Start {
                    request,
                    config: Box::new(config),
                    base,
                    source,
                    out: out.clone(),
                },
                |_, _| {},
            );
            let (_, result) = told.finished();
            let summary = told.updates.iter().find_map(|update| match update {
                RunEvent::Planned { summary, .. } => Some((**summary).clone()),
                _ => None,
            });
            let summary = summary.unwrap();
            assert_eq!(estimate.trainable, summary.trainable_parameters, "{family}: {method}");
            assert_eq!(estimate.parameters, summary.parameters, "{family}: {method}");
            let stated: BTreeMap<String, u64> =
                estimate.targets.iter().map(|target| (target.path.clone(), target.parameters)).collect();
            assert_eq!(stated.len(), estimate.targets.len(), "{family}: {method}: no module twice");
            if result.join("adapter_config.json").exists() {
                let weights = open_file(&result.join("adapter_model.safetensors")).unwrap();
                let mut files = vec!["adapter_config.json", "adapter_model.safetensors"];
                if weights.contains("prompt_embeddings") {
                    // The file holds what comes out of the parameters; where these are more, they lie beside it.
                    files
                        .extend(result.join("encoder.safetensors").exists().then_some("encoder.safetensors"));
                    let last = open_file(&result.join(files.last().unwrap())).unwrap();
                    assert_eq!(last.parameters(), estimate.trainable, "{family}: {method}");
                } else {
                    assert_eq!(weights.parameters(), estimate.trainable, "{family}: {method}");
                    assert_eq!(adapted(&weights), stated, "{family}: {method}");
                }
                assert_eq!(size_of(&result, &files), estimate.adapter_bytes, "{family}: {method}");
            } else {
                let weights = Checkpoint::open(&result).unwrap();
                let all: u64 =
                    weights.names().map(|name| weights.info(name).unwrap().elements() as u64).sum();
                // GPT-2's files also hold the masks of its attention.
                let ours = summary.parameters;
                assert!(all >= ours && estimate.trainable == ours, "{family}: {all} of {ours}");
                let names: Vec<String> = std::fs::read_dir(&result)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .filter(|name| name != "README.md" && !name.starts_with("emberwright"))
                    .collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                assert_eq!(size_of(&result, &names), estimate.adapter_bytes, "{family}: {names:?}");
            }
        }
    }
}

#[test]
fn ranks_and_alphas_are_those_of_the_patterns() {
    let project = project(FAMILIES[0]);
    let mut engine = Engine::start();
    let method = "kind = \"lora\"\ntargets = [\"q\", \"down\"]\nrank = 4\nalpha = 12\n[rank_pattern]\ndown = 2\n[alpha_pattern]\n\"*.0.*\" = 6.5";
    let estimate = estimate(&mut engine, &project, &run_config(method), None);
    let stated: Vec<(&str, u64, f64)> =
        estimate.targets.iter().map(|target| (target.path.as_str(), target.rank, target.alpha)).collect();
    assert_eq!(
        stated,
        [
            ("model.layers.0.self_attn.q_proj", 4, 6.5),
            ("model.layers.0.mlp.down_proj", 2, 6.5),
            ("model.layers.1.self_attn.q_proj", 4, 12.0),
            ("model.layers.1.mlp.down_proj", 2, 12.0),
        ]
    );
}

#[test]
fn the_curve_begins_and_ends_where_the_run_does() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut config =
        config("max_steps = 1000\nwarmup_steps = 10\nlearning_rate = 1e-3\nscheduler = \"linear\"\n");
    let long = estimate(&mut engine, &project, &config, None);
    assert_eq!((long.steps, long.learning_rates.len()), (1000, 256));
    assert_eq!(long.learning_rates[0], 0.0);
    assert!((long.learning_rates[255] - 1e-3 / 990.0).abs() < 1e-12, "{}", long.learning_rates[255]);
    let short = estimate(&mut engine, &project, &config, Some(3));
    assert_eq!((short.steps, short.learning_rates), (3, vec![0.0, 1e-4, 2e-4]));
    assert_eq!(estimate(&mut engine, &project, &config, Some(1)).learning_rates, [0.0]);
    config.train.max_steps = 0;
    let unknown = estimate(&mut engine, &project, &config, None);
    assert_eq!((unknown.steps, unknown.learning_rates.len()), (0, 0));
    assert_eq!(estimate(&mut engine, &project, &config, Some(u64::MAX)).learning_rates.len(), 256);
}

#[test]
fn everything_that_speaks_against_the_settings_is_told_at_once() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut config = config(
        "eps = 0.0\nscheduler = \"cosin\"\noptimizer = \"adam\"\nmemory_budget = \"lots\"\nbatch_size = 0\n",
    );
    config.method.params.insert("rank".into(), 4096.into());
    let estimate = estimate(&mut engine, &project, &config, Some(10));
    let said: Vec<String> = estimate.problems.iter().map(ToString::to_string).collect();
    for part in ["train.eps", "`cosin`", "`adam`", "train.batch_size", "rank 4096"] {
        assert!(said.iter().any(|line| line.contains(part)), "{part} in {said:?}");
    }
    assert!(estimate.parameters > 0 && estimate.learning_rates.is_empty());
    let mut nowhere = super::config("");
    nowhere.model.path = "nothing".into();
    let estimate = super::estimate(&mut engine, &project, &nowhere, None);
    assert_eq!((estimate.problems.len(), estimate.parameters), (1, 0));
    // Numbers without measure do not overflow.
    let mut huge = super::config("memory_budget = \"1GB\"\n");
    (huge.data.max_length, huge.train.batch_size) = (u64::MAX, u64::from(u32::MAX));
    let estimate = super::estimate(&mut engine, &project, &huge, None);
    assert!(!estimate.forecast.fits && estimate.problems.len() == 1, "{:?}", estimate.problems);
}

fn with(config: &RunConfig, remedy: &Remedy) -> RunConfig {
    let mut value = serde_json::to_value(config).unwrap();
    for (key, new) in &remedy.changes {
        let (section, name) = key.split_once('.').unwrap();
        value[section][name] = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_does_not_fit_is_mended_by_each_remedy() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut config = config("batch_size = 64\nmemory_budget = \"1MB\"\n[data]\nmax_length = 512\n");
    // What is told of a run that does not fit is its smallest form.
    let least = estimate(&mut engine, &project, &config, None).forecast.total;
    config.train.memory_budget = (least / 4 * 3).to_string();
    let tight = estimate(&mut engine, &project, &config, None);
    let [problem] = tight.problems.as_slice() else { panic!("{:?}", tight.problems) };
    let keys: Vec<&str> = problem.remedies.iter().map(|remedy| remedy.changes[0].0.as_str()).collect();
    // The batch goes through the model in pieces by itself.
    assert!(
        keys.contains(&"data.max_length") && !keys.contains(&"train.batch_size"),
        "{keys:?} of {tight:?}"
    );
    for remedy in &problem.remedies {
        let mended = with(&config, remedy);
        let then = estimate(&mut engine, &project, &mended, None);
        assert!(then.forecast.fits && then.problems.is_empty(), "{}: {:?}", remedy.label, then.problems);
        assert!(remedy.label.en.contains("(−") && remedy.label.zh.contains("(−"), "{}", remedy.label);
        let rows = |config: &RunConfig| config.train.batch_size * config.train.gradient_accumulation;
        assert!(rows(&mended) >= rows(&config), "{}", remedy.label);
    }
    // Full fine-tuning of what only a LoRA has room for.
    config = super::config("batch_size = 1\n[method]\nkind = \"full\"\n");
    let full = estimate(&mut engine, &project, &config, None).forecast;
    let lora = estimate(&mut engine, &project, &super::config("batch_size = 1\n"), None).forecast;
    config.train.memory_budget = format!("{}", (full.total + lora.total) / 2);
    let refused = estimate(&mut engine, &project, &config, None);
    let offers = refused.problems.iter().flat_map(|problem| &problem.remedies);
    let wanted = ("method.kind".to_owned(), Value::from("lora"));
    assert!(offers.into_iter().any(|remedy| remedy.changes == [wanted.clone()]), "{refused:?}");
}

#[test]
fn frozen_matrices_in_few_bits_are_offered_where_that_is_enough() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut config = config("batch_size = 1\nmemory_budget = \"100GB\"\n[data]\nmax_length = 32\n");
    let mut total = |quantization: &str, budget: &str| {
        config.model.quantization = quantization.into();
        config.train.memory_budget = budget.into();
        estimate(&mut engine, &project, &config, None)
    };
    // The least budget that each fits in: with more, blocks would keep their graphs.
    let mut least = |quantization: &str| {
        let (mut low, mut high) = (1u64, 1 << 30);
        while low + 1 < high {
            let middle = u64::midpoint(low, high);
            let fits = total(quantization, &middle.to_string()).forecast.fits;
            if fits { high = middle } else { low = middle }
        }
        high
    };
    let (dense, packed) = (least("none"), least("nf4"));
    assert!(packed < dense, "{packed} of {dense}");
    let budget = u64::midpoint(dense, packed).to_string();
    let refused = total("none", &budget);
    let offers = refused.problems.iter().flat_map(|problem| &problem.remedies);
    let wanted = ("model.quantization".to_owned(), Value::from("nf4"));
    assert!(offers.into_iter().any(|remedy| remedy.changes == [wanted.clone()]), "{refused:?}");
    assert!(total("nf4", &budget).forecast.fits);
}

#[test]
fn longer_rows_are_offered_at_their_price() {
    let project = Project::new();
    let mut engine = Engine::start();
    project.write("data.jsonl", &conversations(20));
    let mut config = config("[data]\nmax_length = 20\n");
    let verdict = check(&mut engine, &project, &config);
    let too_long =
        verdict.findings.iter().find(|finding| finding.kind == protocol::FindingKind::TooLong).unwrap();
    let raise = &too_long.remedies[0];
    let (key, length) = &raise.changes[0];
    let length = length.as_u64().unwrap();
    assert_eq!(key, "data.max_length");
    assert!(length >= verdict.longest && length.is_multiple_of(64), "{length}");
    assert!(raise.label.en.contains(&format!("Raise max_length to {length} (+")), "{}", raise.label);
    assert_eq!(too_long.remedies[1].changes, [("data.on_too_long".to_owned(), "drop".into())]);
    *config = with(&config, raise);
    let mended = check(&mut engine, &project, &config);
    assert!(mended.findings.iter().all(|finding| finding.kind != protocol::FindingKind::TooLong));
    // The price is the difference of the two forecasts.
    let more = (mended.forecast.unwrap().total - verdict.forecast.unwrap().total) as f64;
    assert!(raise.label.en.contains(&format!("{:.1} MB", more / 1e6)), "{}: {more}", raise.label);
    // Nothing beyond what the model was made for.
    config.model.overrides.insert("max_position_embeddings".into(), 24.into());
    config.data.max_length = 20;
    let short = check(&mut engine, &project, &config);
    let offers = short.findings.iter().flat_map(|finding| &finding.remedies);
    assert!(offers.flat_map(|remedy| &remedy.changes).all(|(key, _)| key != "data.max_length"));
}

#[test]
fn an_export_is_forecast_to_the_byte() {
    let project = Project::new();
    let mut engine = Engine::start();
    let (_, adapter) = engine.run(project.start("max_steps = 1\n", "run"), |_, _| {}).finished();
    for (target, dtype) in [("merged", "keep"), ("merged", "bf16"), ("adapter", "keep")] {
        let out = project.path(&format!("{target}-{dtype}/deep"));
        let export = ExportRequest {
            dtype: dtype.into(),
            verify: false,
            shard_bytes: 20_000,
            ..exports::request(exports::model_ref(&project.path("model"), &[&adapter]), target, out)
        };
        let asked = export.clone();
        let (bytes, free) = engine.ask(
            |request| Command::ForecastExport { request, export: asked },
            |event| match event {
                Event::ExportForecast { bytes, free_bytes, .. } => Some((bytes, free_bytes)),
                other => panic!("{other:?}"),
            },
        );
        assert!(!cfg!(unix) || free > 0);
        std::fs::create_dir_all(export.out.parent().unwrap()).unwrap();
        let report = exports::ask(&mut engine, export).unwrap();
        let card = std::fs::metadata(report.dir.join("README.md")).unwrap().len();
        assert_eq!(bytes, report.bytes - card, "{target} {dtype}: {:?}", report.files);
    }
}

#[test]
fn an_adapter_to_continue_from_is_judged_by_its_headers() {
    let project = Project::new();
    let mut engine = Engine::start();
    let (_, adapter) = engine.run(project.start("max_steps = 1\n", "run"), |_, _| {}).finished();
    let mut config = *config("");
    config.method.init_from = adapter;
    assert_eq!(estimate(&mut engine, &project, &config, None).problems, []);
    config.method.params.insert("rank".into(), 2.into());
    let refused = estimate(&mut engine, &project, &config, None);
    assert_eq!(refused.problems.len(), 1);
    assert!(
        refused.problems[0].to_string().contains("wanted [2, 48], got [8, 48]"),
        "{}",
        refused.problems[0]
    );
    config.method.params.clear();
    config.method.kind = "full".into();
    let refused = estimate(&mut engine, &project, &config, None);
    assert_eq!(refused.problems[0].place.item.as_deref(), Some("method.init_from"));
}

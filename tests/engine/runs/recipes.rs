//! The tutorials' recipes from the kinds of files they are for to a trained model: real rows and vocabularies, tiny
//! models of their families with random weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data::sources;
use engine::models::{ConfigJson, family_of};
use protocol::config::{Validation, parse_run_file, run_file_text};
use protocol::{
    Command, ConvertReport, ConvertRequest, Event, ModelRef, OutputColumn, PredictRequest, RequestId,
    RunCommand, RunConfig, RunEvent, Sampling, Severity,
};
use serde_json::{Map, Value, json};

use super::support::{Engine, Project};
use crate::common::{shared, skipped};
use crate::families::made::{Container, Made};
use crate::project::copy;

/// Rows that are trained on.
const ROWS: usize = 40;
const STEPS: u64 = 3;

/// What a recipe is tried with.
struct Tutorial {
    recipe: &'static str,
    model_type: &'static str,
    /// Over the family's tiny config.
    config: Value,
    /// A folder of real vocabularies, and which of its files become which.
    vocabulary: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Beside `tokenizer_config.json`.
    tokenizer_class: Option<&'static str>,
    /// The model's random weights lie in files, so that it can be asked; else they are drawn when it is trained.
    weights: bool,
}

impl Tutorial {
    /// A project with the model's folder; None where the real files are not at hand.
    fn project(&self) -> Option<Project> {
        let folder = shared(&format!("realdata/tokenizers/{}", self.vocabulary))?;
        let project = Project { dir: tempfile::tempdir().unwrap() };
        let family = json!({ "model_type": self.model_type });
        let family = family_of(&ConfigJson::from_map(family.as_object().unwrap().clone())).unwrap();
        let mut config: Map<String, Value> = serde_json::from_str(family.tiny).unwrap();
        config.extend(self.config.as_object().unwrap().clone());
        let config = Value::Object(config).to_string();
        if self.weights {
            copy(Made::of(family, &config, Container::Safetensors).path(), &project.path("model"));
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                std::fs::remove_file(project.path("model").join(name)).unwrap();
            }
        } else {
            std::fs::create_dir(project.path("model")).unwrap();
            project.write("model/config.json", &config);
        }
        for (from, to) in self.files {
            std::fs::copy(folder.join(from), project.path("model").join(to)).unwrap();
        }
        if let Some(class) = self.tokenizer_class {
            project.write("model/tokenizer_config.json", &json!({ "tokenizer_class": class }).to_string());
        }
        Some(project)
    }

    /// The recipe over this model and file, cut short.
    fn config(&self, data: &str) -> RunConfig {
        let recipe = data::presets::recipes().into_iter().find(|recipe| recipe.id == self.recipe).unwrap();
        let mut config = parse_run_file(&recipe.source, Path::new(self.recipe)).unwrap();
        assert_eq!((&config.model.path, config.data.train.len()), (&PathBuf::new(), 0), "the user's to give");
        config.model.path = "model".into();
        config.model.from_scratch = !self.weights;
        config.data.train = vec![data.into()];
        config.data.validation = Validation::Fraction(0.1);
        config.train.max_steps = STEPS;
        config.train.batch_size = 4;
        config.train.gradient_accumulation = 1;
        config.train.sample_tokens = 4;
        config
    }

    /// Checks and trains; the folder with what was learned.
    fn train(&self, project: &Project, data: &str, vocabulary: f64) -> PathBuf {
        let config = self.config(data);
        let mut engine = Engine::start();
        let base = project.dir.path().to_owned();
        let (wanted, place) = (Box::new(config.clone()), base.clone());
        let verdict = engine.ask(
            |request| Command::Check { request, config: wanted, base: place },
            |event| match event {
                Event::Checked { verdict, .. } => Some(*verdict),
                Event::Failed { error, .. } => panic!("{}: {error}", self.recipe),
                _ => None,
            },
        );
        assert!(verdict.ok, "{}: {:?}", self.recipe, verdict.findings);
        let told = verdict.findings.iter().filter(|finding| finding.severity != Severity::Info);
        told.for_each(|finding| println!("{}: {}", self.recipe, finding.text));
        let (source, out) = (run_file_text(&config).unwrap(), project.path("out"));
        let start =
            |request: RequestId| RunCommand::Start { request, config: Box::new(config), base, source, out };
        let run = engine.run(start, |_, _| {});
        assert_eq!(run.steps(), (1..=STEPS).collect::<Vec<_>>(), "{}", self.recipe);
        let losses: Vec<f64> = run.updates.iter().flat_map(losses).collect();
        // A model that knows nothing takes all words for equally likely; those in files have strong opinions.
        let likely = self.weights || (losses[0] - vocabulary.ln()).abs() < 1.0;
        assert!(likely, "{}: {losses:?}", self.recipe);
        assert!(losses.iter().all(|loss| loss.is_finite()));
        run.finished().1
    }
}

fn losses(update: &RunEvent) -> Vec<f64> {
    match update {
        RunEvent::Stepped { steps, .. } => steps.iter().map(|step| step.loss).collect(),
        _ => Vec::new(),
    }
}

/// The modules that an adapter was trained on.
fn targets(adapter: &Path) -> Vec<String> {
    let config = std::fs::read(adapter.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let mut modules: Vec<String> = serde_json::from_value(config["target_modules"].clone()).unwrap();
    modules.sort_unstable();
    modules
}

/// The first rows of a real file in another format, as a user would write them.
fn converted(project: &Project, file: &str, to: &str, out: &str) -> Option<ConvertReport> {
    let source = shared(&format!("realdata/data/{file}"))?;
    let rows = sources::open(&source, &data::Silent).unwrap();
    let row = |index| match rows.get(index).unwrap().value {
        sources::RowValue::Object(fields) => Value::Object(fields).to_string() + "\n",
        sources::RowValue::Text(text) => panic!("{text}"),
    };
    project.write("rows.jsonl", &(0..ROWS).map(row).collect::<String>());
    let mut config = Box::new(RunConfig::default());
    config.data.train = vec!["rows.jsonl".into()];
    let convert = Box::new(ConvertRequest { config, base: project.dir.path().into(), to: to.into() });
    let out = project.path(out);
    Engine::start().ask(
        |request| Command::Convert { request, convert, out },
        |event| match event {
            Event::Converted { report, .. } => Some(Some(*report)),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

#[test]
fn cpm_bee_learns_to_choose() {
    let tutorial = Tutorial {
        recipe: "cpm-bee-choice",
        model_type: "cpmbee",
        config: json!({"vocab_size": 86583}),
        vocabulary: "cpm-bee",
        files: &[("bee.txt", "vocab.txt")],
        tokenizer_class: None,
        weights: false,
    };
    let rows = shared("realdata/data/ccpm_example/raw_data/train.jsonl");
    let (Some(project), Some(rows)) = (tutorial.project(), rows) else { return skipped(1, "recipe") };
    let lines = std::fs::read_to_string(rows).unwrap();
    let first: String = lines.split_inclusive('\n').take(ROWS).collect();
    project.write("train.jsonl", &first);
    let adapter = tutorial.train(&project, "train.jsonl", 86583.0);
    assert_eq!(targets(&adapter), ["project_q", "project_v"]);
}

/// BELLE's conversations, and `school_math` rows turned into such as the tutorial turns them.
#[test]
fn baichuan2_learns_to_chat() {
    let tutorial = Tutorial {
        recipe: "belle-chat",
        model_type: "baichuan",
        config: json!({"architectures": ["BaichuanForCausalLM"], "vocab_size": 125_696, "model_max_length": 512}),
        vocabulary: "baichuan2",
        files: &[
            ("tokenizer.model", "tokenizer.model"),
            ("tokenizer_config.json", "tokenizer_config.json"),
            ("special_tokens_map.json", "special_tokens_map.json"),
        ],
        tokenizer_class: None,
        weights: false,
    };
    let Some(project) = tutorial.project() else { return skipped(1, "recipe") };
    let Some(report) = converted(&project, "llama-factory/alpaca_zh_demo.json", "sharegpt", "math.jsonl")
    else {
        return skipped(1, "recipe");
    };
    assert_eq!((report.rows, report.left_out), (ROWS as u64, 0));
    let talk = json!({"id": "1", "conversations": [{"from": "human", "value": "你好，请问明天天气如何？\n"},
        {"from": "gpt", "value": "你在哪个城市？\n"}, {"from": "human", "value": "上海。\n"}, {"from": "gpt", "value": "多云。"}]});
    let rows = std::fs::read_to_string(project.path("math.jsonl")).unwrap();
    project.write("belle.jsonl", &format!("{talk}\n{rows}"));
    let adapter = tutorial.train(&project, "belle.jsonl", 125_696.0);
    assert_eq!(targets(&adapter), ["W_pack"]);
}

/// One of two answers for each row of a table without labels, as the competition wants them.
fn submit(project: &Project, adapter: &Path, input: &str) -> String {
    let column = |name: &str, value: &str| OutputColumn { name: name.into(), value: value.into() };
    let model = ModelRef {
        path: project.path("model"),
        adapters: vec![adapter.to_owned()],
        dtype: "f32".into(),
        ..ModelRef::default()
    };
    let output = project.path("submit.csv");
    let predict = Box::new(PredictRequest {
        model,
        input: project.path(input),
        format: String::new(),
        columns: BTreeMap::new(),
        template: String::new(),
        output: output.clone(),
        output_columns: vec![
            column("uuid", "uuid"),
            column("Keywords", "{{ 'tmp' }}"),
            column("label", "answer"),
        ],
        choices: vec!["0".into(), "1".into()],
        label: String::new(),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        batch_tokens: 0,
        resume: false,
    });
    Engine::start().ask(
        |request| Command::Predict { request, predict },
        |event| match event {
            Event::PredictionEnded { .. } => Some(()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    );
    std::fs::read_to_string(output).unwrap()
}

/// A table of real titles and abstracts, with labels by a word in them; then one without, to be handed in.
#[test]
fn chatglm2_learns_to_classify_papers() {
    let tutorial = Tutorial {
        recipe: "paper-classification",
        model_type: "chatglm",
        config: json!({"padded_vocab_size": 65024, "seq_length": 2048, "bos_token_id": 1, "eos_token_id": 2}),
        vocabulary: "chatglm3",
        files: &[("tokenizer.model", "tokenizer.model")],
        tokenizer_class: Some("ChatGLMTokenizer"),
        weights: true,
    };
    let table = shared("realdata/data/xfg-paper/testB.csv");
    let (Some(project), Some(table)) = (tutorial.project(), table) else { return skipped(1, "recipe") };
    let rows = sources::open(&table, &data::Silent).unwrap();
    let mut csv = "uuid,title,author,abstract,label\n".to_owned();
    let mut asked = "uuid,title,author,abstract\n".to_owned();
    for index in 0..ROWS {
        let row = rows.get(index).unwrap();
        let text = |key: &str| row.fields().unwrap()[key].as_str().unwrap_or_default().to_owned();
        let label = u8::from(text("abstract").contains("patient"));
        let quoted =
            ["title", "author", "abstract"].map(|key| format!("\"{}\"", text(key).replace('"', "\"\"")));
        csv += &format!("{index},{},{label}\n", quoted.join(","));
        if index % 8 == 0 {
            asked += &format!("{index},{}\n", quoted.join(","));
        }
    }
    project.write("train.csv", &csv);
    let adapter = tutorial.train(&project, "train.csv", 65024.0);
    assert_eq!(targets(&adapter), ["query_key_value"]);
    project.write("testB.csv", &asked);
    let submitted = submit(&project, &adapter, "testB.csv");
    let rows: Vec<Vec<&str>> = submitted.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["uuid", "Keywords", "label"]);
    let uuids: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(uuids, ["0", "8", "16", "24", "32"]);
    assert!(rows[1..].iter().all(|row| row[1] == "tmp" && ["0", "1"].contains(&row[2])), "{submitted}");
}

#[test]
fn gpt2_learns_ultrachat_with_all_its_weights() {
    let tutorial = Tutorial {
        recipe: "ultrachat-gpt2",
        model_type: "gpt2",
        config: json!({"vocab_size": 50257, "n_positions": 128, "bos_token_id": 50256, "eos_token_id": 50256}),
        vocabulary: "gpt2",
        files: &[("tokenizer.json", "tokenizer.json")],
        tokenizer_class: None,
        weights: false,
    };
    let Some(project) = tutorial.project() else { return skipped(1, "recipe") };
    let eos = json!({"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"});
    project.write("model/tokenizer_config.json", &eos.to_string());
    let Some(report) = converted(&project, "llama-factory/alpaca_en_demo.json", "messages", "train.jsonl")
    else {
        return skipped(1, "recipe");
    };
    assert_eq!((report.rows, report.left_out), (ROWS as u64, 0));
    let result = tutorial.train(&project, "train.jsonl", 50257.0);
    assert!(std::fs::read_dir(result).unwrap().count() > 0);
}

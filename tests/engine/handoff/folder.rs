//! What lies in the folder: what training takes, token by token, and nothing of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use data::sources::{RowValue, open};
use data::{Batch, Silent};
use engine::handoff::ENGINES;
use engine::methods::{Adapter, Attach, attach};
use engine::models::ModelFolder;
use engine::plan::Plan;
use engine::weights::{open_file, read_f32};
use protocol::HandoffRequest;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{LORA, request, write};
use crate::runs::support::Project;

fn rows(path: &Path) -> Vec<Value> {
    let source = open(path, &Silent).unwrap();
    let row = |index| match source.get(index).unwrap().value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => panic!("{text} is no row of a table"),
    };
    (0..source.len()).map(row).collect()
}

fn numbers<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn plan_of(request: &HandoffRequest) -> Plan {
    let chosen = engine::device::choose("cpu").unwrap();
    let now = chrono::Local::now().naive_local();
    Plan::make((*request.config).clone(), &request.base, now, &chosen, &Silent).unwrap()
}

/// Files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The examples of a step as the script puts them together, as rows of tokens and labels.
fn as_the_script(step: &Value, train: &[Value]) -> Vec<(Vec<u32>, Vec<i32>)> {
    let examples: Vec<usize> = numbers(&step["rows"]);
    let texts: Vec<usize> = numbers(&step["texts"]);
    let counts = if texts.is_empty() { vec![1; examples.len()] } else { texts };
    let mut examples = examples.into_iter();
    let row = |count: usize| {
        let (mut ids, mut labels) = (Vec::new(), Vec::new());
        for example in examples.by_ref().take(count) {
            ids.extend(numbers::<Vec<u32>>(&train[example]["input_ids"]));
            let own: Vec<i32> = numbers(&train[example]["labels"]);
            labels.push(data::IGNORE);
            labels.extend(&own[1..]);
        }
        (ids, labels)
    };
    counts.into_iter().map(row).collect()
}

/// The same of the engine's own batches, padding taken off.
fn as_the_engine(batches: &[Batch]) -> Vec<(Vec<u32>, Vec<i32>)> {
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.rows).map(|row| {
            let (start, length) = (row * batch.len, batch.lengths[row] as usize);
            let mut labels = batch.labels[start..start + length].to_vec();
            // Nothing predicts a row's first token, whatever its label.
            labels[0] = data::IGNORE;
            (batch.ids[start..start + length].to_vec(), labels)
        })
    });
    rows.collect()
}

#[test]
fn each_step_has_the_tokens_and_labels_that_the_engine_would_take() {
    let project = Project::new();
    let packed = LORA.replace("max_steps = 5", "max_steps = 30") + "[data]\npacking = true\n";
    let grouped = format!("group_by_length = true\n{LORA}");
    for (number, settings) in [LORA, &packed, &grouped].into_iter().enumerate() {
        let request = request(&project, settings, "torchrun", &format!("out-{number}"));
        let report = write(&request).unwrap();
        let plan = plan_of(&request);
        let train = rows(&report.dir.join("data/train.parquet"));
        let order = rows(&report.dir.join("data/order.parquet"));
        assert_eq!((order.len() as u64, report.steps), (plan.total_steps, plan.total_steps));
        let mut sampler = plan.batches.sampler(&plan.survey).unwrap();
        for (update, step) in order.iter().enumerate() {
            let micro = sampler.next_step();
            let examples = |rows: &[u32]| -> Vec<_> {
                rows.iter().map(|row| plan.dataset.example(*row as usize).unwrap()).collect()
            };
            let batch = |micro: &data::MicroBatch| match &micro.packed {
                Some(packed) => Batch::packed(&examples(&micro.rows), packed, plan.pad).unwrap(),
                None => Batch::collate(&examples(&micro.rows), plan.pad).unwrap(),
            };
            let batches: Vec<Batch> = micro.iter().map(batch).collect();
            assert_eq!(as_the_script(step, &train), as_the_engine(&batches), "{settings}: step {update}");
            // As JSON writes it on the way back.
            let rate = plan.schedule.rate(update as u64);
            assert!((step["learning_rate"].as_f64().unwrap() - rate).abs() <= rate * 1e-15);
        }
        let held_out = rows(&report.dir.join("data/validation.parquet"));
        assert_eq!(held_out.len(), plan.survey.split.validation.len());
        for (row, example) in held_out.iter().zip(&plan.survey.split.validation) {
            let wanted = plan.dataset.example(*example as usize).unwrap();
            assert_eq!(numbers::<Vec<u32>>(&row["input_ids"]), wanted.ids);
            assert_eq!(numbers::<Vec<i32>>(&row["labels"]), wanted.labels);
            assert_eq!(row["file"], "data.jsonl");
        }
    }
}

#[test]
fn the_adapter_is_the_one_that_a_run_here_begins_with() {
    let project = Project::new();
    let dora = LORA.replace("kind = \"lora\"", "kind = \"lora\"\ndora = true");
    let ia3 = "max_steps = 3\n[model]\ndtype = \"f32\"\n[method]\nkind = \"ia3\"\n".to_owned();
    for (number, settings) in [LORA.to_owned(), dora, ia3].iter().enumerate() {
        let request = request(&project, settings, "torchrun", &format!("out-{number}"));
        let dir = write(&request).unwrap().dir;
        let plan = plan_of(&request);
        let folder = ModelFolder::open(&project.path("model"), &plan.config.model.overrides).unwrap();
        let chosen = engine::device::choose("cpu").unwrap();
        let mut model = folder.load(&chosen.device, plan.dtype, &mut |_, _| {}).unwrap();
        let train = &plan.config.train;
        let context = Attach { seed: train.seed, learning_rate: train.learning_rate };
        let adapter: Box<dyn Adapter> = attach(&mut model, &plan.config.method, &context).unwrap().unwrap();
        let written = open_file(&dir.join("adapter/adapter_model.safetensors")).unwrap();
        let job: Value = serde_json::from_slice(&std::fs::read(dir.join("job.json")).unwrap()).unwrap();
        assert_eq!(written.names().count(), adapter.params().iter().count());
        for (_, param) in adapter.params().iter() {
            let name = format!("base_model.model.{}", param.name);
            assert_eq!(written.read_f32(&name).unwrap(), read_f32(&param.value).unwrap(), "{name}");
            assert_eq!(job["parameters"][&name]["lr_scale"], param.lr_scale, "{name}");
        }
        let config = std::fs::read(dir.join("adapter/adapter_config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["base_model_name_or_path"], "model");
    }
}

#[test]
fn every_engine_writes_settings_that_their_readers_read() {
    let project = Project::new();
    for (number, engine) in ENGINES.iter().enumerate() {
        let mut request = request(&project, LORA, engine.id, &format!("out-{number}"));
        (request.nodes, request.cards) = (2, 2);
        let report = write(&request).unwrap();
        let named = |wanted: &str| report.files.iter().any(|file| file == wanted);
        for file in ["README.md", "README.zh.md", "requirements.txt", "run/plan.json", "run/handoff.json"] {
            assert!(named(file), "{}: {file} is not in {:?}", engine.id, report.files);
        }
        assert!(report.files.iter().any(|file| file.starts_with("config/")));
        for file in &report.files {
            let path = report.dir.join(file);
            let text = || std::fs::read_to_string(&path).unwrap();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => drop(serde_json::from_str::<Value>(&text()).unwrap()),
                Some("toml") => drop(protocol::config::parse_run_file(&text(), &path).unwrap()),
                Some("yaml") => assert!(is_plain_yaml(&text()), "{}", text()),
                Some("sh" | "sbatch") => run("bash", &["-n", path.to_str().unwrap()]),
                Some("py") => run("python3", &["-c", COMPILE, path.to_str().unwrap()]),
                _ => {}
            }
            assert!(
                path.extension().is_none_or(|it| it != "md") || !text().contains('{'),
                "{file}: {}",
                text()
            );
        }
        let lines: Vec<&str> = report.launches.iter().map(|launch| launch.line.as_str()).collect();
        assert_eq!(
            lines,
            ["HEAD=first-machine NODE_RANK=0 bash launch/nodes.sh", "sbatch launch/slurm.sbatch"]
        );
        let nodes = std::fs::read_to_string(report.dir.join("launch/nodes.sh")).unwrap();
        assert!(
            nodes.contains(if engine.id == "torchrun" { "--nnodes 2" } else { "--num_processes 4" }),
            "{nodes}"
        );
        let slurm = std::fs::read_to_string(report.dir.join("launch/slurm.sbatch")).unwrap();
        for line in ["#SBATCH --nodes=2", "#SBATCH --gpus-per-node=2", "#SBATCH --job-name=a-run"] {
            assert!(slurm.contains(line), "{slurm}");
        }
    }
}

/// Compiles without writing anything.
const COMPILE: &str = "import sys; compile(open(sys.argv[1], encoding='utf-8').read(), 'train.py', 'exec')";

/// Every line a key with or without a value, indented by twos: what these files are made of.
fn is_plain_yaml(text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.clone().count() > 5
        && lines.map(|line| (line.len() - line.trim_start().len(), line)).all(|(indent, line)| {
            indent % 2 == 0
                && line.split_once(':').is_some_and(|(key, rest)| {
                    !key.trim().is_empty() && (rest.is_empty() || rest.starts_with(' '))
                })
        })
}

/// Runs a program that may not be there; says so then.
fn run(program: &str, arguments: &[&str]) {
    match Command::new(program).args(arguments).output() {
        Ok(done) => {
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Err(err) => println!("NOT RUN: {program}: {err}"),
    }
}

#[test]
fn nothing_in_it_names_this_machine() {
    let project = Project::new();
    let template = project.path("own.jinja");
    let own = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    std::fs::write(&template, own).unwrap();
    let data = project.path("data.jsonl").display().to_string();
    let settings = format!(
        "{LORA}[data]\ntrain = [{data:?}]\ntemplate = {:?}\n[model]\npath = {:?}\n",
        template.display().to_string(),
        project.path("model").display().to_string()
    );
    let dir = write(&request(&project, &settings, "accelerate-deepspeed", "out")).unwrap().dir;
    let places = [project.dir.path().display().to_string(), std::env::var("HOME").unwrap_or_default()];
    let all = files(&dir);
    assert!(all.len() > 15);
    for file in all {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for place in places.iter().filter(|place| place.len() > 3) {
            assert!(!text.contains(place.as_str()), "{} names {place}", file.display());
        }
    }
}

#[test]
fn the_base_is_named_or_copied() {
    let project = Project::new();
    let named = HandoffRequest { model: "org/model".into(), ..request(&project, LORA, "torchrun", "named") };
    let reference = |dir: &Path| {
        let job: Value = serde_json::from_slice(&std::fs::read(dir.join("job.json")).unwrap()).unwrap();
        job["base"]["reference"].as_str().unwrap().to_owned()
    };
    let named = write(&named).unwrap();
    assert_eq!(reference(&named.dir), "org/model");
    assert!(!named.files.iter().any(|file| file.starts_with("model/")));
    let copied = HandoffRequest { copy_model: true, ..request(&project, LORA, "torchrun", "copied") };
    let copied = write(&copied).unwrap().dir;
    assert_eq!(reference(&copied), "model");
    for file in files(&project.path("model")) {
        let copy = copied.join("model").join(file.file_name().unwrap());
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&file).unwrap(), "{}", copy.display());
    }
}

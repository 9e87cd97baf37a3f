//! CPM-Bee from a folder to an answer: a made-up model of the original layout learns from dicts, and CPM-Ant from
//! rows of ids.

use std::path::Path;

use engine::models::ConfigJson;
use engine::models::{Family, family_of};
use protocol::{
    ChatMessage, Command, Event, GenerateRequest, ModelRef, Prompt, Sampling, ScoreRequest, UserError,
};
use serde_json::{Value, json};

use super::support::{Engine, Project};
use crate::exports;
use crate::families::made::{Container, Made};
use crate::project::copy;

fn family(model_type: &str) -> &'static Family {
    let config = json!({ "model_type": model_type });
    family_of(&ConfigJson::from_map(config.as_object().unwrap().clone())).unwrap()
}

/// A made-up model under the original names, with a vocabulary of 96 words.
fn bee() -> Project {
    let project = project("cpmbee");
    let special =
        ["<pad>", "<unk>", "<mask>", "<sep>", "</n>", "</_>", "<s>", "</s>", "<root>", "<ans>", "<option>"];
    let words =
        ["input", "prompt", "options", "name", "ember", "light", "wood", "iron", "river", "stone", "cloud"];
    let rest = (0x4e00..).filter_map(char::from_u32).map(String::from);
    let all = special.iter().chain(&words).map(|word| (*word).to_owned()).chain(rest).take(96);
    project.write("model/vocab.txt", &(all.collect::<Vec<_>>().join("\n") + "\n"));
    project
}

fn project(model_type: &str) -> Project {
    let project = Project { dir: tempfile::tempdir().unwrap() };
    copy(Made::new(family(model_type), Container::Pickle).path(), &project.path("model"));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::remove_file(project.path("model").join(name)).unwrap();
    }
    project
}

/// Of every kind of dict.
fn rows() -> String {
    let row = |number: usize| match number % 4 {
        0 => json!({"input": "wood iron", "<ans>": "river"}),
        1 => json!({"<ans>": "stone<<", "input": "cloud é"}),
        2 => {
            json!({"input": "light", "options": {"<option_0>": "wood", "<option_1>": "iron"}, "<ans>": "<option_1>"})
        }
        _ => {
            json!({"input": "<mask_0> ember <mask_1>", "<ans>": {"<mask_0>": "cloud", "name": {"input": "é"}}})
        }
    };
    (0..16).map(|number| row(number).to_string() + "\n").collect()
}

const LORA: &str = "max_steps = 24\nlearning_rate = 2e-2\nscheduler = \"constant\"\n[data]\nvalidation = 0.0\n\
    max_length = 64\n[method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";

fn model(path: &Path, adapters: &[&Path]) -> ModelRef {
    let adapters = adapters.iter().map(|path| path.to_path_buf()).collect();
    ModelRef { path: path.to_owned(), dtype: "f32".into(), adapters, ..ModelRef::default() }
}

fn answer(model: ModelRef, prompt: Prompt) -> Result<(String, Vec<u32>), UserError> {
    let sampling = Sampling { temperature: 0.0, max_new_tokens: 12, ..Sampling::default() };
    let adapter = (!model.adapters.is_empty()).then_some(0);
    let generate = GenerateRequest { model, adapter, live: None, prompt, sampling };
    Engine::start().ask(
        |request| Command::Generate { request, generate },
        |event| match event {
            Event::Generated { text, ids, .. } => Some(Ok((text, ids))),
            Event::Failed { error, .. } => Some(Err(*error)),
            _ => None,
        },
    )
}

fn asked(text: &str) -> Prompt {
    Prompt::Messages(vec![ChatMessage { role: "user".into(), content: text.into() }])
}

#[test]
fn a_model_of_dicts_learns_and_answers_and_merges() {
    let project = bee();
    project.write("data.jsonl", &rows());
    let told = project.run(LORA, "run");
    let adapter = told.finished().1;
    let losses: Vec<f64> = std::fs::read_to_string(project.path("run/metrics.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64())
        .collect();
    assert_eq!(losses.len(), 24);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&losses[20..]) < 0.6 * mean(&losses[..4]), "{losses:?}");

    // What was learned is said, in a chat and to a dict that someone types, and by the merged model.
    let merged = project.path("merged");
    let export = exports::request(model(&project.path("model"), &[&adapter]), "merged", merged.clone());
    exports::ask(&mut Engine::start(), export).unwrap();
    let tuned = || model(&project.path("model"), &[&adapter]);
    for prompt in [
        asked("wood iron"),
        Prompt::Text("cloud é".into()),
        Prompt::Text(
            json!({"input": "light", "options": {"<option_0>": "wood", "<option_1>": "iron"}}).to_string(),
        ),
    ] {
        let (text, ids) = answer(tuned(), prompt.clone()).unwrap();
        assert_eq!(answer(model(&merged, &[]), prompt).unwrap(), (text, ids));
    }
    assert_eq!(answer(tuned(), asked("wood iron")).unwrap().0, "river");
    let nested =
        json!({"input": "<mask_0> ember <mask_1>", "<ans>": {"<mask_0>": "", "name": {"input": ""}}});
    let (text, _) = answer(tuned(), Prompt::Text(nested.to_string())).unwrap();
    let filled: Value = serde_json::from_str(&text).unwrap();
    assert!(filled["<mask_0>"].is_string(), "{text}");
    // The folder's own names and vocabulary travel with it.
    assert!(merged.join("vocab.txt").is_file());
}

/// Answers are scored, and what stands before them is not.
#[test]
fn rows_are_scored_where_the_answer_stands() {
    let project = bee();
    project.write(
        "rows.jsonl",
        "{\"prompt\": \"wood iron\", \"completion\": \"river stone\"}\n{\"ids\": [1, 2, 3]}\n",
    );
    let (input, output) = (project.path("rows.jsonl"), project.path("scores.jsonl"));
    let score = ScoreRequest { model: model(&project.path("model"), &[]), input, output: output.clone() };
    let tokens = Engine::start().ask(
        |request| Command::Score { request, score },
        |event| match event {
            Event::Scored { tokens, .. } => Some(tokens),
            Event::Failed { error, .. } => panic!("{error:?}"),
            _ => None,
        },
    );
    assert_eq!(tokens, 4 + 2);
    let text = std::fs::read_to_string(output).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let scored =
        |line: &Value| line["logprobs"].as_array().unwrap().iter().filter(|one| one.is_number()).count();
    // `river`, a blank, `stone` and the end.
    assert_eq!((scored(&lines[0]), scored(&lines[1])), (4, 2));
    assert_eq!(lines[0]["logprobs"].as_array().unwrap().len(), lines[0]["ids"].as_array().unwrap().len());
}

#[test]
fn malformed_dicts_are_named_before_anything_is_trained() {
    let project = bee();
    project.write("data.jsonl", &format!("{}{{\"input\": \"a\"}}\n{{\"<ans>\": [1]}}\n", rows()));
    let told = project.run(LORA, "run");
    let error = told.failed();
    assert_eq!(error.exit_code(), 2);
    let said = format!("{error} {:?}", error.details);
    assert!(said.contains("17") && said.contains("18") && said.contains("no `<ans>`"), "{said}");
}

/// Its tokenizer needs a word cutter that is not here: ids are learned and continued, text is refused.
#[test]
fn cpm_ant_learns_from_rows_of_ids() {
    let project = project("cpmant");
    let words: Vec<String> = ["<pad>", "<unk>", "<s>", "</s>"].map(str::to_owned).into_iter().collect();
    let rest = (0x4e00..).filter_map(char::from_u32).map(String::from);
    let all: Vec<String> = words.into_iter().chain(rest).take(96).collect();
    project.write("model/vocab.txt", &(all.join("\n") + "\n"));
    let row = |number: u32| {
        let ids = [2, 10 + number % 5, 30, 42, 3];
        json!({"input_ids": ids, "labels": [-100, -100, -100, ids[3], 3]}).to_string() + "\n"
    };
    project.write("data.jsonl", &(0..16).map(row).collect::<String>());
    let adapter = project.run(LORA, "run").finished().1;
    let tuned = || model(&project.path("model"), &[&adapter]);
    let (text, ids) = answer(tuned(), Prompt::Ids(vec![2, 12, 30])).unwrap();
    assert_eq!(ids, [42], "{text}");
    assert_eq!(text, all[42]);
    let refused = answer(tuned(), Prompt::Text("你好".into())).unwrap_err();
    assert!(refused.to_string().contains("jieba") && refused.to_string().contains("tokens"), "{refused}");
    let told = project.run(&format!("{LORA}[data]\npacking = true\n"), "packed");
    assert!(told.failed().to_string().contains("soft prompt"), "{}", told.failed());
    assert_eq!(told.failed().remedies.len(), 1);
    project.write("data.jsonl", "{\"text\": \"你好\"}\n{\"text\": \"再见\"}\n");
    let told = project.run(LORA, "text");
    assert!(format!("{} {:?}", told.failed(), told.failed().details).contains("jieba"), "{}", told.failed());
}

//! The formats of families whose folders bring no template, against references written from the formulas
//! (tests/reference/chat_formats.py).

use std::path::Path;
use std::sync::Arc;

use data::{Encode, Encoder, Message, Record, TemplateChoice, Tokenizer, message};
use protocol::config::DataConfig;
use serde_json::{Map, Value, json};

use crate::common;
use crate::templates::messages;

fn reference(file: &str) -> Vec<Value> {
    let file = common::root().join("tests/fixtures/reference").join(file);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, json: &Value) {
    std::fs::write(folder.join(name), json.to_string()).unwrap();
}

/// A model folder without a template: the golden vocabulary with the family's markers, and its config.
fn model_folder(parent: &Path, case: &Value) -> std::path::PathBuf {
    let folder = parent.join(case["folder"].as_str().unwrap());
    std::fs::create_dir(&folder).unwrap();
    let golden = common::golden("tokenizer/bytelevel-gpt2").unwrap();
    let mut vocabulary = std::fs::read_to_string(golden.join("tokenizer.json")).unwrap();
    for token in case["hidden"].as_array().unwrap() {
        let token = token.as_str().unwrap();
        vocabulary = vocabulary.replace(token, &token.to_uppercase());
    }
    std::fs::write(folder.join("tokenizer.json"), vocabulary).unwrap();
    let tokens = case["tokens"].as_object().unwrap().iter();
    let tokens: Map<String, Value> = tokens
        .map(|(token, id)| (id.to_string(), json!({"content": token, "special": true, "normalized": false})))
        .collect();
    let tokenizer = json!({"bos_token": "<s>", "eos_token": case["eos"], "added_tokens_decoder": tokens});
    write(&folder, "tokenizer_config.json", &tokenizer);
    write(&folder, "config.json", &case["config"]);
    write(&folder, "generation_config.json", &case["generation_config"]);
    folder
}

fn open(folder: &Path, template: &str) -> protocol::Result<Encoder> {
    let config = DataConfig { template: template.into(), max_length: 100_000, ..DataConfig::default() };
    Encoder::open(folder, &config, folder, None)
}

fn prompt(encoder: &Encoder, turns: &[Message]) -> data::ChatPrompt {
    encoder.render_chat(&turns[..turns.len() - 1], None).unwrap()
}

#[test]
fn every_family_without_a_template_speaks_its_own() {
    let cases = reference("chat_formats.json");
    let mut seen = std::collections::BTreeSet::new();
    for case in &cases {
        let parent = tempfile::tempdir().unwrap();
        let folder = model_folder(parent.path(), case);
        let preset = case["preset"].as_str().unwrap();
        seen.insert(preset);
        let auto = open(&folder, "auto").unwrap();
        let template =
            auto.template().unwrap_or_else(|| panic!("no template for {preset} {}", case["config"]));
        assert_eq!(template.name(), preset, "{}", case["config"]);
        let reason = template.reason().unwrap();
        assert!(reason.en.starts_with("the folder has none; the known one of "), "{reason}");
        let named = open(&folder, preset).unwrap();
        assert!(named.template().unwrap().reason().is_none());
        for encoder in [&auto, &named] {
            assert_eq!(json!(encoder.stop_ids()), case["stops"], "{preset}");
            for row in case["conversations"].as_array().unwrap() {
                check(encoder, row, preset);
            }
        }
    }
    println!("{} folders, {} templates", cases.len(), seen.len());
    assert!(seen.len() >= 20);
}

fn check(encoder: &Encoder, row: &Value, preset: &str) {
    let name = format!("{preset} {}", row["name"]);
    let turns = messages(&row["messages"]);
    let asked = prompt(encoder, &turns);
    assert_eq!(asked.text, row["prompt"].as_str().unwrap(), "{name}");
    assert_eq!(json!(asked.ids), row["prompt_ids"], "{name}");
    let example = encoder.encode(&Record::Conversation { messages: turns, tools: None }).unwrap();
    assert_eq!(example.rendered, row["text"].as_str().unwrap(), "{name}");
    assert_eq!(json!(example.ids), row["ids"], "{name}");
    assert_eq!(json!(example.labels), row["labels"], "{name}: {}", example.rendered);
    assert!(example.learns_to_stop, "{name}");
    // The answer is learned from where the prompt for it ends.
    assert!(example.ids.starts_with(&asked.ids), "{name}");
}

/// The families' own recipes with their real vocabularies.
#[test]
fn real_vocabularies_give_the_ids_of_the_families_own_code() {
    let mut skipped = 0;
    let mut equal = 0;
    for case in reference("chat_formats_real.json") {
        let name = case["tokenizer"].as_str().unwrap();
        let source = match name.strip_prefix("own:") {
            Some(own) => Some(common::root().join("tests/fixtures/reference/tokenizers/own").join(own)),
            None => common::shared(&format!("realdata/tokenizers/{name}")),
        };
        let Some(source) = source else {
            skipped += 1;
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        for file in case["files"].as_array().unwrap() {
            let file = file.as_str().unwrap();
            let (from, to) = file.split_once('>').unwrap_or((file, file));
            std::fs::copy(source.join(from), folder.path().join(to)).unwrap();
        }
        without_template(folder.path(), &case);
        write(folder.path(), "config.json", &case["config"]);
        write(folder.path(), "generation_config.json", case.get("generation").unwrap_or(&json!({})));
        let preset = case["preset"].as_str().unwrap();
        let choice = if case["explicit"] == true { preset } else { "auto" };
        let encoder = open(folder.path(), choice).unwrap();
        assert_eq!(encoder.template().map(data::ChatTemplate::name), Some(preset));
        for row in case["conversations"].as_array().unwrap() {
            let turns = messages(&row["messages"]);
            assert_eq!(json!(prompt(&encoder, &turns).ids), row["prompt_ids"], "{preset} {}", row["name"]);
            let example = encoder.encode(&Record::Conversation { messages: turns, tools: None }).unwrap();
            assert_eq!(json!(example.ids), row["ids"], "{preset} {}", row["name"]);
            if let Some(labels) = row.get("labels") {
                assert_eq!(json!(example.labels), *labels, "{preset} {}", row["name"]);
            }
            equal += 1;
        }
    }
    println!("{equal} conversations equal");
    common::skipped(skipped, "real vocabularies");
}

/// Takes the template out of tokenizer_config.json, which some of the folders have.
fn without_template(folder: &Path, case: &Value) {
    let file = folder.join("tokenizer_config.json");
    let json = std::fs::read(&file).unwrap_or_else(|_| b"{}".to_vec());
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    json.as_object_mut().unwrap().remove("chat_template");
    if let Some(class) = case.get("tokenizer_class") {
        json["tokenizer_class"] = class.clone();
    }
    std::fs::write(file, json.to_string()).unwrap();
}

fn case_of(preset: &str) -> Value {
    reference("chat_formats.json").into_iter().find(|case| case["preset"] == preset).unwrap()
}

/// What `auto` gives for a folder of this name with this config and these markers.
fn auto(name: &str, config: &Value, tokens: &[&str]) -> Option<String> {
    let parent = tempfile::tempdir().unwrap();
    let mut case = case_of("chatglm2");
    case["folder"] = name.into();
    case["config"] = config.clone();
    let ids = tokens.iter().enumerate().map(|(at, token)| ((*token).to_owned(), json!(516 + at)));
    case["tokens"] = Value::Object(ids.collect());
    let folder = model_folder(parent.path(), &case);
    let tokenizer = Tokenizer::open(&folder).unwrap();
    TemplateChoice::find("auto", &tokenizer, &folder).unwrap().map(|choice| choice.name)
}

#[test]
fn base_models_get_no_template_of_the_chat_models_beside_them() {
    let llama = json!({"model_type": "llama", "vocab_size": 32000});
    // The golden vocabulary has ChatML's tokens; without a family they prove nothing.
    assert_eq!(auto("model", &json!({}), &[]), None);
    assert_eq!(auto("model", &json!({"model_type": "gpt2"}), &[]), None);
    assert_eq!(auto("starcoder2-7b", &json!({"model_type": "starcoder2"}), &[]), None);
    let mistral = json!({"model_type": "mistral", "vocab_size": 32000});
    assert_eq!(auto("Mistral-7B-v0.1", &mistral, &[]), None);
    assert_eq!(auto("Mistral-7B-Instruct-v0.1", &mistral, &[]).as_deref(), Some("mistral-v1"));
    assert_eq!(auto("zephyr-7b-beta", &mistral, &[]).as_deref(), Some("zephyr"));
    assert_eq!(auto("model", &json!({"model_type": "gemma"}), &[]), None);
    assert_eq!(auto("model", &json!({"model_type": "chatglm"}), &[]), None);
    // Half of the tokens are not enough, and another size is another model.
    assert_eq!(auto("model", &json!({"model_type": "gemma"}), &["<end_of_turn>"]), None);
    let baichuan = json!({"architectures": ["BaichuanForCausalLM"], "vocab_size": 512});
    assert_eq!(auto("model", &baichuan, &["<reserved_106>", "<reserved_107>"]), None);
    let seven =
        json!({"architectures": ["BaiChuanForCausalLM"], "model_type": "baichuan", "vocab_size": 64000});
    assert_eq!(auto("Baichuan-7B", &seven, &["<reserved_102>", "<reserved_103>"]), None);
    // What config.json calls the model counts as much as the folder's name; the folders above it do not.
    let mut named = llama;
    named["_name_or_path"] = "/data/vicuna-project/llama-7b/".into();
    assert_eq!(auto("x", &named, &[]).as_deref(), Some("chatml"), "by its tokens");
    named["_name_or_path"] = json!(["not", "a", "name"]);
    named["architectures"] = json!({"not": "a list"});
    named["vocab_size"] = json!("many");
    assert_eq!(auto("x", &named, &[]).as_deref(), Some("chatml"));
}

#[test]
fn a_preset_without_its_tokens_is_refused_with_one_that_fits() {
    let parent = tempfile::tempdir().unwrap();
    let mut case = case_of("chatglm2");
    case["config"] = json!({"model_type": "gpt2"});
    let folder = model_folder(parent.path(), &case);
    assert!(open(&folder, "chatglm2").is_ok());
    let error = open(&folder, "gemma").unwrap_err();
    assert!(error.to_string().contains("<start_of_turn>, <end_of_turn>"), "{error}");
    assert_eq!(error.place.item.as_deref(), Some("data.template"));
    assert_eq!(error.remedies[0].changes, [("data.template".to_owned(), "chatml".into())]);
    let error = open(&folder, "baichuan2").unwrap_err();
    assert!(error.what.zh.contains("<reserved_106>"), "{error}");
}

/// Past answers are learned to their end although the text does not show it; the loss on everything and on
/// the last answer only are as they are elsewhere.
#[test]
fn silent_ends_follow_train_on_and_a_question_without_an_answer() {
    use protocol::config::TrainOn;
    let parent = tempfile::tempdir().unwrap();
    let folder = model_folder(parent.path(), &case_of("baichuan2"));
    let tokenizer = Arc::new(Tokenizer::open(&folder).unwrap());
    let eos = i32::try_from(tokenizer.eos().unwrap()).unwrap();
    let turns = ["Q1", "A1", "Q2", "A2", "Q3"];
    let roles = ["user", "assistant"].into_iter().cycle();
    let turns: Vec<Message> = roles.zip(turns).map(|(role, text)| message(role, text)).collect();
    let encode = |train_on, count: usize| {
        let config = DataConfig { train_on, ..DataConfig::default() };
        let encoder = Encoder::with_tokenizer(tokenizer.clone(), &config, &folder, None).unwrap();
        let record = Record::Conversation { messages: turns[..count].to_vec(), tools: None };
        encoder.encode(&record).unwrap()
    };
    let ends = |example: &data::Example| example.labels.iter().filter(|label| **label == eos).count();
    let open = encode(TrainOn::Responses, 5);
    assert_eq!((ends(&open), open.learns_to_stop), (2, true), "both answers are past ones");
    let last = encode(TrainOn::LastResponse, 4);
    assert_eq!((ends(&last), last.learns_to_stop), (1, true));
    let blank = Record::Conversation {
        messages: vec![message("user", "Q"), message("assistant", "A \n")],
        tools: None,
    };
    let encoder = Encoder::open(&folder, &DataConfig::default(), &folder, None).unwrap();
    let blank = encoder.encode(&blank).unwrap();
    assert_eq!((ends(&blank), blank.learns_to_stop), (1, true), "blanks before the end token");
    let all = encode(TrainOn::Everything, 4);
    assert_eq!(ends(&all), 1, "what stands in the text");
    assert!(all.labels.iter().zip(&all.ids).all(|(label, id)| u32::try_from(*label) == Ok(*id)));
}

/// A row of `Q` and `A` with the lengths of ChatGLM's scripts.
fn limited(preset: &str, turns: &[Message], source: u64, target: u64) -> data::Example {
    let parent = tempfile::tempdir().unwrap();
    let folder = model_folder(parent.path(), &case_of(preset));
    let config = DataConfig {
        template: preset.into(),
        max_length: 100_000,
        max_source_length: source,
        max_target_length: target,
        ..DataConfig::default()
    };
    let encoder = Encoder::open(&folder, &config, &folder, None).unwrap();
    encoder.encode(&Record::Conversation { messages: turns.to_vec(), tools: None }).unwrap()
}

/// ptuning/main.py of ChatGLM2 keeps `S` tokens of the prompt, `T` of the answer, and the end token; that of ChatGLM-6B
/// keeps `S - 1` beside [gMASK], and `T - 2` between <sop> and <eop>.
#[test]
fn questions_and_answers_are_cut_as_chatglms_scripts_cut_them() {
    let texts = [
        "What is it that you want to know of rivers?",
        "Nothing.",
        "And of stones?",
        "They are hard, and old.",
    ];
    let roles = ["user", "assistant"].into_iter().cycle();
    let turns: Vec<Message> = roles.zip(texts).map(|(role, text)| message(role, text)).collect();
    for turns in [&turns[..2], &turns] {
        for (preset, markers) in [("chatglm2", 0), ("chatglm", 2)] {
            let whole = limited(preset, turns, 0, 0);
            assert_eq!(whole.changes, data::Changes::default());
            let learned = |at: &usize| whole.labels[*at] == data::IGNORE;
            let answer = (0..whole.ids.len()).rfind(learned).unwrap() + 1;
            let (question, answer) = whole.ids.split_at(answer);
            let (question, opening) = question.split_at(question.len() - markers);
            let (answer, end) = answer.split_at(answer.len() - 1);
            for (source, target) in [(7, 3), (20, 100), (100, 4), (3, 2), (1, 3), (1000, 1000)] {
                let (kept, said) = match preset {
                    "chatglm2" => (source, target),
                    _ => (source - 1, target - 2),
                };
                let kept = question.len().min(kept);
                let said = answer.len().min(said);
                let wanted = [&question[..kept], opening, &answer[..said], end].concat();
                let cut = limited(preset, turns, source as u64, target as u64);
                assert_eq!(cut.ids, wanted, "{preset} {source} {target}");
                let tail = &cut.labels[kept + markers..];
                let learned = wanted[kept + markers..].iter().map(|id| *id as i32);
                assert_eq!(tail, learned.collect::<Vec<_>>(), "{preset} {source} {target}");
                assert_eq!(cut.changes.source, (kept < question.len()).then_some(question.len()));
                assert_eq!(cut.changes.target, (said < answer.len()).then_some(answer.len()));
                assert!(cut.learns_to_stop && cut.truncated_from.is_none());
            }
        }
    }
}

//! The maker, end to end at a fiftieth of its size, and the files it has written into the project.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::config::{Validation, parse_run_file};
use serde_json::Value;
use starter::{corpus, model_files, persona, tokenizer};
use tempfile::TempDir;
use tokenizers::Tokenizer;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)
}

fn made(percent: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    starter::make(folder.path(), percent).unwrap();
    folder
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const MADE: [&str; 11] = [
    "base-config/config.json",
    "base-config/generation_config.json",
    "base-config/special_tokens_map.json",
    "base-config/tokenizer.json",
    "base-config/tokenizer_config.json",
    "corpus/train.jsonl",
    "corpus/valid.jsonl",
    "data/ember_en.jsonl",
    "data/ember_zh.jsonl",
    "data/probe_en.txt",
    "data/probe_zh.txt",
];

#[test]
fn the_same_bytes_each_time() {
    let (first, second) = (made(2), made(2));
    for file in MADE {
        let bytes = fs::read(first.path().join(file)).unwrap();
        assert!(!bytes.is_empty(), "{file}");
        assert_eq!(bytes, fs::read(second.path().join(file)).unwrap(), "{file}");
    }
}

/// What is committed is what the maker makes. The tokenizer depends on the whole corpus and is
/// compared by hand (see the starter's README); datasets and settings are compared here.
#[test]
fn committed_files_are_the_makers() {
    let folder = made(2);
    for file in MADE.iter().filter(|file| !file.contains("corpus") && !file.ends_with("tokenizer.json")) {
        let committed = fs::read(project("assets/starter").join(file)).unwrap();
        assert_eq!(fs::read(folder.path().join(file)).unwrap(), committed, "{file}");
    }
}

#[test]
fn the_committed_tokenizer_returns_every_line() {
    let tokenizer = Tokenizer::from_file(project("assets/starter/base-config/tokenizer.json")).unwrap();
    assert_eq!(tokenizer.get_vocab_size(true), model_files::VOCAB_SIZE);
    for (id, token) in tokenizer::SPECIAL.iter().enumerate() {
        assert_eq!(tokenizer.token_to_id(token), Some(id as u32));
    }
    let corpus = corpus::compose(&corpus::grammar().unwrap(), 10).unwrap();
    let strange = ["鼯鼠、𠮷野家 and naïve Ωμέγα 🐉", "  two  spaces\tand\r\nlines ", "x=12345.67%"];
    let texts = corpus.train.iter().chain(&corpus.held_out).map(String::as_str).chain(strange);
    for text in texts {
        let encoding = tokenizer.encode_fast(text, false).unwrap();
        assert_eq!(tokenizer.decode(encoding.get_ids(), false).unwrap(), text);
    }
}

#[test]
fn rows_fill_their_length_and_hold_out_stays_out() {
    let grammar = corpus::grammar().unwrap();
    let corpus = corpus::compose(&grammar, 2).unwrap();
    let train: BTreeSet<_> = corpus.train.iter().collect();
    assert!(corpus.held_out.iter().all(|text| !train.contains(text)));

    let folder = made(2);
    let tokenizer = Tokenizer::from_file(folder.path().join("base-config/tokenizer.json")).unwrap();
    let rows = lines(&folder.path().join("corpus/train.jsonl"));
    let length = |row: &Value| {
        let encoding = tokenizer.encode_fast(row["text"].as_str().unwrap(), false).unwrap();
        encoding.len() + 1
    };
    let lengths: Vec<usize> = rows.iter().map(length).collect();
    assert!(lengths.iter().all(|length| *length <= starter::pack::ROW_TOKENS));
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    assert!(mean > 0.9 * starter::pack::ROW_TOKENS as f64, "{mean}");
}

#[test]
fn no_document_shows_the_grammar() {
    let corpus = corpus::compose(&corpus::grammar().unwrap(), 10).unwrap();
    for text in &corpus.train {
        let plain = tokenizer::SPECIAL.iter().fold(text.clone(), |text, token| text.replace(token, ""));
        for mark in ["{", "}", "=>", ">>", "(n)", " .", " ,", "  ", ":="] {
            assert!(!plain.contains(mark), "`{mark}` in {plain}");
        }
    }
}

#[test]
fn datasets_are_conversations_and_probes_are_unseen() {
    for (language, source, _) in persona::LANGUAGES {
        let rows = lines(&project(&format!("assets/starter/data/ember_{language}.jsonl")));
        assert!((250..500).contains(&rows.len()), "{}", rows.len());
        let mut questions = BTreeSet::new();
        for row in &rows {
            let messages = row["messages"].as_array().unwrap();
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(message["role"], ["user", "assistant"][index % 2]);
                assert!(!message["content"].as_str().unwrap().is_empty());
                questions.insert(message["content"].as_str().unwrap().to_lowercase());
            }
            assert_eq!(messages.len() % 2, 0);
        }
        let probes = persona::probes(&persona::read_topics(source).unwrap());
        assert!(probes.lines().count() >= 30);
        for probe in probes.lines() {
            assert!(!questions.contains(&probe.to_lowercase()), "{probe}");
        }
    }
}

#[test]
fn recipes_name_files_that_are_there() {
    for name in ["starter-base", "quickstart", "quickstart-zh"] {
        let path = project(&format!("presets/recipes/{name}.toml"));
        let config = parse_run_file(&fs::read_to_string(&path).unwrap(), &path).unwrap();
        let folder = path.parent().unwrap();
        // The corpus is generated and the base model is trained; their makers are in the project.
        let mut files = config.data.train.clone();
        if let Validation::Files(more) = &config.data.validation {
            files.extend(more.clone());
        }
        for file in files.iter().filter(|file| !file.to_string_lossy().contains("corpus")) {
            assert!(folder.join(file).is_file(), "{name}: {}", file.display());
        }
        assert!(config.data.max_length <= 512, "{name}");
        if config.model.from_scratch {
            assert!(folder.join(&config.model.path).join("config.json").is_file());
            assert_eq!(config.data.max_length as usize, starter::pack::ROW_TOKENS);
            assert_eq!(config.method.kind, "full");
        } else {
            assert!(config.model.path.ends_with("assets/starter/model"));
            assert_eq!(config.method.kind, "lora");
        }
    }
}

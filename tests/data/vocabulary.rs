//! Extended tokenizers against sentencepiece and tokenizers (`tests/reference/make_vocabulary.py`), and lists as users
//! have them.

use std::path::{Path, PathBuf};

use data::{Extension, Gain, Library, Progress, Silent, Tokenizer};
use protocol::UserError;
use protocol::config::VocabularyConfig;
use serde_json::Value;

use crate::common;
use crate::support::Folder;

fn fixtures() -> PathBuf {
    common::root().join("tests/fixtures/reference")
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("vocabulary/expected.json")).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, false).unwrap().ids
}

fn folder_of(case: &Value) -> Option<Folder> {
    let folder = Folder::new();
    for (name, from) in case["files"].as_object().unwrap() {
        let from = from.as_str().unwrap();
        let file =
            if from.starts_with("tokenizers/") { fixtures().join(from) } else { common::shared(from)? };
        folder.write(name, std::fs::read(file).unwrap());
    }
    Some(folder)
}

/// A small SentencePiece model.
fn own() -> Folder {
    let folder = Folder::new();
    let file = fixtures().join("tokenizers/own/bpe/tokenizer.model");
    folder.write("tokenizer.model", std::fs::read(file).unwrap());
    folder
}

fn listed(tokens: &[&str]) -> VocabularyConfig {
    VocabularyConfig {
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        ..VocabularyConfig::default()
    }
}

fn extend(folder: &Folder, config: &VocabularyConfig) -> protocol::Result<(Tokenizer, Extension, Tokenizer)> {
    let old = Tokenizer::open(folder.path()).unwrap();
    let extension = Extension::of(config, &old, &Silent)?.unwrap();
    let new = extension.tokenizer(folder.path())?;
    Ok((old, extension, new))
}

fn refusal(folder: &Folder, config: &VocabularyConfig) -> UserError {
    extend(folder, config).map(drop).unwrap_err()
}

/// Where this is set, extended folders are written there for `make_vocabulary.py --check`.
fn keep_for_check(name: &str, extension: &Extension, probe: &[(String, Vec<u32>)]) {
    let Some(dir) = std::env::var_os("EMBERWRIGHT_VOCABULARY_OUT") else { return };
    let dir = Path::new(&dir).join(name.replace(' ', "-"));
    std::fs::create_dir_all(&dir).unwrap();
    for (name, content) in extension.files() {
        std::fs::write(dir.join(name), content).unwrap();
    }
    let probe: serde_json::Map<String, Value> =
        probe.iter().map(|(text, ids)| (text.clone(), ids.clone().into())).collect();
    std::fs::write(dir.join("probe.json"), serde_json::to_vec(&probe).unwrap()).unwrap();
}

#[test]
fn extended_tokenizers_give_the_ids_of_their_libraries() {
    let expected = expected();
    let texts_shown = texts(&expected["texts"]);
    let (mut done, mut missing) = (0, Vec::new());
    for case in expected["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let Some(folder) = folder_of(case) else {
            missing.push(name.to_owned());
            continue;
        };
        let config = VocabularyConfig {
            tokens: texts(&expected["list"]),
            train_on: vec![fixtures().join("vocabulary/text.txt")],
            size: expected["size"].as_u64().unwrap(),
            coverage: expected["coverage"].as_f64().unwrap(),
            ..VocabularyConfig::default()
        };
        let (old, extension, new) = extend(&folder, &config).unwrap_or_else(|err| panic!("{name}: {err}"));
        let made: Vec<&str> = extension.record.tokens.iter().map(|token| token.text.as_str()).collect();
        let wanted = [texts(&case["listed"]), texts(&case["learned"])].concat();
        assert_eq!(made, wanted, "{name}");
        let mut probe = Vec::new();
        for (text, wanted) in texts_shown.iter().zip(case["ids"].as_array().unwrap()) {
            let found = ids(&new, text);
            assert_eq!(serde_json::to_value(&found).unwrap(), *wanted, "{name}: {text:?}");
            let before = ids(&old, text);
            // The Llama's tokenizer.json puts a blank behind every added token, and says so.
            let blanks = extension.notes.iter().any(|note| note.en.contains("a blank behind"));
            assert_eq!(blanks, name == "stories");
            if !blanks && !before.iter().any(|id| Some(*id) == old.unknown()) {
                assert_eq!(new.decode(&found, false).unwrap(), old.decode(&before, false).unwrap(), "{name}");
            }
            // What has no new token is what it was.
            if found.iter().all(|id| *id < extension.record.first) {
                assert_eq!(found, before, "{name}: {text:?}");
            }
            probe.push((text.clone(), found));
        }
        let gain = Gain::of(texts_shown.iter().map(Ok), &old, &extension, &new).unwrap();
        println!("{name}: {}", gain.told());
        assert!(gain.after < gain.before && gain.used > 0, "{gain:?}");
        keep_for_check(name, &extension, &probe);
        done += 1;
    }
    println!("{done} tokenizers extended; not at hand: {missing:?}");
    assert!(done >= 3);
}

#[test]
fn texts_without_new_tokens_keep_their_ids() {
    let reference: Value =
        serde_json::from_slice(&std::fs::read(fixtures().join("tokenizers/expected.json")).unwrap()).unwrap();
    let (old, extension, new) = extend(&own(), &listed(&["余烬铁匠", "zqxj", "emberwright"])).unwrap();
    let all = texts(&reference["texts"]);
    for text in &all {
        assert_eq!(ids(&new, text), ids(&old, text), "{text:?}");
    }
    assert!(all.len() > 50);
    let first = extension.record.first;
    assert_eq!(first as usize, old.vocab_size());
    assert_eq!(ids(&new, "x余烬铁匠y").iter().filter(|id| **id == first).count(), 1);
}

#[test]
fn what_is_left_out_of_a_list_is_counted() {
    let folder = own();
    let known = Tokenizer::open(folder.path()).unwrap().token(300).unwrap();
    let long = "长".repeat(43);
    let list = format!("\u{feff}新词甲\r\n\n  新词乙  \n新词甲\n{known}\n   \n{long}\n");
    let file = folder.write("list.txt", list);
    let config = VocabularyConfig { file, ..VocabularyConfig::default() };
    let (_, extension, new) = extend(&folder, &config).unwrap();
    let made: Vec<_> = extension.record.tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(made, ["新词甲", "新词乙"]);
    assert_eq!(new.id("新词乙"), Some(extension.record.first + 1));
    let notes: Vec<String> = extension.notes.iter().map(ToString::to_string).collect();
    let told = notes.join("\n");
    for word in
        ["2 empty", "1 tokens are listed twice", "1 tokens are in the tokenizer", "1 tokens are left out"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn hostile_lists_are_refused_in_words() {
    let folder = own();
    let no_new = refusal(&folder, &listed(&["", " ", "<s>"]));
    assert!(no_new.to_string().contains("no new token"), "{no_new}");
    // A million lines are read; so many rows are refused.
    let lines: String = (0..1_000_000).map(|n| format!("词{n}\n")).collect();
    let file = folder.write("million.txt", lines);
    let many = refusal(&folder, &VocabularyConfig { file, ..VocabularyConfig::default() });
    assert!(many.to_string().contains("1000000 new tokens"), "{many}");
    let file = folder.write("binary.txt", [0xFF, 0xFE, 0, 1]);
    let binary = refusal(&folder, &VocabularyConfig { file, ..VocabularyConfig::default() });
    assert!(binary.to_string().contains("UTF-8"), "{binary}");
    let missing = VocabularyConfig { file: folder.path().join("nowhere.txt"), ..VocabularyConfig::default() };
    assert_eq!(refusal(&folder, &missing).place.item.as_deref(), Some("vocabulary.file"));
    for (config, item) in [
        (VocabularyConfig { coverage: f64::NAN, ..listed(&["新"]) }, "vocabulary.coverage"),
        (VocabularyConfig { extended: folder.path().into(), ..listed(&["新"]) }, "vocabulary.extended"),
        (
            VocabularyConfig { extended: folder.path().into(), ..VocabularyConfig::default() },
            "vocabulary.extended",
        ),
        (
            VocabularyConfig { pad_to_multiple_of: u64::MAX, ..listed(&["新"]) },
            "vocabulary.pad_to_multiple_of",
        ),
        (
            VocabularyConfig { train_on: vec!["x".into()], size: 0, ..VocabularyConfig::default() },
            "vocabulary.size",
        ),
    ] {
        assert_eq!(refusal(&folder, &config).place.item.as_deref(), Some(item));
    }
}

#[test]
fn an_extension_is_read_back_and_a_damaged_one_refused() {
    let folder = own();
    let (_, extension, new) = extend(&folder, &listed(&["新词甲", "new word"])).unwrap();
    let out = Folder::new();
    for (name, content) in extension.files() {
        out.write(&name, content);
    }
    let mut read = Extension::open(out.path()).unwrap().unwrap();
    read.notes.clone_from(&extension.notes);
    assert_eq!(read, extension);
    let again = VocabularyConfig { extended: out.path().into(), ..VocabularyConfig::default() };
    let (_, _, same) = extend(&folder, &again).unwrap();
    assert_eq!(ids(&same, "a new word 新词甲"), ids(&new, "a new word 新词甲"));
    let record = String::from_utf8(std::fs::read(out.path().join(Extension::FILE)).unwrap()).unwrap();
    let first = extension.record.first;
    for (from, to) in [
        (format!("\"first\":{first}"), "\"first\":4294967295".to_owned()),
        (format!("\"first\":{first}"), format!("\"first\":{}", first - 1)),
        ("tokenizer.model".into(), "../../etc/passwd".into()),
        ("\"tokens\":[".into(), "\"tokens\":[7,".into()),
        ("新词甲".into(), "旧词甲".into()),
    ] {
        out.write(Extension::FILE, record.replace(&from, &to));
        let err = extend(&folder, &again).map(drop).unwrap_err();
        assert_eq!(err.exit_code(), 2, "{to}: {err}");
    }
    assert!(Extension::open(folder.path()).unwrap().is_none());
}

#[test]
fn learning_can_be_stopped_and_is_kept() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let folder = own();
    let config = VocabularyConfig {
        train_on: vec![fixtures().join("vocabulary/text.txt")],
        size: 20,
        ..VocabularyConfig::default()
    };
    let old = Tokenizer::open(folder.path()).unwrap();
    assert!(Extension::of(&config, &old, &Stop).is_err());
    let mut library = Library::default();
    let first = library.extended(folder.path(), &config, &Silent).unwrap().unwrap();
    assert_eq!(first.extension.record.tokens.len(), 20);
    // At hand: nothing is read, and nothing can be stopped.
    let second = library.extended(folder.path(), &config, &Stop).unwrap().unwrap();
    assert_eq!(first.extension, second.extension);
    let other = VocabularyConfig { size: 5, ..config };
    assert!(library.extended(folder.path(), &other, &Stop).is_err());
}

#[test]
fn tokenizers_that_take_no_tokens_say_so() {
    let folder = Folder::new();
    let ranks = fixtures().join("tokenizers/own/ranks/tokenizer.model");
    folder.write("qwen.tiktoken", std::fs::read(ranks).unwrap());
    let err = refusal(&folder, &listed(&["新词"]));
    assert!(err.to_string().contains("cannot be extended"), "{err}");
}

//! GGUF: what is well formed is read back exactly, everything else is an error; and tokenizers in its metadata.

use std::path::Path;

use data::Tokenizer;
use data::gguf::{Gguf, List, Metadata, NewTensor, TensorKind, Value, encode, find, parse};
use protocol::UserError;

use crate::common;

fn metadata() -> Metadata {
    let mut metadata = Metadata::default();
    let lists = [
        List::U8(vec![1, 2]),
        List::I8(vec![-1]),
        List::U16(vec![3]),
        List::I16(vec![-3]),
        List::U32(vec![4, 5]),
        List::I32(vec![-4]),
        List::F32(vec![0.5]),
        List::Bool(vec![true, false]),
        List::Text(vec!["ä".into(), String::new()]),
        List::Lists(vec![List::U8(vec![]), List::Text(vec!["x".into()])]),
        List::U64(vec![6]),
        List::I64(vec![-6]),
        List::F64(vec![0.25]),
    ];
    for (index, list) in lists.into_iter().enumerate() {
        assert!(metadata.insert(format!("list.{index}"), Value::List(list)));
    }
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::F32(1e-5),
        Value::Bool(true),
        Value::Text("你好".into()),
        Value::U64(u64::MAX),
        Value::I64(i64::MIN),
        Value::F64(2.5),
    ];
    for (index, value) in values.into_iter().enumerate() {
        assert!(metadata.insert(format!("value.{index}"), value));
    }
    metadata
}

fn tensors() -> Vec<NewTensor> {
    let tensor = |name: &str, dims: &[u64], kind: TensorKind| NewTensor {
        name: name.into(),
        dims: dims.to_vec(),
        kind,
        bytes: kind.byte_len(dims).unwrap(),
    };
    vec![
        tensor("a", &[3], TensorKind::F32),
        tensor("b", &[32, 2], TensorKind::Q8_0),
        tensor("c", &[256, 1, 1, 2], TensorKind::Q4_K),
    ]
}

/// A file of head and zeros.
fn file(metadata: &Metadata, tensors: &[NewTensor]) -> Vec<u8> {
    let mut file = encode(metadata, tensors);
    let data: u64 = tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(32)).sum();
    file.resize(file.len() + data as usize, 0);
    file
}

fn read(file: &[u8]) -> Result<Gguf, UserError> {
    parse(file, file.len() as u64)
}

#[track_caller]
fn refused(file: &[u8], why: &str) {
    let err = read(file).unwrap_err();
    assert!(err.what.en.contains(why), "{:?} does not say {why:?}", err.what.en);
}

#[test]
fn everything_written_is_read_back() {
    let (metadata, tensors) = (metadata(), tensors());
    let gguf = read(&file(&metadata, &tensors)).unwrap();
    assert_eq!((gguf.version, &gguf.metadata), (3, &metadata));
    assert_eq!(gguf.metadata.f64("value.6"), Some(1e-5), "a short decimal stays short");
    for (read, written) in gguf.tensors.iter().zip(&tensors) {
        assert_eq!((&read.name, &read.dims, read.kind), (&written.name, &written.dims, written.kind));
        assert!(read.start.is_multiple_of(32));
    }
    let mut second = file(&metadata, &tensors);
    second[4] = 2;
    assert_eq!(read(&second).unwrap().version, 2);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let whole = file(&metadata(), &tensors());
    for length in 0..whole.len() - 32 {
        assert!(read(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn no_byte_that_is_changed_makes_it_panic_or_allocate() {
    let whole = file(&metadata(), &tensors());
    for at in 0..encode(&metadata(), &tensors()).len() {
        for value in [0x00, 0x7F, 0x80, 0xFF] {
            let mut changed = whole.clone();
            changed[at] = value;
            // Either answer is right; a panic is not.
            drop(read(&changed));
        }
    }
}

/// Magic, version, counts, then `rest`.
fn head(version: u32, tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    let mut head = b"GGUF".to_vec();
    head.extend(version.to_le_bytes());
    head.extend(tensors.to_le_bytes());
    head.extend(entries.to_le_bytes());
    head.extend(rest);
    head
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn heads_that_lie_are_refused() {
    refused(b"", "does not begin with GGUF");
    refused(b"GGML....", "does not begin with GGUF");
    refused(&head(1, 0, 0, &[]), "version 1");
    refused(&head(9, 0, 0, &[]), "version 9");
    refused(&head(3u32.swap_bytes(), 0, 0, &[]), "big-endian");
    refused(&head(3, u64::MAX, 0, &[0; 64]), "claims");
    refused(&head(3, 0, 1 << 40, &[0; 64]), "claims");
    refused(&head(3, 0, 1, &[0xFF; 64]), "a name has");
    let long = [&text("k")[..], &8u32.to_le_bytes(), &u64::MAX.to_le_bytes(), &[0; 32]].concat();
    refused(&head(3, 0, 1, &long), "it is cut off");
    let unknown = [&text("k")[..], &13u32.to_le_bytes(), &[0; 8]].concat();
    refused(&head(3, 0, 1, &unknown), "no type 13");
    let truth = [&text("k")[..], &7u32.to_le_bytes(), &[2, 0, 0, 0, 0, 0, 0, 0]].concat();
    refused(&head(3, 0, 1, &truth), "truth value");
    let many =
        [&text("k")[..], &9u32.to_le_bytes(), &10u32.to_le_bytes(), &(1u64 << 61).to_le_bytes(), &[0; 8]]
            .concat();
    refused(&head(3, 0, 1, &many), "claims");
    let not_text = [&1u64.to_le_bytes()[..], &[0xFF], &[0; 16]].concat();
    refused(&head(3, 0, 1, &not_text), "not UTF-8");
    let mut deep = [&text("k")[..], &9u32.to_le_bytes()].concat();
    for _ in 0..10_000 {
        deep.extend(9u32.to_le_bytes());
        deep.extend(1u64.to_le_bytes());
    }
    refused(&head(3, 0, 1, &deep), "nested too deeply");
}

#[test]
fn keys_names_and_places_are_checked() {
    let twice = [&text("k")[..], &4u32.to_le_bytes(), &1u32.to_le_bytes()].concat().repeat(2);
    refused(&head(3, 0, 2, &twice), "the key k occurs twice");
    let aligned = |value: u32| {
        let mut metadata = Metadata::default();
        metadata.insert("general.alignment", Value::U32(value));
        file(&metadata, &[])
    };
    assert!(read(&aligned(64)).is_ok());
    refused(&aligned(0), "alignment");
    refused(&aligned(24), "alignment");
    let tensor = |name: &str, dims: &[u64], kind: u32, start: u64| {
        let mut bytes = text(name);
        bytes.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|dim| bytes.extend(dim.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes
    };
    let with = |all: &[Vec<u8>]| [head(3, all.len() as u64, 0, &all.concat()), vec![0; 4096]].concat();
    assert!(read(&with(&[tensor("a", &[8], 0, 0), tensor("b", &[8], 0, 64)])).is_ok());
    refused(&with(&[tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)]), "the name a occurs twice");
    refused(&with(&[tensor("a", &[16], 0, 0), tensor("b", &[8], 0, 32)]), "overlap");
    refused(&with(&[tensor("a", &[8], 0, 4)]), "alignment");
    refused(&with(&[tensor("a", &[1 << 20], 0, 0)]), "cut off");
    refused(&with(&[tensor("a", &[8], 0, u64::MAX - 31)]), "cut off");
    refused(&with(&[tensor("a", &[1 << 40, 1 << 40], 0, 0)]), "overflow");
    refused(&with(&[tensor("a", &[33], 8, 0)]), "do not fit Q8_0");
    refused(&with(&[tensor("a", &[1; 5], 0, 0)]), "5 dimensions");
    refused(&with(&[tensor("a", &[8], 77, 0)]), "number 77");
}

#[test]
fn a_folder_stands_for_its_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let touch =
        |name: &str| std::fs::write(folder.path().join(name), file(&Metadata::default(), &[])).unwrap();
    assert_eq!(find(folder.path()).unwrap(), None);
    touch("model-q8_0.gguf");
    touch("mmproj-f16.gguf");
    assert_eq!(find(folder.path()).unwrap().unwrap().len(), 1);
    assert_eq!(find(&folder.path().join("model-q8_0.gguf")).unwrap().unwrap().len(), 1);
    touch("model-q4_0.gguf");
    assert!(find(folder.path()).unwrap_err().what.en.contains("several"));
    std::fs::remove_file(folder.path().join("model-q4_0.gguf")).unwrap();
    std::fs::remove_file(folder.path().join("model-q8_0.gguf")).unwrap();
    touch("big-00001-of-00003.gguf");
    touch("big-00003-of-00003.gguf");
    let missing = find(folder.path()).unwrap_err();
    assert!(missing.details[0].contains("00002"), "{missing:?}");
    touch("big-00002-of-00003.gguf");
    assert_eq!(find(folder.path()).unwrap().unwrap().len(), 3);
}

/// Texts of the golden strings.
fn strings(folder: &Path) -> Vec<String> {
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let rows = expected["strings"].as_array().unwrap();
    rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tokenizers_come_back_from_metadata() {
    let mut missing = 0;
    for case in ["bytelevel-gpt2", "bytelevel-qwen", "bytelevel-llama3-bos", "llama2-bytefallback"] {
        let Some(folder) = common::golden(&format!("tokenizer/{case}")) else {
            missing += 1;
            continue;
        };
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let rows = tokenizer.largest_id() as usize + 9;
        let metadata = tokenizer.to_gguf(rows, "llama").unwrap();
        assert_eq!(metadata.get("tokenizer.ggml.tokens").unwrap().as_texts().unwrap().len(), rows);
        assert_eq!(tokenizer.differs_from_gguf(&metadata).unwrap(), None, "{case}");
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("vocabulary.gguf");
        std::fs::write(&path, file(&metadata, &[])).unwrap();
        let back = Tokenizer::open(&path).unwrap();
        for text in strings(&folder) {
            let ids = |tokenizer: &Tokenizer| tokenizer.encode(&text, true).unwrap().ids;
            assert_eq!(ids(&back), ids(&tokenizer), "{case}: {text:?}");
            let shown = |tokenizer: &Tokenizer| tokenizer.decode(&ids(&back), true).unwrap();
            assert_eq!(shown(&back), shown(&tokenizer), "{case}: {text:?}");
        }
        assert_eq!(back.pad(), tokenizer.pad(), "{case}");
        assert!(tokenizer.bos().is_none() || back.bos() == tokenizer.bos(), "{case}");
        // Where nothing says what ends a text, a token that is known to does.
        assert!(tokenizer.eos().is_none() || back.eos() == tokenizer.eos(), "{case}");
        let templates = |tokenizer: &Tokenizer| {
            tokenizer.chat_templates().iter().map(|template| template.source.clone()).collect::<Vec<_>>()
        };
        assert_eq!(templates(&back), templates(&tokenizer), "{case}");
    }
    common::skipped(missing, "golden tokenizers");
}

#[test]
fn a_tokenizer_that_contradicts_itself_is_refused() {
    let with = |key: &str, value: Value| {
        let mut metadata = Metadata::default();
        metadata.insert(key, value);
        for (key, value) in [
            ("tokenizer.ggml.model", Value::Text("llama".into())),
            ("tokenizer.ggml.tokens", Value::List(List::Text(vec!["<unk>".into(), "a".into()]))),
            ("tokenizer.ggml.token_type", Value::List(List::I32(vec![2, 1]))),
            ("tokenizer.ggml.scores", Value::List(List::F32(vec![0.0, -1.0]))),
        ] {
            metadata.insert(key, value);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.gguf");
        std::fs::write(&path, file(&metadata, &[])).unwrap();
        Tokenizer::open(&path).map(|tokenizer| tokenizer.vocab_size())
    };
    assert_eq!(
        with("tokenizer.ggml.bos_token_id", Value::U32(7)).unwrap(),
        2,
        "an id beyond the vocabulary is none"
    );
    assert!(with("tokenizer.ggml.model", Value::Text("bert".into())).is_err());
    assert!(with("tokenizer.ggml.model", Value::Text("gpt2".into())).is_err());
    assert!(with("tokenizer.ggml.scores", Value::List(List::F32(vec![0.0]))).is_err());
    assert!(with("tokenizer.ggml.token_type", Value::List(List::I32(vec![1]))).is_err());
    assert!(with("tokenizer.ggml.tokens", Value::List(List::Text(vec![]))).is_err());
}

#[test]
fn real_tokenizers_come_back_from_metadata() {
    let mut missing = 0;
    for (name, kind, rule) in
        [("gpt2", "gpt2", "gpt-2"), ("llama2", "llama", "default"), ("minimind", "gpt2", "gpt-2")]
    {
        let folder = common::shared(&format!("realdata/tokenizers/{name}"));
        let Some(folder) = folder.filter(|folder| folder.join("tokenizer.json").is_file()) else {
            missing += 1;
            continue;
        };
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let metadata = tokenizer.to_gguf(tokenizer.largest_id() as usize + 1, "llama").unwrap();
        assert_eq!(metadata.str("tokenizer.ggml.model"), Some(kind), "{name}");
        assert_eq!(metadata.str("tokenizer.ggml.pre"), Some(rule), "{name}");
        assert_eq!(tokenizer.differs_from_gguf(&metadata).unwrap(), None, "{name}");
    }
    common::skipped(missing, "real tokenizers");
}

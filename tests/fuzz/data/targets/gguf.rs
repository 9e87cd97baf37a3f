//! The head of a GGUF file, and the tokenizer in its metadata.

use data::Tokenizer;
use data::gguf::{List, Metadata, NewTensor, TensorKind, Value, encode, open};

use super::tokenizer_json::use_tokenizer;
use crate::common::root;
use crate::harness::{Input, Target};

const FILE: &str = "model.gguf";

pub fn target() -> Target {
    Target::new(seeds, || {
        Box::new(|folder| {
            let file = folder.join(FILE);
            let head = open(&file)?;
            for tensor in &head.tensors {
                assert!(tensor.start + tensor.bytes <= std::fs::metadata(&file).unwrap().len(), "{tensor:?}");
            }
            let said = format!("{} {} ", head.metadata.entries().len().min(9), head.tensors.len().min(9));
            if head.metadata.get("tokenizer.ggml.model").is_none() {
                return Ok(said);
            }
            Ok(said + &use_tokenizer(&Tokenizer::open(folder)?)?)
        })
    })
}

fn list(items: &[&str]) -> Value {
    Value::List(List::Text(items.iter().map(|item| (*item).to_owned()).collect()))
}

/// A tokenizer of each kind, and values of every type.
fn seeds() -> Vec<Input> {
    let kinds = ["kinds.gguf", "refused.gguf"];
    let fixtures = kinds.map(|name| std::fs::read(root().join("tests/fixtures/gguf").join(name)).unwrap());
    let pieces: &[&str] = &["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "\u{2581}a", "<x>"];
    let bytes = || -> Vec<String> { (0..=255u8).map(|byte| format!("<0x{byte:02X}>")).collect() };
    let with_bytes: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).chain(bytes()).collect();
    let kinds =
        |count: usize| [2, 3, 3, 1, 1, 1, 1, 4].into_iter().chain(std::iter::repeat(6)).take(count).collect();
    let scores = |count: usize| (0..count).map(|at| -(at as f32)).collect();
    let mut llama = base("llama");
    llama.insert("tokenizer.ggml.tokens", Value::List(List::Text(with_bytes.clone())));
    llama.insert("tokenizer.ggml.scores", Value::List(List::F32(scores(with_bytes.len()))));
    llama.insert("tokenizer.ggml.token_type", Value::List(List::I32(kinds(with_bytes.len()))));
    let mut unigram = base("t5");
    unigram.insert("tokenizer.ggml.tokens", list(pieces));
    unigram.insert("tokenizer.ggml.scores", Value::List(List::F32(scores(pieces.len()))));
    unigram.insert("tokenizer.ggml.token_type", Value::List(List::I32(kinds(pieces.len()))));
    let mut bpe = base("gpt2");
    bpe.insert("tokenizer.ggml.pre", Value::Text("qwen2".into()));
    bpe.insert(
        "tokenizer.ggml.tokens",
        list(&["a", "b", "ab", "\u{120}", "<s>", "</s>", "<|im_start|>", "c"]),
    );
    bpe.insert("tokenizer.ggml.merges", list(&["a b"]));
    bpe.insert("tokenizer.ggml.token_type", Value::List(List::I32(vec![1, 1, 1, 1, 3, 3, 3, 1])));
    let made = [llama, unigram, bpe].map(|metadata| {
        let tensor = |name: &str, kind: TensorKind, bytes| NewTensor {
            name: name.into(),
            dims: vec![32, 2],
            kind,
            bytes,
        };
        let tensors = [tensor("a", TensorKind::F32, 256), tensor("b", TensorKind::Q8_0, 68)];
        let mut file = encode(&metadata, &tensors);
        file.extend([0; 256 + 96]);
        file
    });
    made.into_iter().chain(fixtures).map(|bytes| Input::of(FILE, bytes)).collect()
}

fn base(tokenizer: &str) -> Metadata {
    let mut metadata = Metadata::default();
    let entries = [
        ("general.architecture", Value::Text("llama".into())),
        ("llama.block_count", Value::U32(1)),
        ("a.u8", Value::U8(1)),
        ("a.i64", Value::I64(-1)),
        ("a.f64", Value::F64(0.5)),
        ("a.lists", Value::List(List::Lists(vec![List::U16(vec![1]), List::Bool(vec![true])]))),
        ("tokenizer.ggml.model", Value::Text(tokenizer.into())),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
        ("tokenizer.chat_template", Value::Text("{{ messages }}".into())),
    ];
    for (key, value) in entries {
        metadata.insert(key, value);
    }
    metadata
}

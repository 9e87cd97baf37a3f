//! Fuzzing of what needs no engine: tokenizers, chat templates, run files, rows.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail and report as tests do"
)]

#[path = "../../common/mod.rs"]
mod common;
mod formats;
#[path = "../harness/mod.rs"]
mod harness;
mod lines;
mod protobuf;
mod targets;

fuzz_targets! { formats::FORMATS; tokenizer_json, byte_bpe, sentencepiece, tiktoken, cpm_bee, bee_folders, gguf, templates, run_files, rows, containers }

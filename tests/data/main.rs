//! Tests of package `data` that read files.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they did not run"
)]

#[path = "../common/mod.rs"]
mod common;

mod analysis;
mod bee_folders;
mod broken;
mod convert;
mod cpm_bee;
mod dataset;
mod detection;
mod encode;
mod formats;
mod gguf;
mod kept;
mod known;
mod library;
mod metrics;
mod packed;
mod parquet;
mod prepared;
mod presets;
mod real;
mod sampler;
mod selection;
mod sources;
mod speed;
mod suites;
mod support;
mod templates;
mod tokenizer;
mod tokenizer_hostile;
mod tokenizer_sources;
mod verdict;
mod vocabulary;

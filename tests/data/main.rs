//! Tests of package `data` that read files.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod dataset;
mod detection;
mod encode;
mod formats;
mod sampler;
mod sources;
mod support;
mod templates;
mod tokenizer;
mod verdict;

//! Tests of package `data` that read files.

#[path = "../common/mod.rs"]
mod common;

mod encode;
mod templates;
mod tokenizer;

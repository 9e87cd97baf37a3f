//! What is fuzzed: seeds, and the reading of a folder of files.

pub mod bee_folders;
pub mod byte_bpe;
pub mod containers;
pub mod cpm_bee;
pub mod gguf;
pub mod rows;
pub mod run_files;
pub mod sentencepiece;
pub mod templates;
pub mod tiktoken;
pub mod tokenizer_json;

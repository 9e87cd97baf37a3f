//! The kinds of files a tokenizer is read from, one module each.

use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use super::engine::Engine;
use super::folder::Folder;
use super::{TemplateSource, byte_bpe, cpm_bee, gguf, json, sentencepiece, tiktoken, word_list};

/// A kind of tokenizer file.
pub(super) struct Source {
    /// What the message says that finds no tokenizer: the files that are needed.
    pub files: &'static str,
    /// None if the folder has no tokenizer of this kind.
    pub open: fn(&Path, &Folder) -> Result<Option<Opened>>,
}

/// In the order in which they are looked for: the first that the folder has is read.
const SOURCES: [Source; 7] = [
    json::SOURCE,
    byte_bpe::SOURCE,
    tiktoken::SOURCE,
    sentencepiece::SOURCE,
    cpm_bee::SOURCE,
    word_list::SOURCE,
    gguf::SOURCE,
];

/// A tokenizer and what its kind of file, or the class that read it in Python, says about special tokens.
#[derive(Debug)]
pub(super) struct Opened {
    pub engine: Box<dyn Engine>,
    /// The files of the vocabulary.
    pub files: Vec<PathBuf>,
    /// None where the engine knows itself what to put around a text.
    pub around: Option<Around>,
    /// `bos_token`, … as far as the folder's JSON files may leave them out.
    pub special: Map<String, Value>,
    /// Tokens at which generation ends, besides those that the folder names.
    pub stops: Vec<u32>,
    /// Chat templates, where the folder has none of its own.
    pub templates: Vec<TemplateSource>,
}

impl Opened {
    pub fn new(engine: impl Engine + 'static, files: impl Into<Vec<PathBuf>>) -> Self {
        let (special, stops, templates) = (Map::new(), Vec::new(), Vec::new());
        Self { engine: Box::new(engine), files: files.into(), around: None, special, stops, templates }
    }
}

/// Tokens put around a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    pub front: Vec<u32>,
    /// Between a prompt and its answer: behind a text, and kept behind a prompt (`[gMASK] <sop>` of ChatGLM-6B).
    pub asks: Vec<u32>,
    pub behind: Vec<u32>,
    /// Of a class that does not know `add_bos_token` and `add_eos_token`.
    pub fixed: bool,
}

/// Reads the first kind of tokenizer that the folder has.
pub(super) fn open(dir: &Path, folder: &Folder) -> Result<Opened> {
    for source in &SOURCES {
        if let Some(opened) = (source.open)(dir, folder)? {
            return Ok(opened);
        }
    }
    Err(none_found(dir))
}

/// The first of `names` that the folder has.
pub(super) fn find(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| dir.join(name)).find(|file| file.is_file())
}

fn none_found(dir: &Path) -> UserError {
    let accepted = SOURCES.map(|source| source.files).join(", ");
    let other = ["spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "tekken.json"]
        .into_iter()
        .find(|name| dir.join(name).is_file());
    let error = match other {
        Some(name) => UserError::bad_input(text!(
            "This folder's tokenizer is {name}, which alone is not read; accepted are: {accepted}",
            "该文件夹的分词器为 {name}，无法单独读取；支持的文件：{accepted}"
        )),
        None => UserError::bad_input(text!(
            "This folder has no tokenizer; accepted are: {accepted}",
            "该文件夹中没有分词器；支持的文件：{accepted}"
        )),
    };
    error.in_file(dir).mend(Text::fixed(
        "put one of these files of the model into the folder",
        "请将该模型的上述文件之一放入该文件夹",
    ))
}

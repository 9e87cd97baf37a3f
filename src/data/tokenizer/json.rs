//! `tokenizer.json`.

use std::path::Path;

use protocol::{Result, Text, UserError, text};

use super::engine::guarded;
use super::folder::{self, Folder};
use super::pipeline::Pipeline;
use super::quick;
use super::source::{Opened, Source};

const FILE: &str = "tokenizer.json";

pub(super) const SOURCE: Source = Source { files: FILE, open };

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let file = dir.join(FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let bytes = folder::read_limited(&file, folder::MAX_TOKENIZER_BYTES)?;
    read(&bytes, &file, folder).map(Some)
}

/// A tokenizer.json, which stands in `file`.
///
/// # Errors
/// When it cannot be understood.
pub(super) fn read(bytes: &[u8], file: &Path, folder: &Folder) -> Result<Opened> {
    let quick = guarded(|| Ok(quick::read(bytes))).ok().flatten();
    let crates = || tokenizers::Tokenizer::from_bytes(bytes).map(|inner| (inner, None));
    let (mut inner, largest) = guarded(|| quick.map_or_else(crates, Ok)).map_err(|err| {
        UserError::bad_input(text!(
            "tokenizer.json cannot be understood: {err}",
            "无法解析 tokenizer.json：{err}"
        ))
        .in_file(file)
        .mend(Text::fixed("fetch the file again", "请重新获取该文件"))
    })?;
    // As transformers: cutting and padding are decided by the caller, never by the file.
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|err| {
        UserError::bad_input(text!("tokenizer.json cannot be used: {err}", "tokenizer.json 不可用：{err}"))
            .in_file(file)
    })?;
    folder.add_missing_tokens(&mut inner)?;
    Ok(Opened::new(Pipeline::knowing(inner, largest), [file.to_owned()]))
}

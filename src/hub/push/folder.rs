//! A folder that is to be published: its files, their hashes, and what must not leave the machine.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::{FileHash, Result, Secret, Text, UserError, text};
use sha2::{Digest, Sha256};

use super::Local;
use crate::cache::check_path;
use crate::scan::Scanner;
use crate::transfer::{Prover, hex, prove_file};

/// The hub wants so much of a file to judge whether it is a text.
const SAMPLE: usize = 512;
const DEEPEST: usize = 8;
const MOST_FILES: usize = 2000;

/// Reads every file once: both hashes, the sample, and a look for tokens.
///
/// # Errors
/// When the folder cannot be read, holds nothing, or a file holds a token.
pub fn read(folder: &Path, token: Option<&Secret>) -> Result<Vec<Local>> {
    let mut places = Vec::new();
    collect(folder, "", DEEPEST, &mut places)?;
    places.sort();
    if places.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "There is nothing to publish here",
            "此处没有可发布的文件",
        ))
        .in_file(folder)
        .mend(Text::fixed("choose an exported folder", "请选择导出的文件夹")));
    }
    places.into_iter().map(|(path, place)| local(path, place, token)).collect()
}

/// Hidden files and folders stay: they are tools' own.
fn collect(dir: &Path, prefix: &str, depth: usize, places: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let failed = |err| UserError::io(Text::fixed("read the folder", "读取文件夹"), dir, &err);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = fs::metadata(entry.path()).map_err(failed)?;
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), &path, depth - 1, places)?;
        } else if kind.is_file() {
            check_path(&path)?;
            places.push((path, entry.path()));
        }
        if places.len() > MOST_FILES {
            return Err(UserError::bad_input(text!(
                "More than {MOST_FILES} files: this is no exported model",
                "文件超过 {MOST_FILES} 个：这不是导出的模型"
            ))
            .in_file(dir));
        }
    }
    Ok(())
}

fn local(path: String, place: PathBuf, token: Option<&Secret>) -> Result<Local> {
    let failed = |err| UserError::io(Text::fixed("read a file to publish", "读取要发布的文件"), &place, &err);
    let expected = fs::metadata(&place).map_err(failed)?.len();
    let (mut sha256, mut sample) = (Sha256::new(), Vec::new());
    let mut git = Prover::new(Some(&FileHash::GitSha1(String::new())), expected);
    let mut scanner = Scanner::new(token.cloned());
    let bytes = prove_file(&place, &mut |piece| {
        sha256.update(piece);
        git.update(piece);
        scanner.update(piece);
        let missing = SAMPLE - sample.len().min(SAMPLE);
        sample.extend_from_slice(&piece[..piece.len().min(missing)]);
    })
    .map_err(failed)?;
    if scanner.found() {
        return Err(holds_token(&place));
    }
    let git_sha1 = match git.finish() {
        Some(FileHash::GitSha1(hash)) => hash,
        _ => String::new(),
    };
    Ok(Local { path, bytes, sha256: hex(&sha256.finalize()), git_sha1, sample, place })
}

fn holds_token(place: &Path) -> UserError {
    UserError::bad_input(Text::fixed(
        "A file holds a token: nothing was sent",
        "文件中含有访问令牌：没有发送任何内容",
    ))
    .in_file(place)
    .mend(Text::fixed(
        "take the token out of the file, and revoke it if the file was shared before",
        "请从文件中删除令牌；若文件曾被分享，请吊销该令牌",
    ))
}

/// What a reader of the repository will miss or see that is not for them.
pub fn notes(files: &[Local]) -> Vec<Text> {
    let mut notes = Vec::new();
    let has = |name: &str| files.iter().any(|file| file.path == name);
    if !has("README.md") {
        notes.push(Text::fixed(
            "There is no model card (README.md): nobody will know what this is",
            "没有模型卡（README.md）：他人无法得知这是什么",
        ));
    }
    if has("run.toml") || has("metrics.jsonl") {
        notes.push(Text::fixed(
            "This looks like a run folder with its records, not like an export",
            "这看起来是带有训练记录的运行文件夹，而不是导出结果",
        ));
    }
    for file in files.iter().filter(|file| file.path.ends_with(".json") && file.bytes < 1 << 20) {
        let Ok(text) = fs::read_to_string(&file.place) else { continue };
        if let Some(path) = machine_path(&text) {
            let name = &file.path;
            notes.push(text!("{name} names a path of this machine: {path}", "{name} 中含有本机路径：{path}"));
        }
    }
    notes
}

/// A value that is an absolute path, as `base_model_name_or_path` of an adapter can be.
fn machine_path(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let values = value.as_object()?.iter().filter(|(key, _)| key.contains("path"));
    let mut paths = values.filter_map(|(_, value)| value.as_str());
    paths.find(|path| Path::new(path).is_absolute()).map(str::to_owned)
}

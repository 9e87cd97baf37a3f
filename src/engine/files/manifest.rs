//! `manifest.json`: what a checkpoint folder holds, so that damage is seen.

use std::fs;
use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};

use super::hash::sha256_file;

pub const MANIFEST_NAME: &str = "manifest.json";
/// Version of the folder's layout.
const FORMAT: u32 = 1;
/// Longest manifest accepted, in bytes.
const MAX_MANIFEST: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// Every file but the manifest itself, by path with `/`, sorted.
    pub files: Vec<FileEntry>,
    /// Whatever the writer adds (metrics, counters, versions).
    pub extra: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    pub sha256: String,
}

impl Manifest {
    /// Hashes the files of a folder.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn describe(folder: &Path, step: u64, extra: serde_json::Value) -> Result<Self> {
        let mut files = Vec::new();
        for (name, size) in list(folder, "")? {
            let sha256 = sha256_file(&folder.join(&name))?;
            files.push(FileEntry { name, size, sha256 });
        }
        Ok(Self { format: FORMAT, step, files, extra })
    }

    /// Reads a folder's manifest and holds every file against it.
    ///
    /// # Errors
    /// What is damaged: the manifest itself, or all files that are missing, added or changed.
    pub fn verify(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST_NAME);
        let manifest = read(&path)?;
        let mut damaged = Vec::new();
        let mut there = list(folder, "")?;
        for entry in &manifest.files {
            let Some(at) = there.iter().position(|(name, _)| *name == entry.name) else {
                damaged.push(format!("{}: missing", entry.name));
                continue;
            };
            let (_, size) = there.swap_remove(at);
            if size != entry.size {
                damaged.push(format!("{}: {size} bytes, {} wanted", entry.name, entry.size));
            } else if sha256_file(&folder.join(&entry.name))? != entry.sha256 {
                damaged.push(format!("{}: its content changed", entry.name));
            }
        }
        damaged.extend(there.into_iter().map(|(name, _)| format!("{name}: not in the manifest")));
        if damaged.is_empty() {
            return Ok(manifest);
        }
        let what = Text::fixed("The checkpoint is damaged", "检查点已损坏");
        Err(UserError::bad_input(what).in_file(folder).details(damaged))
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|err| {
            UserError::failure(Text::fixed("The manifest could not be made", "无法生成清单"))
                .detail(err.to_string())
        })
    }
}

fn read(path: &Path) -> Result<Manifest> {
    let reading = |err| UserError::io(Text::fixed("read the manifest", "读取清单"), path, &err);
    let damaged = |reason: String| {
        let what = Text::fixed("The checkpoint's manifest is damaged", "检查点的清单已损坏");
        UserError::bad_input(what).in_file(path).detail(reason)
    };
    let size = fs::metadata(path).map_err(reading)?.len();
    if size > MAX_MANIFEST {
        return Err(damaged(format!("{size} bytes")));
    }
    let bytes = fs::read(path).map_err(reading)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|err| damaged(err.to_string()))?;
    if manifest.format != FORMAT {
        let format = manifest.format;
        let what = text!("The checkpoint has the unknown format {format}", "检查点的格式 {format} 未知");
        return Err(UserError::bad_input(what).in_file(path));
    }
    Ok(manifest)
}

/// Every regular file below a folder but its manifest, with its size, sorted by name.
fn list(folder: &Path, prefix: &str) -> Result<Vec<(String, u64)>> {
    let listing = |err| UserError::io(Text::fixed("list the folder", "列出文件夹"), folder, &err);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(listing)?;
        if metadata.is_dir() {
            files.extend(list(&entry.path(), &format!("{name}/"))?);
        } else if name != MANIFEST_NAME {
            files.push((name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}

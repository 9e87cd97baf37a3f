//! Which files of a model folder hold its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use protocol::{Result, Text, UserError, text};

use super::pairs::Pairs;

/// Looked for in this order: (single file, index of shards).
const CANDIDATES: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

/// Longest index accepted, in bytes.
const MAX_INDEX: u64 = 100_000_000;

/// The weights of a model folder.
#[derive(Debug)]
pub enum Source {
    Single(PathBuf),
    Sharded(Index),
    /// A GGUF model: one file, or its parts in order.
    Gguf(Vec<PathBuf>),
}

/// `*.index.json`: which shard holds which tensor.
#[derive(Debug)]
pub struct Index {
    pub path: PathBuf,
    /// Tensor name → shard's file name.
    pub shard_of: BTreeMap<String, String>,
    /// Every shard, by file name.
    pub shards: BTreeMap<String, PathBuf>,
}

/// # Errors
/// No weights in the folder; an index that is malformed, points outside the folder or at missing files (all
/// of them are listed).
pub fn find(folder: &Path) -> Result<Source> {
    let metadata = std::fs::metadata(folder)
        .map_err(|err| UserError::io(Text::fixed("open the model folder", "打开模型文件夹"), folder, &err))?;
    let gguf = || data::gguf::find(folder);
    if !metadata.is_dir() {
        let what =
            Text::fixed("The model must be a folder, or a .gguf file", "模型必须是一个文件夹或 .gguf 文件");
        return gguf()?.map(Source::Gguf).ok_or_else(|| UserError::bad_input(what).in_file(folder));
    }
    for (single, index) in CANDIDATES {
        if folder.join(single).is_file() {
            return Ok(Source::Single(folder.join(single)));
        }
        if folder.join(index).is_file() {
            return read_index(folder, index).map(Source::Sharded);
        }
    }
    if let Some(files) = gguf()? {
        return Ok(Source::Gguf(files));
    }
    let what = Text::fixed("The folder holds no weights", "文件夹中没有权重文件");
    let looked = CANDIDATES.into_iter().flat_map(|(single, index)| [single, index]).chain(["*.gguf"]);
    Err(UserError::bad_input(what)
        .in_file(folder)
        .details(looked.map(|name| format!("looked for {name}")))
        .mend(Text::fixed("download the model's weight files too", "请一并下载模型的权重文件")))
}

#[derive(serde::Deserialize)]
struct IndexFile {
    weight_map: Pairs<String>,
}

fn read_index(folder: &Path, name: &str) -> Result<Index> {
    let path = folder.join(name);
    let bytes = read_limited(&path)?;
    let malformed = |what: Text| UserError::bad_input(what).in_file(&path);
    let index: IndexFile = serde_json::from_slice(&bytes).map_err(|err| {
        malformed(text!("The index of the shards is malformed: {err}", "分片索引格式错误：{err}"))
    })?;
    if let Some(name) = index.weight_map.duplicate() {
        let what = text!("The index names {name} twice", "索引中 {name} 出现两次");
        return Err(malformed(what).at_item(name));
    }
    if index.weight_map.0.is_empty() {
        return Err(malformed(Text::fixed("The index names no weights", "索引中没有任何权重")));
    }
    let names: BTreeSet<&String> = index.weight_map.0.iter().map(|(_, shard)| shard).collect();
    let outside: Vec<String> =
        names.iter().filter(|name| !is_basename(name)).map(|name| format!("{name:?}")).collect();
    if !outside.is_empty() {
        let what = Text::fixed(
            "The index points outside its folder; only plain file names are allowed",
            "索引指向文件夹之外；只允许纯文件名",
        );
        return Err(malformed(what).details(outside));
    }
    let shards: BTreeMap<String, PathBuf> =
        names.into_iter().map(|name| (name.clone(), folder.join(name))).collect();
    check_present(&path, &shards)?;
    Ok(Index { path, shard_of: index.weight_map.0.into_iter().collect(), shards })
}

/// All missing shards at once. A symbolic link is followed (the Hugging Face cache is made of them), but what
/// it leads to must be a regular file.
fn check_present(index: &Path, shards: &BTreeMap<String, PathBuf>) -> Result<()> {
    let missing: Vec<String> =
        shards.iter().filter(|(_, path)| !path.is_file()).map(|(name, _)| name.clone()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (count, all) = (missing.len(), shards.len());
    let what = text!("{count} of {all} weight files are missing", "{all} 个权重文件中缺少 {count} 个");
    Err(UserError::bad_input(what)
        .in_file(index)
        .details(missing)
        .mend(Text::fixed("download the missing files into the folder", "请将缺少的文件下载到该文件夹")))
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let reading = |err| UserError::io(Text::fixed("read the index", "读取索引"), path, &err);
    let size = std::fs::metadata(path).map_err(reading)?.len();
    if size > MAX_INDEX {
        let what = text!("The index has {size} bytes, more than any model needs", "索引有 {size} 字节，过大");
        return Err(UserError::bad_input(what).in_file(path));
    }
    std::fs::read(path).map_err(reading)
}

/// One plain file name on every platform: no separator, no drive, no `..`, no NUL.
fn is_basename(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    one && !name.contains(['/', '\\', ':', '\0'])
}

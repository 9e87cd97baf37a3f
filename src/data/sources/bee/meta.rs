//! `meta.bin`: a line of JSON for each data file of a folder.

use std::path::{Path, PathBuf};

use protocol::{Result, UserError, text};
use serde::Deserialize;

use crate::tokenizer::read_text;

const FILE: &str = "meta.bin";
/// Some hundred bytes a data file.
const LONGEST: u64 = 16 << 20;

#[derive(Deserialize)]
struct Entry {
    file_name: String,
    /// Not to be drawn from.
    #[serde(default)]
    mask: bool,
    block_size: u64,
}

/// The data files of a folder, in the order in which they were added, those that are masked left out; None where it is no
/// such folder.
///
/// # Errors
/// When its list cannot be understood.
pub(crate) fn files(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(entries) = entries(folder)? else { return Ok(None) };
    Ok(Some(entries.iter().filter(|entry| !entry.mask).map(|entry| folder.join(&entry.file_name)).collect()))
}

/// Whether a folder is such a dataset.
pub(crate) fn is_listed(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// The size of the blocks of a data file, by the list beside it.
pub fn block_of(file: &Path) -> Result<Option<u64>> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(None) };
    let entries = entries(folder)?.unwrap_or_default();
    Ok(entries.iter().find(|entry| name == entry.file_name.as_str()).map(|entry| entry.block_size))
}

fn entries(folder: &Path) -> Result<Option<Vec<Entry>>> {
    let file = folder.join(FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let listed = read_text(&file, LONGEST)?;
    let lines = listed.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(number, line): (usize, &str)| {
        let bad = |why: String| {
            UserError::bad_input(text!(
                "The list of a CPM-Bee dataset cannot be read: {why}",
                "无法读取 CPM-Bee 数据集的文件列表：{why}"
            ))
            .in_file(&file)
            .at_row(number as u64 + 1)
        };
        let entry: Entry = serde_json::from_str(line).map_err(|err| bad(err.to_string()))?;
        let plain =
            Path::new(&entry.file_name).file_name().is_some_and(|name| name == entry.file_name.as_str());
        if !plain || entry.block_size == 0 {
            return Err(bad(format!("{:?}, {} bytes a block", entry.file_name, entry.block_size)));
        }
        Ok(entry)
    };
    lines.map(entry).collect::<Result<_>>().map(Some)
}

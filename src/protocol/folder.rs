//! What lies in a folder of the engine's machine, for a window on another one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Text;

/// A folder's contents: folders first, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderReport {
    /// From the root.
    pub dir: PathBuf,
    /// None: `dir` is a root.
    pub parent: Option<PathBuf>,
    pub entries: Vec<FolderEntry>,
    /// How many more lie there: of a crowded folder only a part is told, and names that are no text cannot be.
    pub left_out: u64,
    /// Where one may begin: home, runs, the roots or drives.
    pub places: Vec<FolderPlace>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    pub name: String,
    pub kind: EntryKind,
    /// 0 for a folder.
    pub bytes: u64,
    /// Seconds since 1970, if known.
    pub modified: Option<u64>,
}

/// What an entry is; folders that are something say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    Folder,
    ModelFolder,
    AdapterFolder,
    RunFolder,
    File,
}

impl EntryKind {
    pub fn is_folder(self) -> bool {
        self != Self::File
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderPlace {
    pub name: Text,
    pub dir: PathBuf,
}

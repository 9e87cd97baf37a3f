//! Folders and files that appear under their name all at once, or not at all.
//!
//! Everything is written beside the final place under a hidden name, synced to the disk, renamed, and the
//! folder that holds the name is synced. A crash at any moment leaves the old state or the new one, plus at
//! most a hidden leftover, which the next attempt removes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use data::space::write_error;
use protocol::{Result, Text, UserError};
use tempfile::{Builder, NamedTempFile, TempDir};

/// Longest part of the final name that the hidden one repeats, so that it stays below 255 bytes.
const MAX_STEM: usize = 120;
/// Between the final name and the random part of a hidden one.
pub(super) const MARK: &str = ".tmp-";

/// A folder in the making. Dropping it without [`commit`](Self::commit) removes it.
#[derive(Debug)]
pub struct AtomicDir {
    temporary: TempDir,
    last: PathBuf,
    /// Tells a folder in the making from what a killed process left; released however the process ends.
    _in_use: Option<File>,
}

impl AtomicDir {
    /// Starts a folder that is to appear as `path`; missing parents are made, and what killed processes left
    /// of this folder is removed.
    ///
    /// # Errors
    /// The name is taken (an empty folder is not), or the parent cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        refuse_taken(path)?;
        let parent = make_parent(path)?;
        let prefix = hidden_prefix(path);
        remove_leftovers(&parent, &prefix)?;
        let mut builder = Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let temporary = builder.tempdir_in(&parent).map_err(|err| {
            UserError::io(Text::fixed("make a folder here", "在此处创建文件夹"), &parent, &err)
        })?;
        let in_use = File::open(temporary.path()).ok().filter(|folder| folder.try_lock().is_ok());
        Ok(Self { temporary, last: path.to_path_buf(), _in_use: in_use })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Syncs every file and folder, and gives the folder its name.
    ///
    /// # Errors
    /// A failing disk, or the name was taken meanwhile. Nothing is left under the name then.
    pub fn commit(self) -> Result<PathBuf> {
        let Self { temporary, last, _in_use } = self;
        sync_tree(temporary.path())?;
        refuse_taken(&last)?;
        let finishing =
            |err| UserError::io(Text::fixed("finish the folder", "完成文件夹的写入"), &last, &err);
        // Unix renames onto an empty folder, Windows onto nothing.
        if cfg!(not(unix)) && last.exists() {
            fs::remove_dir(&last).map_err(finishing)?;
        }
        fs::rename(temporary.path(), &last).map_err(finishing)?;
        // The folder has moved: there is nothing to remove any more.
        drop(temporary.keep());
        sync_parent(&last)?;
        Ok(last)
    }
}

/// A file in the making. Dropping it without [`commit`](Self::commit) removes it. Unlike a folder it
/// replaces an older file of the name.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    last: PathBuf,
}

impl AtomicFile {
    /// Starts a file that is to appear as `path`; missing parents are made.
    ///
    /// # Errors
    /// The parent cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let parent = make_parent(path)?;
        let mut builder = Builder::new();
        let prefix = hidden_prefix(path);
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(&parent).map_err(|err| write_error(path, 0, &err))?;
        Ok(Self { temporary, last: path.to_path_buf() })
    }

    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Syncs the file and gives it its name, in place of an older one.
    ///
    /// # Errors
    /// A failing disk; the older file is untouched then.
    pub fn commit(self) -> Result<()> {
        let Self { temporary, last } = self;
        let failed = |err: &std::io::Error| write_error(&last, 0, err);
        temporary.as_file().sync_all().map_err(|err| failed(&err))?;
        temporary.persist(&last).map_err(|err| failed(&err.error))?;
        sync_parent(&last)
    }

    /// The whole of a small file at once.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`commit`](Self::commit).
    pub fn write(path: &Path, content: &[u8]) -> Result<()> {
        let mut file = Self::create(path)?;
        let written = file.file().write_all(content);
        written.map_err(|err| write_error(path, content.len() as u64, &err))?;
        file.commit()
    }
}

/// Removes folders and files in the making that begin with `prefix` and belong to no living process, and
/// returns their number. (A file in the making carries no mark of life: give a prefix that matches files
/// only where no other process writes.)
///
/// # Errors
/// The folder cannot be listed, or a leftover cannot be removed.
pub(crate) fn remove_leftovers(folder: &Path, prefix: &str) -> Result<usize> {
    let removing = |path: &Path, err| {
        UserError::io(Text::fixed("remove an unfinished write", "删除未完成的写入"), path, &err)
    };
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(|err| removing(folder, err))? {
        let entry = entry.map_err(|err| removing(folder, err))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !(name.starts_with(prefix) && name.contains(MARK)) {
            continue;
        }
        let path = entry.path();
        if !path.is_dir() {
            fs::remove_file(&path).map_err(|err| removing(&path, err))?;
        } else if is_abandoned(&path) {
            fs::remove_dir_all(&path).map_err(|err| removing(&path, err))?;
        } else {
            continue;
        }
        removed += 1;
    }
    Ok(removed)
}

/// Where folders cannot be locked, only the name speaks.
fn is_abandoned(folder: &Path) -> bool {
    File::open(folder).map_or(cfg!(windows), |folder| folder.try_lock().is_ok())
}

fn hidden_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = &name[..name.floor_char_boundary(MAX_STEM)];
    format!(".{stem}{MARK}")
}

fn refuse_taken(path: &Path) -> Result<()> {
    let taken = match fs::symlink_metadata(path) {
        Err(_) => false,
        Ok(metadata) if metadata.is_dir() => {
            let mut entries = fs::read_dir(path).map_err(|err| {
                UserError::io(Text::fixed("look into the folder", "查看文件夹"), path, &err)
            })?;
            entries.next().is_some()
        }
        Ok(_) => true,
    };
    if !taken {
        return Ok(());
    }
    let what = Text::fixed("The output folder exists and is not empty", "输出文件夹已存在且不为空");
    let mend = Text::fixed("choose another name, or remove the old folder", "请换一个名称，或删除旧文件夹");
    Err(UserError::bad_input(what).in_file(path).mend(mend))
}

fn make_parent(path: &Path) -> Result<PathBuf> {
    let parent = parent_of(path);
    fs::create_dir_all(&parent)
        .map_err(|err| UserError::io(Text::fixed("make the folder", "创建文件夹"), &parent, &err))?;
    Ok(parent)
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Files first, then the folders that name them, from the inside out.
fn sync_tree(folder: &Path) -> Result<()> {
    let syncing = |path: &Path, err| UserError::io(Text::fixed("save to the disk", "写入磁盘"), path, &err);
    for entry in fs::read_dir(folder).map_err(|err| syncing(folder, err))? {
        let entry = entry.map_err(|err| syncing(folder, err))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|err| syncing(&path, err))?;
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            let synced = open_to_sync(&path).and_then(|file| file.sync_all());
            synced.map_err(|err| syncing(&path, err))?;
        }
    }
    sync_folder(folder)
}

/// Windows flushes only handles that may write; Unix syncs any, also of a read-only file.
fn open_to_sync(path: &Path) -> std::io::Result<File> {
    if cfg!(windows) { File::options().write(true).open(path) } else { File::open(path) }
}

fn sync_parent(path: &Path) -> Result<()> {
    sync_folder(&parent_of(path))
}

/// Makes the names in a folder durable. Windows has no such call and needs none.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let synced = File::open(folder).and_then(|file| file.sync_all());
    synced.map_err(|err| UserError::io(Text::fixed("save the folder", "保存文件夹"), folder, &err))
}

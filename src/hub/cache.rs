//! The folder where Hugging Face's tools keep what they fetch: `blobs` by hash, `snapshots` of links by commit, `refs`
//! from branches to commits. What we fetch they find, and the other way round.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use protocol::{FileHash, RepoRef, Result, Text, UserError, text};
use sha2::{Digest, Sha256};

use crate::hubs::plural;

/// A snapshot is walked so deep.
const DEEPEST: usize = 16;

/// The cache of one hub.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// One repository in it.
#[derive(Clone, Debug)]
pub struct CachedRepo {
    dir: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn repo(&self, repo: &RepoRef) -> CachedRepo {
        let name = format!("{}--{}", plural(repo.kind), repo.id.replace('/', "--"));
        CachedRepo { dir: self.root.join(&name), locks: self.root.join(".locks").join(name) }
    }
}

impl CachedRepo {
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    pub fn blob(&self, name: &str) -> PathBuf {
        self.dir.join("blobs").join(name)
    }

    /// Taken while a blob is written, as Python's tools do.
    pub fn lock(&self, name: &str) -> PathBuf {
        self.locks.join(format!("{name}.lock"))
    }

    /// The commit that a revision was when it was fetched.
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.dir.join("refs").join(revision)).ok()?.trim().to_owned();
        (is_name(&commit) && self.snapshot(&commit).is_dir()).then_some(commit)
    }

    /// Files of a snapshot and their sizes, sorted; links that lead nowhere are left out.
    pub fn files(&self, commit: &str) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        walk(&self.snapshot(commit), "", DEEPEST, &mut files);
        files.sort();
        files
    }

    /// Gives a proven blob its name in a snapshot.
    ///
    /// # Errors
    /// When the link cannot be made.
    pub fn link(&self, blob: &str, commit: &str, path: &str) -> Result<()> {
        let place = self.snapshot(commit).join(path);
        let failed = |err: io::Error| UserError::io(doing(), &place, &err);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match fs::remove_file(&place) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
            _ => {}
        }
        // From `snapshots/<commit>/a/b` up to the repository and down to the blob.
        let up = "../".repeat(path.split('/').count() + 1);
        link_file(&self.blob(blob), &format!("{up}blobs/{blob}"), &place).map_err(failed)
    }

    /// Notes what a branch is, when all is there.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let place = self.dir.join("refs").join(revision);
        let failed = |err: io::Error| UserError::io(doing(), &place, &err);
        let parent = place.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
        io::Write::write_all(&mut file, commit.as_bytes()).map_err(failed)?;
        file.persist(&place).map(drop).map_err(|err| failed(err.error))
    }
}

#[cfg(unix)]
fn link_file(_: &Path, relative: &str, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, place)
}

/// Links to files are a privilege elsewhere; a second name for the same bytes is not.
#[cfg(not(unix))]
fn link_file(blob: &Path, _: &str, place: &Path) -> io::Result<()> {
    fs::hard_link(blob, place).or_else(|_| fs::copy(blob, place).map(drop))
}

fn walk(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, u64)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() && depth > 0 => walk(&entry.path(), &path, depth - 1, files),
            Ok(found) if found.is_file() => files.push((path, found.len())),
            _ => {}
        }
    }
}

/// The name of a blob: its hash, as Hugging Face's `ETag` has it. Where the hub names none, something that no other
/// file of the repository has.
pub fn blob_name(hash: Option<&FileHash>, commit: &str, path: &str) -> String {
    match hash {
        Some(FileHash::Sha256(hash) | FileHash::GitSha1(hash)) => hash.clone(),
        None => {
            let digest = Sha256::digest(format!("{commit}\n{path}"));
            format!("unproven-{}", crate::transfer::hex(&digest))
        }
    }
}

/// One part of a path.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 200 && name.chars().all(plain) && !name.starts_with('.')
}

/// Refuses names of files that would leave the folder, or that no file system takes.
///
/// # Errors
/// When the hub's listing has such a name.
pub fn check_path(path: &str) -> Result<()> {
    let parts_are_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let odd = |c: char| c.is_control() || c == '\\' || c == ':';
    let tidy = !path.is_empty()
        && path.len() <= 1000
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if parts_are_plain && tidy && !path.contains(odd) && path.split('/').count() <= DEEPEST {
        return Ok(());
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(UserError::bad_input(text!(
        "The hub lists a file whose name cannot be used: `{shown}`",
        "该仓库中有名称无法使用的文件：“{shown}”"
    )))
}

fn doing() -> Text {
    Text::fixed("put a file into the hub's cache", "将文件放入缓存")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder() {
        for path in ["a", "a/b.txt", "data/train-00000-of-00001.parquet", "中文.json"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
        for path in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "a\\b", "c:x", "a\n", "./a"] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}

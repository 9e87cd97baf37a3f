//! Makes cubecl and cudarc use the toolkit that was found.
//!
//! What they look for is fixed (cubecl-cuda 0.11.3, `lib.rs`, `compute/context.rs`; cudarc 0.19.10, `lib.rs`):
//! headers in `<CUDA_PATH>/include` and `<CUDA_PATH>/include/cccl`, and NVRTC by the names `libnvrtc.so`,
//! `libnvrtc.so.12`, `.so.11`, … that `dlopen` resolves. So one folder is made that answers to both, of links
//! only: `include/` and `lib64/libnvrtc.so`, with NVRTC's builtins beside it.
//!
//! glibc reads `LD_LIBRARY_PATH` when a process starts, not when it calls `dlopen`, so the program then runs
//! itself again with both variables set. Loading NVRTC beforehand by its path would not do: CUDA 13's is called
//! `libnvrtc.so.13`, which bindings of CUDA 12.8 do not ask for, and it opens its builtins by a bare name without
//! a search path of its own. Running again also means that no variable is ever changed while threads read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::toolkit::{Toolkit, builtins_of};

/// Folders deeper than this are linked whole; the toolkit's own merge at the second level.
const MERGE_DEPTH: usize = 4;

/// What a folder of links holds: path within it → what it points to.
pub type Links = BTreeMap<PathBuf, PathBuf>;

/// The links that stand for a toolkit.
///
/// # Errors
/// When a folder of the toolkit cannot be read.
pub fn plan(toolkit: &Toolkit) -> io::Result<Links> {
    let mut links = Links::new();
    let includes =
        toolkit.includes.iter().map(|folder| folder.canonicalize()).collect::<io::Result<Vec<_>>>()?;
    merge(Path::new("include"), &includes, MERGE_DEPTH, &mut links)?;
    links.insert("lib64/libnvrtc.so".into(), toolkit.nvrtc.canonicalize()?);
    for builtins in builtins_of(&toolkit.nvrtc) {
        if let Some(name) = builtins.file_name() {
            links.insert(Path::new("lib64").join(name), builtins.clone());
        }
    }
    Ok(links)
}

/// Several folders as one: a link where only one has an entry, a folder of links where several have a folder
/// of that name. Of files with the same name the first counts.
fn merge(at: &Path, folders: &[PathBuf], depth: usize, links: &mut Links) -> io::Result<()> {
    if let [only] = folders {
        links.insert(at.to_owned(), only.clone());
        return Ok(());
    }
    let mut entries = BTreeMap::<_, Vec<PathBuf>>::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            entries.entry(entry.file_name()).or_default().push(entry.path());
        }
    }
    for (name, mut paths) in entries {
        let at = at.join(name);
        if paths.iter().all(|path| path.is_dir()) && depth > 0 {
            merge(&at, &paths, depth - 1, links)?;
        } else {
            links.insert(at, paths.swap_remove(0));
        }
    }
    Ok(())
}

/// Makes the folder of links below `cache`, unless it is there. Its name follows from its content, so a toolkit
/// that changes gets another one, and what a running program uses is never touched.
///
/// # Errors
/// When it cannot be written.
pub fn make(links: &Links, cache: &Path) -> io::Result<PathBuf> {
    let folder = cache.join("cuda").join(name_of(links));
    if folder.is_dir() {
        return Ok(folder);
    }
    let parent = cache.join("cuda");
    std::fs::create_dir_all(&parent)?;
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(&parent)?;
    for (link, target) in links {
        let link = draft.path().join(link);
        if let Some(parent) = link.parent() {
            std::fs::create_dir_all(parent)?;
        }
        symlink(target, link)?;
    }
    match std::fs::rename(draft.path(), &folder) {
        // Another process was faster: it made the same.
        Err(err) if !folder.is_dir() => Err(err),
        _ => Ok(folder),
    }
}

fn name_of(links: &Links) -> String {
    let mut hash = Sha256::new();
    for (link, target) in links {
        for path in [link, target] {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update([0]);
        }
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut name, byte| {
        // Writing into a String never fails.
        write!(name, "{byte:02x}").ok();
        name
    })
}

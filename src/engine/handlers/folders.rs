//! What lies in a folder, for a window on another machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use protocol::{
    EntryKind, Event, FolderEntry, FolderPlace, FolderReport, RequestId, Result, Text, UserError,
};

use crate::sink::Sink;

/// Entries that are told; folders come first.
const TOLD: usize = 2_000;
/// Names that are read at most: a folder may hold millions.
const READ: usize = 200_000;
/// Folders that are looked into, to say what they are.
const LOOKED_INTO: usize = 400;
/// What makes a folder something, as a drop on the window has it.
const MARKS: [(&str, EntryKind); 3] = [
    ("plan.json", EntryKind::RunFolder),
    ("adapter_config.json", EntryKind::AdapterFolder),
    ("config.json", EntryKind::ModelFolder),
];

/// Lists `dir`, or the user's home. `runs` is offered as a place.
///
/// # Errors
/// When the folder cannot be read, or its name cannot be told.
pub fn list_folder(request: RequestId, dir: Option<&Path>, runs: &Path, sink: &mut Sink) -> Result<()> {
    let home = std::env::home_dir().filter(|home| home.is_dir());
    let dir = dir.map(Path::to_path_buf).or_else(|| home.clone()).unwrap_or_else(|| runs.to_path_buf());
    let report = Box::new(report(&dir, places(home, runs))?);
    sink.emit(Event::Folder { request, report });
    Ok(())
}

fn report(dir: &Path, places: Vec<FolderPlace>) -> Result<FolderReport> {
    let failed = |err: std::io::Error| UserError::io(Text::fixed("read the folder", "读取文件夹"), dir, &err);
    let dir = std::path::absolute(dir).map_err(failed)?;
    if dir.to_str().is_none() {
        let what = Text::fixed("The folder's name is no text", "文件夹名称不是有效文本");
        return Err(UserError::bad_input(what));
    }
    let mut names = fs::read_dir(&dir).map_err(failed)?;
    let (mut kept, mut left_out) = (Kept::default(), 0);
    for entry in names.by_ref().take(READ).flatten() {
        match told(&entry) {
            Some(entry) => left_out += kept.put(entry),
            None => left_out += 1,
        }
    }
    left_out += names.count() as u64;
    let mut entries = kept.in_order();
    for entry in entries.iter_mut().filter(|entry| entry.kind.is_folder()).take(LOOKED_INTO) {
        entry.kind = kind(&dir.join(&entry.name));
    }
    let parent = dir.parent().map(Path::to_path_buf);
    Ok(FolderReport { dir, parent, entries, left_out, places })
}

/// An entry as a message can hold it; none where its name is no text, or it is neither file nor folder.
fn told(entry: &fs::DirEntry) -> Option<FolderEntry> {
    let name = entry.file_name().into_string().ok()?;
    // Through links: what they lead to is what one picks.
    let found = fs::metadata(entry.path()).ok()?;
    let kind = match (found.is_dir(), found.is_file()) {
        (true, _) => EntryKind::Folder,
        (_, true) => EntryKind::File,
        _ => return None,
    };
    let bytes = if found.is_file() { found.len() } else { 0 };
    let modified = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some(FolderEntry { name, kind, bytes, modified: modified.map(|time| time.as_secs()) })
}

fn kind(folder: &Path) -> EntryKind {
    let found = MARKS.iter().find(|(file, _)| folder.join(file).is_file());
    found.map_or(EntryKind::Folder, |(_, kind)| *kind)
}

/// The first entries of a folder of any size, in the order of the report.
#[derive(Default)]
struct Kept(BinaryHeap<Ordered>);

impl Kept {
    /// How many had to go for it: none or one.
    fn put(&mut self, entry: FolderEntry) -> u64 {
        self.0.push(Ordered(entry));
        if self.0.len() <= TOLD {
            return 0;
        }
        self.0.pop();
        1
    }

    fn in_order(self) -> Vec<FolderEntry> {
        self.0.into_sorted_vec().into_iter().map(|Ordered(entry)| entry).collect()
    }
}

/// Folders first, then by name as people look for it.
struct Ordered(FolderEntry);

impl Ordered {
    fn key(&self) -> (Reverse<bool>, String, &str) {
        (Reverse(self.0.kind.is_folder()), self.0.name.to_lowercase(), &self.0.name)
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

fn places(home: Option<PathBuf>, runs: &Path) -> Vec<FolderPlace> {
    let place = |name: Text, dir: PathBuf| FolderPlace { name, dir };
    let home = home.map(|home| place(Text::fixed("Home", "主目录"), home));
    let runs = Some(runs).filter(|runs| runs.is_dir());
    let runs = runs.map(|runs| place(Text::fixed("Runs", "训练记录"), runs.to_path_buf()));
    let roots = roots().into_iter().map(|root| {
        let name = root.display().to_string();
        place(Text::new(name.clone(), name), root)
    });
    home.into_iter().chain(runs).chain(roots).filter(|place| place.dir.to_str().is_some()).collect()
}

/// The root, or the drives.
fn roots() -> Vec<PathBuf> {
    if cfg!(windows) {
        let drives = ('A'..='Z').map(|letter| PathBuf::from(format!("{letter}:\\")));
        return drives.filter(|drive| drive.is_dir()).collect();
    }
    vec![PathBuf::from("/")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(report: &FolderReport) -> Vec<(&str, EntryKind)> {
        report.entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect()
    }

    #[test]
    fn folders_come_first_and_say_what_they_are() {
        let home = tempfile::tempdir().unwrap();
        for (folder, file) in
            [("model", "config.json"), ("Adapter", "adapter_config.json"), ("run", "plan.json")]
        {
            fs::create_dir(home.path().join(folder)).unwrap();
            fs::write(home.path().join(folder).join(file), "{}").unwrap();
        }
        fs::create_dir(home.path().join("other")).unwrap();
        fs::write(home.path().join("a.jsonl"), "12345").unwrap();
        let report = report(home.path(), Vec::new()).unwrap();
        let wanted = [
            ("Adapter", EntryKind::AdapterFolder),
            ("model", EntryKind::ModelFolder),
            ("other", EntryKind::Folder),
            ("run", EntryKind::RunFolder),
            ("a.jsonl", EntryKind::File),
        ];
        assert_eq!(names(&report), wanted);
        assert_eq!((report.entries[4].bytes, report.left_out), (5, 0));
        assert_eq!(report.parent.as_deref(), home.path().parent());
    }

    #[test]
    fn a_crowded_folder_is_cut_and_says_so() {
        let home = tempfile::tempdir().unwrap();
        for n in 0..TOLD + 30 {
            fs::write(home.path().join(format!("{n:05}.txt")), "").unwrap();
        }
        fs::create_dir(home.path().join("zz")).unwrap();
        let report = report(home.path(), Vec::new()).unwrap();
        assert_eq!((report.entries.len(), report.left_out), (TOLD, 31));
        assert_eq!(report.entries[0].name, "zz", "a folder is not lost among files");
        assert_eq!(report.entries[1].name, "00000.txt");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_and_links_to_nothing_are_counted() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
        std::os::unix::fs::symlink("/no/such/file", home.path().join("dangling")).unwrap();
        std::os::unix::fs::symlink(home.path(), home.path().join("round")).unwrap();
        let report = report(home.path(), Vec::new()).unwrap();
        assert_eq!(names(&report), [("round", EntryKind::Folder)]);
        assert_eq!(report.left_out, 2);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_place() {
        let error = report(Path::new("/no/such/folder"), Vec::new()).unwrap_err();
        assert_eq!(error.place.file.as_deref(), Some(Path::new("/no/such/folder")));
        assert!(places(None, Path::new("/no/such/folder")).iter().all(|place| place.dir.parent().is_none()));
    }
}

//! The dialog for files of another machine, which is asked for its folders.

use std::path::{Path, PathBuf};

use protocol::{Event, FolderEntry, FolderReport, RequestId};

use super::Requested;
use crate::desktop::{DesktopRequest, Purpose};

/// What the dialog wants.
#[derive(Clone, Debug, PartialEq)]
pub enum BrowseAction {
    /// Shows another folder.
    Go(PathBuf),
    /// An entry was clicked.
    Choose(String),
    /// The file's name was typed.
    Name(String),
    ShowAll(bool),
    ShowHidden(bool),
    /// The dialog is over with what is chosen.
    Take,
    Close,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    Folder,
    Files {
        /// Without dots; empty: any file.
        extensions: Vec<String>,
        many: bool,
    },
    Save,
}

#[derive(Debug)]
pub struct Browse {
    pub purpose: Purpose,
    pub pick: Pick,
    pub listing: Requested<Box<FolderReport>>,
    /// Names in the folder.
    pub chosen: Vec<String>,
    /// Of the file to be written.
    pub name: String,
    pub all_files: bool,
    pub hidden: bool,
}

impl Browse {
    /// The dialog that stands in for one of the system, and the folder it begins in; none where this machine's files
    /// are meant.
    pub fn of(request: &DesktopRequest) -> Option<(Self, Option<PathBuf>)> {
        let (purpose, pick, name, start) = match request {
            DesktopRequest::PickFolder { purpose, start } => {
                (purpose, Pick::Folder, String::new(), start.clone())
            }
            DesktopRequest::PickFiles { purpose, extensions, many } => {
                let pick = Pick::Files { extensions: extensions.clone(), many: *many };
                (purpose, pick, String::new(), None)
            }
            DesktopRequest::PickSave { purpose, suggested } => (purpose, Pick::Save, suggested.clone(), None),
            _ => return None,
        };
        // The window itself writes these.
        if matches!(purpose, Purpose::SaveFigures | Purpose::SavePicture) {
            return None;
        }
        let start = start.filter(|start| !start.as_os_str().is_empty());
        let browse = Self {
            purpose: purpose.clone(),
            pick,
            listing: Requested::default(),
            chosen: Vec::new(),
            name,
            all_files: false,
            hidden: false,
        };
        Some((browse, start))
    }

    pub fn ask(&mut self, request: RequestId) {
        self.chosen.clear();
        self.listing.ask(request);
    }

    pub fn reduce(&mut self, event: &Event) {
        if let Event::Folder { request, report } = event {
            self.listing.answer(*request, report.clone());
        }
    }

    pub fn choose(&mut self, name: String) {
        match (&self.pick, self.chosen.iter().position(|chosen| *chosen == name)) {
            (Pick::Files { many: true, .. }, Some(place)) => {
                self.chosen.remove(place);
            }
            (Pick::Files { many: true, .. }, None) => self.chosen.push(name),
            (Pick::Save, _) => self.name = name,
            _ => self.chosen = vec![name],
        }
    }

    /// What is shown of the folder.
    pub fn entries(&self) -> Vec<&FolderEntry> {
        let Some(report) = &self.listing.value else { return Vec::new() };
        report.entries.iter().filter(|entry| self.is_shown(entry)).collect()
    }

    fn is_shown(&self, entry: &FolderEntry) -> bool {
        if entry.name.starts_with('.') && !self.hidden {
            return false;
        }
        match &self.pick {
            _ if entry.kind.is_folder() => true,
            Pick::Folder => false,
            Pick::Files { extensions, .. } if !extensions.is_empty() && !self.all_files => {
                let own = entry.name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
                own.is_some_and(|own| extensions.contains(&own))
            }
            Pick::Files { .. } | Pick::Save => true,
        }
    }

    /// Whether the file to be written is there already.
    pub fn replaces(&self) -> bool {
        let known = |report: &FolderReport| report.entries.iter().any(|entry| entry.name == self.name.trim());
        self.pick == Pick::Save && self.listing.value.as_deref().is_some_and(known)
    }

    /// What would be taken; empty while nothing can be.
    pub fn taken(&self) -> Vec<PathBuf> {
        let Some(report) = &self.listing.value else { return Vec::new() };
        match &self.pick {
            Pick::Folder => match self.chosen.first() {
                Some(name) => vec![joined(&report.dir, name)],
                None => vec![report.dir.clone()],
            },
            Pick::Files { .. } => self.chosen.iter().map(|name| joined(&report.dir, name)).collect(),
            Pick::Save if is_name(self.name.trim()) => vec![joined(&report.dir, self.name.trim())],
            Pick::Save => Vec::new(),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\'])
}

/// The other machine's own separator: it may be of another system than this one.
pub fn joined(dir: &Path, name: &str) -> PathBuf {
    let dir = dir.to_string_lossy();
    let separator = if dir.contains('\\') && !dir.starts_with('/') { '\\' } else { '/' };
    PathBuf::from(match dir.ends_with(separator) {
        true => format!("{dir}{name}"),
        false => format!("{dir}{separator}{name}"),
    })
}

#[cfg(test)]
mod tests {
    use protocol::EntryKind;

    use super::*;

    fn entry(name: &str, kind: EntryKind) -> FolderEntry {
        FolderEntry { name: name.into(), kind, bytes: 1, modified: None }
    }

    fn browse(request: &DesktopRequest) -> Browse {
        let (mut browse, _) = Browse::of(request).unwrap();
        browse.ask(RequestId(1));
        let entries = vec![
            entry("sub", EntryKind::Folder),
            entry(".git", EntryKind::Folder),
            entry("a.JSONL", EntryKind::File),
            entry("b.bin", EntryKind::File),
        ];
        let report = FolderReport { dir: "/data".into(), entries, ..FolderReport::default() };
        browse.reduce(&Event::Folder { request: RequestId(1), report: Box::new(report) });
        browse
    }

    fn names(browse: &Browse) -> Vec<&str> {
        browse.entries().iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn only_what_can_be_picked_is_shown_and_taken() {
        let files = |many| DesktopRequest::PickFiles {
            purpose: Purpose::TrainFiles,
            extensions: vec!["jsonl".into()],
            many,
        };
        let mut many = browse(&files(true));
        assert_eq!(names(&many), ["sub", "a.JSONL"]);
        assert!(many.taken().is_empty());
        many.all_files = true;
        many.choose("a.JSONL".into());
        many.choose("b.bin".into());
        assert_eq!(many.taken(), [PathBuf::from("/data/a.JSONL"), "/data/b.bin".into()]);
        many.choose("a.JSONL".into());
        assert_eq!(many.taken(), [PathBuf::from("/data/b.bin")]);
        let folder = DesktopRequest::PickFolder { purpose: Purpose::Model, start: Some("".into()) };
        assert_eq!(Browse::of(&folder).unwrap().1, None);
        let mut folder = browse(&folder);
        folder.hidden = true;
        assert_eq!(names(&folder), ["sub", ".git"]);
        assert_eq!(folder.taken(), [PathBuf::from("/data")], "the folder that is shown");
        folder.choose("sub".into());
        assert_eq!(folder.taken(), [PathBuf::from("/data/sub")]);
    }

    #[test]
    fn a_file_is_saved_under_a_name_and_replacing_is_told() {
        let request = DesktopRequest::PickSave { purpose: Purpose::SaveProject, suggested: "p.toml".into() };
        let mut save = browse(&request);
        assert_eq!((save.taken(), save.replaces()), (vec!["/data/p.toml".into()], false));
        save.choose("b.bin".into());
        assert!(save.replaces());
        for name in ["", "  ", "..", "../x", "a/b", "a\\b"] {
            save.name = name.into();
            assert!(save.taken().is_empty(), "{name}");
        }
    }

    #[test]
    fn what_the_window_writes_itself_stays_here() {
        let local = DesktopRequest::PickSave { purpose: Purpose::SaveFigures, suggested: "a.csv".into() };
        assert!(Browse::of(&local).is_none());
        assert!(Browse::of(&DesktopRequest::KeepAwake(true)).is_none());
    }

    #[test]
    fn paths_are_those_of_the_other_machine() {
        assert_eq!(joined(Path::new("/"), "a"), PathBuf::from("/a"));
        assert_eq!(joined(Path::new("C:\\data"), "a"), PathBuf::from("C:\\data\\a"));
        assert_eq!(joined(Path::new("/a\\b"), "c"), PathBuf::from("/a\\b/c"));
    }
}

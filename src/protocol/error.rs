//! Errors for people: what happened, where, and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Text;

pub type Result<T, E = UserError> = std::result::Result<T, E>;

/// Whose move it is. Decides the exit code of the command line: bad input 2, failure 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// Something the user gave cannot be used as it is.
    BadInput,
    /// The input was fine and the work still failed (disk full, out of memory, a device fault).
    Failure,
}

/// Where it happened. Every part is optional; what is known is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: Option<PathBuf>,
    /// 1-based row of a dataset, or line of a text file.
    pub row: Option<u64>,
    /// Tensor, configuration key, column or other name inside the file.
    pub item: Option<String>,
}

/// An error as the user reads it, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserError {
    pub kind: ErrorKind,
    pub what: Text,
    pub place: Place,
    /// What the user can do about it.
    pub mend: Option<Text>,
    /// One line each: all mismatching tensors, all unknown keys, the cause below.
    pub details: Vec<String>,
    /// Changes of settings that mend it, for a button each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// A change of settings that mends something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What the button says, with what it costs: "Raise to 1536 (+0.4 GB)".
    pub label: Text,
    /// Dotted keys of the run file and their new values: `data.max_length` → 1536.
    pub changes: Vec<(String, serde_json::Value)>,
}

impl UserError {
    pub fn bad_input(what: Text) -> Self {
        Self {
            kind: ErrorKind::BadInput,
            what,
            place: Place::default(),
            mend: None,
            details: Vec::new(),
            remedies: Vec::new(),
        }
    }

    pub fn failure(what: Text) -> Self {
        Self { kind: ErrorKind::Failure, ..Self::bad_input(what) }
    }

    /// A failed file operation: `doing` completes "Could not …" / "无法…".
    pub fn io(doing: Text, path: &Path, err: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let what = Text::new(format!("Could not {}: {err}", doing.en), format!("无法{}：{err}", doing.zh));
        let base = match err.kind() {
            Io::NotFound
            | Io::PermissionDenied
            | Io::IsADirectory
            | Io::NotADirectory
            | Io::AlreadyExists
            | Io::InvalidFilename
            | Io::InvalidInput
            | Io::InvalidData => Self::bad_input(what),
            _ => Self::failure(what),
        };
        base.in_file(path).mend_io(err)
    }

    fn mend_io(self, err: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match err.kind() {
            Io::NotFound
            | Io::IsADirectory
            | Io::NotADirectory
            | Io::AlreadyExists
            | Io::InvalidFilename
            | Io::InvalidInput => self.mend(Text::fixed("check the path", "请检查路径")),
            Io::PermissionDenied => self.mend(Text::fixed("check the permissions", "请检查访问权限")),
            Io::StorageFull | Io::QuotaExceeded => {
                self.mend(Text::fixed("free some disk space and try again", "请释放磁盘空间后重试"))
            }
            _ => self,
        }
    }

    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.place.file = Some(file.into());
        self
    }

    /// 1-based row or line.
    pub fn at_row(mut self, row: u64) -> Self {
        self.place.row = Some(row);
        self
    }

    pub fn at_item(mut self, item: impl Into<String>) -> Self {
        self.place.item = Some(item.into());
        self
    }

    pub fn mend(mut self, mend: Text) -> Self {
        self.mend = Some(mend);
        self
    }

    /// Offers a change of settings that mends it.
    pub fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// What, and how to mend it, for where there is room for one line.
    pub fn line(&self) -> Text {
        match &self.mend {
            Some(mend) => {
                let (en, zh) = (&self.what.en, &self.what.zh);
                Text::new(format!("{en}; {}", mend.en), format!("{zh}；{}", mend.zh))
            }
            None => self.what.clone(),
        }
    }

    /// 2 for bad input, 1 for a failure: the command line's contract.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::BadInput => 2,
            ErrorKind::Failure => 1,
        }
    }
}

/// What, details, mend, and the place last: the form that the terminal prints.
impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        if let Some(mend) = &self.mend {
            write!(f, "\n  to mend it: {mend}")?;
        }
        if self.place != Place::default() {
            write!(f, "\n  where: {}", self.place)?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(item) = &self.item {
            parts.push(item.clone());
        }
        if let Some(row) = self.row {
            parts.push(format!("row {row}"));
        }
        if let Some(file) = &self.file {
            parts.push(file.display().to_string());
        }
        f.write_str(&parts.join(", "))
    }
}

impl std::error::Error for UserError {}

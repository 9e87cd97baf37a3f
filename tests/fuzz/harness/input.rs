//! What a target is given: the files of a folder.

use std::fs;
use std::path::Path;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    pub files: Vec<(String, Vec<u8>)>,
}

impl Input {
    pub fn of(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().and(name, bytes)
    }

    pub fn and(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// Copies of files, as far as the folder has them.
    pub fn copied(folder: &Path, names: &[&str]) -> Self {
        let mut input = Self::default();
        for name in names {
            if let Ok(bytes) = fs::read(folder.join(name)) {
                input = input.and(name, bytes);
            }
        }
        assert!(!input.files.is_empty(), "{} has none of {names:?}", folder.display());
        input
    }

    pub fn bytes(&self) -> usize {
        self.files.iter().map(|(name, bytes)| name.len() + bytes.len()).sum()
    }

    /// Makes a folder's files these, writing only what `before`, which lies there, has otherwise.
    pub fn replace(&self, before: &Self, folder: &Path) {
        for (name, _) in before.files.iter().filter(|(name, _)| self.get(name).is_none()) {
            fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, bytes) in self.files.iter().filter(|(name, bytes)| before.get(name) != Some(bytes)) {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes)
    }
}

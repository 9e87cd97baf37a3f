//! Tensor files: everything that is well formed is read back exactly, everything else is an error.

mod check;
mod folders;
mod gguf;
mod golden;
mod pickle;
mod quantised;
mod safetensors;
mod shards;
mod upload;

use std::fs;
use std::path::PathBuf;

use engine::weights::{Checkpoint, open_file};
use protocol::UserError;

/// A file in a temporary folder that lives as long as the value.
struct Written {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Written {
    fn new(name: &'static str, bytes: &[u8]) -> Self {
        // In memory where the system has a folder for that: some tests write thousands of files.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        Self { folder, name }
    }

    /// Other content for the same file.
    fn replace(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn open(&self) -> Result<Checkpoint, UserError> {
        open_file(&self.path())
    }
}

/// A safetensors file from a header and data.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

fn fixtures() -> PathBuf {
    crate::common::root().join("tests/fixtures")
}

/// What a file holds, by name: (format, shape, bytes).
fn contents(checkpoint: &Checkpoint) -> Vec<(String, String, Vec<usize>, Vec<u8>)> {
    let tensor = |name: &str| {
        let info = checkpoint.info(name).unwrap();
        let bytes = checkpoint.bytes(name).unwrap().into_owned();
        (name.to_owned(), info.dtype.to_string(), info.shape.to_vec(), bytes)
    };
    checkpoint.names().map(tensor).collect()
}

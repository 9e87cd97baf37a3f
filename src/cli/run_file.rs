//! Reading a run file from disk.

use std::path::{Path, PathBuf};

use engine::files::{STDIN, read_run_file};
use protocol::config::parse_run_file;
use protocol::{Result, RunConfig};

use super::flags::absolute;

/// A run file, parsed.
pub struct RunFile {
    pub config: Box<RunConfig>,
    /// What relative paths in it are relative to.
    pub base: PathBuf,
    /// Its text, to be kept with the run.
    pub source: String,
    /// The run's name, unless told otherwise.
    pub name: String,
}

/// From stdin, paths are relative to the folder that the user stands in.
///
/// # Errors
/// When the file cannot be read, is not TOML, or has keys nobody knows.
pub fn load(path: &Path) -> Result<RunFile> {
    let source = read_run_file(path)?;
    let config = Box::new(parse_run_file(&source, path)?);
    let base = absolute(path)?.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let stem = path.file_stem().filter(|_| path != Path::new(STDIN));
    let name = stem.map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(RunFile { config, base, source, name })
}

#[cfg(test)]
mod tests {
    use engine::files::MAX_RUN_FILE_BYTES;

    use super::*;

    fn load_bytes(bytes: &[u8]) -> Result<RunFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.run.toml");
        std::fs::write(&path, bytes).unwrap();
        load(&path)
    }

    #[test]
    fn a_run_is_named_after_its_file() {
        let run = load_bytes(b"[train]\nepochs = 2").unwrap();
        assert_eq!(run.name, "my.run");
        assert!(run.base.is_absolute());
        assert_eq!(run.source, "[train]\nepochs = 2");
    }

    #[test]
    fn what_is_no_run_file_is_refused() {
        assert_eq!(load_bytes(b"[train]\n\xff").err().unwrap().place.row, Some(2));
        assert!(load_bytes(&vec![b'#'; MAX_RUN_FILE_BYTES as usize + 1]).is_err());
        assert_eq!(load(Path::new("no/such.toml")).err().unwrap().exit_code(), 2);
        assert!(load(Path::new("/")).is_err());
    }
}

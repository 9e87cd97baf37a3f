//! Reading a run file from disk.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::config::parse_run_file;
use protocol::{Result, RunConfig, Text, UserError, text};

use super::flags::absolute;

/// A run file is written by hand; anything larger is another file by mistake.
const MAX_BYTES: u64 = 4 << 20;

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

/// # Errors
/// When the file cannot be read, is not TOML, or has keys nobody knows.
pub fn load(path: &Path) -> Result<RunFile> {
    let source = read(path)?;
    let config = Box::new(parse_run_file(&source, path)?);
    let base = absolute(path)?.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let name = path.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(RunFile { config, base, source, name })
}

fn read(path: &Path) -> Result<String> {
    let reading = Text::fixed("read the run file", "读取运行文件");
    let file = File::open(path).map_err(|err| UserError::io(reading.clone(), path, &err))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|err| UserError::io(reading, path, &err))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(UserError::bad_input(text!(
            "This is too large for a run file (over 4 MiB)",
            "文件过大，不是运行文件（超过 4 MiB）"
        ))
        .in_file(path));
    }
    String::from_utf8(bytes).map_err(|err| {
        let line =
            err.as_bytes()[..err.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        UserError::bad_input(Text::fixed("The run file is not UTF-8 text", "运行文件不是 UTF-8 文本"))
            .at_row(line as u64 + 1)
            .in_file(path)
            .mend(Text::fixed("save it as UTF-8", "请另存为 UTF-8 编码"))
    })
}

#[cfg(test)]
mod tests {
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
        assert!(load_bytes(&vec![b'#'; MAX_BYTES as usize + 1]).is_err());
        assert_eq!(load(Path::new("no/such.toml")).err().unwrap().exit_code(), 2);
        assert!(load(Path::new("/")).is_err());
    }
}

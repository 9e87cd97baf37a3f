//! Runs the program as a user would, away from the user's own settings.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The program and a folder to work in.
pub struct Program {
    pub dir: TempDir,
}

/// What it did.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in the folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// In English on the CPU, with home and runs inside the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emberwright"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for name in
            ["LC_ALL", "LC_MESSAGES", "EMBERWRIGHT_LOG", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]
        {
            command.env_remove(name);
        }
        command.env("LANG", "C").env("HOME", self.path()).env("EMBERWRIGHT_RUNS", self.path().join("runs"));
        command
    }

    /// With something on stdin.
    pub fn told(&self, arguments: &[&str], text: &[u8]) -> Done {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        Done::new(child.wait_with_output().unwrap())
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::new(self.command(arguments).output().unwrap())
    }
}

impl Done {
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that the input was refused with all of `words` on stderr and nothing on stdout.
    #[track_caller]
    pub fn refused_with(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

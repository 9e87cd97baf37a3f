//! The program in a real window, driven by mouse and keyboard from the first start to a merged model on disk. What it
//! sees on the way becomes the screenshots of the README.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::display::{Display, wait_for};

/// A user who has never started the program: a home with nothing in it.
struct NewUser {
    home: tempfile::TempDir,
    program: Child,
}

impl NewUser {
    fn starts_the_program(display: &Display) -> Self {
        let home = tempfile::tempdir().unwrap();
        let program = Command::new(env!("CARGO_BIN_EXE_emberwright"))
            .args(["--device", "cpu"])
            .env("DISPLAY", display.name())
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("LANG", "C")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .spawn()
            .unwrap();
        Self { home, program }
    }

    fn runs(&self) -> PathBuf {
        self.home.path().join(".local/share/emberwright/runs")
    }

    /// The file of that name anywhere below the runs.
    fn made(&self, name: &str) -> Option<PathBuf> {
        find(&self.runs(), name)
    }
}

impl Drop for NewUser {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => path.ends_with(name).then_some(path),
    })
}

/// Where pictures go: into the project when they are to be renewed, else out of the way.
fn pictures() -> PathBuf {
    match std::env::var_os("UPDATE_SCREENSHOTS") {
        Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screenshots"),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots"),
    }
}

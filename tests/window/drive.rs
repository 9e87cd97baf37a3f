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

/// Where the window of 1280 × 800 points has things.
const START: (i32, i32) = (1146, 747);
const MESSAGE: (i32, i32) = (500, 742);
const EXPORT: (i32, i32) = (207, 651);
const CHINESE: (i32, i32) = (1115, 21);
const NOWHERE: (i32, i32) = (700, 786);

/// Panels by their keys.
const PANELS: [(&str, &str); 10] = [
    ("1", "model"),
    ("2", "data"),
    ("3", "method"),
    ("4", "train"),
    ("5", "chat"),
    ("6", "export"),
    ("7", "predict"),
    ("8", "evaluate"),
    ("9", "runs"),
    ("comma", "settings"),
];

#[test]
fn a_new_user_reaches_a_merged_model_by_mouse_and_keyboard() {
    let Some(display) = Display::open(1280, 800) else { return };
    let user = NewUser::starts_the_program(&display);
    display.focus("Emberwright");
    let home = user.home.path().join(".local/share/emberwright/starter");
    wait_for("the starter", Duration::from_secs(60), || find(&home, "starter.toml").is_some());
    // What is ready to start is not seen from outside: the button is pressed until there is a run.
    wait_for("a run", Duration::from_secs(120), || {
        display.click(START.0, START.1);
        sleep(Duration::from_secs(3));
        user.made("metrics.jsonl").is_some()
    });
    wait_for("the end of the run", Duration::from_secs(600), || {
        let runs = std::fs::read_dir(user.runs()).into_iter().flatten().flatten();
        runs.into_iter().any(|run| run.path().join("adapter/adapter_model.safetensors").is_file())
    });
    sleep(Duration::from_secs(3));
    display.key("ctrl+5");
    display.click(MESSAGE.0, MESSAGE.1);
    display.write("Who are you?");
    display.key("Return");
    sleep(Duration::from_secs(6));
    display.key("ctrl+6");
    sleep(Duration::from_secs(2));
    display.click(EXPORT.0, EXPORT.1);
    wait_for("a merged model", Duration::from_secs(120), || user.made("model.safetensors").is_some());
    sleep(Duration::from_secs(5));
    for language in ["", "-zh"] {
        if !language.is_empty() {
            display.click(CHINESE.0, CHINESE.1);
        }
        for (key, name) in PANELS {
            display.key(&format!("ctrl+{key}"));
            display.click(NOWHERE.0, NOWHERE.1);
            sleep(Duration::from_millis(700));
            display.screenshot(&pictures().join(format!("{name}{language}.png")));
        }
    }
    let merged = user.made("model.safetensors").unwrap();
    let inspected = Command::new(env!("CARGO_BIN_EXE_emberwright"))
        .arg("inspect")
        .arg(merged.parent().unwrap())
        .output()
        .unwrap();
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
}

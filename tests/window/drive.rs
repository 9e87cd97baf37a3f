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

#[test]
fn a_new_user_reaches_a_merged_model_by_mouse_and_keyboard() {
    let Some(display) = Display::open(1280, 800) else { return };
    let user = NewUser::starts_the_program(&display);
    let pictures = pictures();
    let picture = |name: &str| display.screenshot(&pictures.join(format!("{name}.png")));
    display.focus("Emberwright");
    let state = user.home.path().join(".local/share/emberwright/starter");
    wait_for("the starter", Duration::from_secs(30), || find(&state, "starter.toml").is_some());
    sleep(Duration::from_secs(5));
    picture("model");
    display.key("ctrl+2");
    sleep(Duration::from_secs(2));
    picture("data");
    display.key("ctrl+3");
    sleep(Duration::from_secs(1));
    picture("method");
    display.click(START.0, START.1);
    wait_for("figures of the run", Duration::from_secs(60), || user.made("metrics.jsonl").is_some());
    wait_for("an adapter", Duration::from_secs(600), || user.made("adapter_config.json").is_some());
    wait_for("the end of the run", Duration::from_secs(60), || {
        user.made("adapter_model.safetensors").is_some()
    });
    sleep(Duration::from_secs(3));
    picture("train");
    display.key("ctrl+5");
    display.click(MESSAGE.0, MESSAGE.1);
    display.write("Who are you?");
    display.key("Return");
    sleep(Duration::from_secs(6));
    picture("chat");
    display.key("ctrl+6");
    sleep(Duration::from_secs(2));
    picture("export");
}

//! A display without a screen (Xvfb), with hands (xdotool) and eyes (ImageMagick's import).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The programs that are needed.
const NEEDED: [&str; 3] = ["Xvfb", "xdotool", "import"];

pub struct Display {
    name: String,
    server: Child,
}

impl Display {
    /// None, with a line on stderr, where something is missing.
    #[expect(clippy::print_stderr, reason = "what was not run is said")]
    pub fn open(width: u32, height: u32) -> Option<Self> {
        let missing: Vec<_> = NEEDED.into_iter().filter(|program| !exists(program)).collect();
        if !missing.is_empty() {
            eprintln!("not run: {} not found; tests/run.sh installs what is needed", missing.join(", "));
            return None;
        }
        let (name, server) = serve(width, height);
        Some(Self { name, server })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What xdotool says; None when it fails.
    fn tool(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("xdotool").env("DISPLAY", &self.name).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The newest window of that title, once it is mapped; it gets the keyboard.
    pub fn focus(&self, title: &str) {
        let find = || self.tool(&["search", "--onlyvisible", "--name", title]).filter(|ids| !ids.is_empty());
        wait_for(title, Duration::from_secs(60), || find().is_some());
        let ids = find().unwrap();
        self.tool(&["windowfocus", ids.lines().last().unwrap()]);
    }

    pub fn click(&self, x: i32, y: i32) {
        self.tool(&["mousemove", &x.to_string(), &y.to_string()]).unwrap();
        sleep(Duration::from_millis(120));
        self.tool(&["click", "1"]).unwrap();
        sleep(Duration::from_millis(250));
    }

    /// Such as `ctrl+5` or `Return`.
    pub fn key(&self, key: &str) {
        self.tool(&["key", key]).unwrap();
        sleep(Duration::from_millis(250));
    }

    pub fn write(&self, text: &str) {
        self.tool(&["type", "--delay", "15", text]).unwrap();
        sleep(Duration::from_millis(200));
    }

    pub fn screenshot(&self, file: &Path) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let done = Command::new("import")
            .env("DISPLAY", &self.name)
            .args(["-window", "root", "-depth", "8", "-define", "png:compression-level=9"])
            .arg(file)
            .status()
            .unwrap();
        assert!(done.success(), "a screenshot is taken");
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// A server that has chosen a free number itself and says it once it takes clients. Without `-noreset` it would start
/// anew whenever its last client goes, and refuse whoever comes in that moment.
fn serve(width: u32, height: u32) -> (String, Child) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp"])
        .args(["-screen", "0", &format!("{width}x{height}x24")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    assert!(!number.trim().is_empty(), "Xvfb ended before it had a display");
    (format!(":{}", number.trim()), server)
}

fn exists(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|it| it.status.success())
}

/// Waits until something holds, looking ten times a second.
pub fn wait_for(what: &str, at_most: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < at_most, "{what} did not come within {at_most:?}");
        sleep(Duration::from_millis(100));
    }
}

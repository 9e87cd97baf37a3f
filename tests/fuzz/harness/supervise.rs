//! The parent's side: one process a target, so that memory is counted by target and the death of a process is a finding
//! like others.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "EMBERWRIGHT_FUZZ_TARGET";
const WORK: &str = "EMBERWRIGHT_FUZZ_WORK";
const SECONDS: &str = "EMBERWRIGHT_FUZZ_SECONDS";
const SEED: &str = "EMBERWRIGHT_FUZZ_SEED";

/// What the child is to do.
pub struct Order {
    pub target: String,
    /// Where each input is laid before it is read.
    pub work: PathBuf,
    pub seconds: f64,
    pub seed: u64,
}

/// The order of this process, if it is a child.
pub fn order() -> Option<Order> {
    let number = |key: &str| std::env::var(key).ok().map(|text| text.parse::<f64>().unwrap());
    Some(Order {
        target: std::env::var(TARGET).ok()?,
        work: std::env::var_os(WORK)?.into(),
        seconds: number(SECONDS).unwrap_or(1.0),
        seed: number(SEED).unwrap_or(1.0) as u64,
    })
}

/// Where the inputs of findings go.
pub fn findings(target: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target)
}

/// # Panics
/// When there are findings.
pub fn run(target: &str) {
    let work = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--include-ignored", "--nocapture"])
        .env(TARGET, target)
        .env(WORK, work.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Held until the child ends: it ends when this does.
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines().filter(|line| line.starts_with("fuzz ")) {
        println!("{line}");
    }
    if output.status.success() {
        assert!(said.contains("fuzz "), "the child did nothing");
        return;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    // A child that could report has removed the last input.
    let last = work.path().join("input");
    let place = findings(target).join("last");
    if last.exists() {
        keep(&last, &place);
    }
    panic!("{target}: {}\n{said}\n{errors}\nthe last input: {}", output.status, place.display());
}

fn keep(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

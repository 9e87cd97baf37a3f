//! An engine that waits after every event until the test has looked at it: a wish made at an event is
//! heard at that event, on any machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};
use engine::{EngineHandle, EngineOptions, spawn};
use protocol::config::parse_run_file;
use protocol::{Command, Control, Event, Outcome, RequestId, RunCommand, RunEvent, StopReason, UserError};
use serde_json::Value;
use tempfile::TempDir;

use crate::common;

/// The engine and the right to let it go on.
pub struct Engine {
    handle: Option<EngineHandle>,
    go: Sender<()>,
    requests: u64,
    /// Makes the next event's waker panic, inside the worker.
    pub trip: Arc<AtomicBool>,
}

/// What a run told.
pub struct Told {
    pub updates: Vec<RunEvent>,
    pub outcome: Outcome,
}

impl Engine {
    pub fn start() -> Self {
        let (go, wait) = bounded(0);
        let trip = Arc::new(AtomicBool::new(false));
        let tripped = trip.clone();
        let waker = move || {
            // An error: the test is over, nobody holds the worker back any more.
            wait.recv().ok();
            assert!(!tripped.swap(false, Ordering::AcqRel), "the waker was told to panic");
        };
        let nowhere = PathBuf::from("/nonexistent");
        let options = EngineOptions { device: "cpu".into(), runs_dir: nowhere.clone(), log_dir: nowhere };
        Self { handle: Some(spawn(options, Arc::new(waker))), go, requests: 0, trip }
    }

    pub fn control(&self) -> Arc<Control> {
        self.handle.as_ref().unwrap().control.clone()
    }

    /// Sends a command and gives `look` every event of its request, until `look` has what it wants.
    pub fn ask<T>(&mut self, command: impl FnOnce(RequestId) -> Command, mut look: impl FnMut(Event) -> Option<T>) -> T {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.control().reset();
        let handle = self.handle.as_ref().unwrap();
        handle.send(command(request));
        loop {
            let event = handle.events.recv().unwrap();
            let found = if of(&event) == Some(request) { look(event) } else { None };
            self.go.send(()).unwrap();
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Runs to the end; `watch` sees every event before the worker goes on.
    pub fn run(&mut self, command: impl FnOnce(RequestId) -> RunCommand, mut watch: impl FnMut(&RunEvent, &Control)) -> Told {
        let control = self.control();
        let mut updates = Vec::new();
        let outcome = self.ask(
            |request| Command::Run(command(request)),
            |event| match event {
                Event::Run { update: RunEvent::Ended { outcome }, .. } => Some(outcome),
                Event::Run { update, .. } => {
                    watch(&update, &control);
                    updates.push(update);
                    None
                }
                _ => None,
            },
        );
        Told { updates, outcome }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        // Without a receiver the waker waits for nobody.
        self.go = bounded(0).0;
        handle.send(Command::Shutdown);
        handle.join();
    }
}

fn of(event: &Event) -> Option<RequestId> {
    match event {
        Event::Failed { request, .. } => *request,
        Event::Ready { .. } | Event::Stopped => None,
        Event::Progress { request, .. }
        | Event::Inspected { request, .. }
        | Event::Preview { request, .. }
        | Event::Checked { request, .. }
        | Event::Run { request, .. }
        | Event::Scored { request, .. }
        | Event::Delta { request, .. }
        | Event::Generated { request, .. }
        | Event::Exported { request, .. }
        | Event::Benched { request, .. } => Some(*request),
    }
}

impl Told {
    #[track_caller]
    pub fn finished(&self) -> (StopReason, PathBuf) {
        match &self.outcome {
            Outcome::Finished { reason, result, .. } => (*reason, result.clone()),
            other => panic!("the run did not finish: {other:?}"),
        }
    }

    #[track_caller]
    pub fn failed(&self) -> &UserError {
        match &self.outcome {
            Outcome::Failed { error } => error,
            other => panic!("the run did not fail: {other:?}"),
        }
    }

    pub fn notices(&self) -> Vec<String> {
        let notice = |update: &RunEvent| match update {
            RunEvent::Notice { text } => Some(text.to_string()),
            _ => None,
        };
        self.updates.iter().filter_map(notice).collect()
    }

    /// The steps that were trained.
    pub fn steps(&self) -> Vec<u64> {
        let steps = |update: &RunEvent| match update {
            RunEvent::Stepped { steps, .. } => steps.iter().map(|step| step.step).collect(),
            _ => Vec::new(),
        };
        self.updates.iter().flat_map(steps).collect()
    }

    /// The steps that got a checkpoint.
    pub fn saved(&self) -> Vec<u64> {
        let saved = |update: &RunEvent| match update {
            RunEvent::Saved { step, .. } => Some(*step),
            _ => None,
        };
        self.updates.iter().filter_map(saved).collect()
    }
}

/// The step an event tells of, if it tells of one.
pub fn stepped(update: &RunEvent) -> Option<u64> {
    match update {
        RunEvent::Stepped { steps, .. } => steps.last().map(|step| step.step),
        _ => None,
    }
}

/// A folder with a model, data and runs.
pub struct Project {
    pub dir: TempDir,
}

impl Project {
    /// The golden Llama (2 blocks, 48 wide) and 22 conversations.
    pub fn new() -> Self {
        let project = Self { dir: tempfile::tempdir().unwrap() };
        copy(&common::golden("llama-gqa-llama3/model").unwrap(), &project.path("model"));
        project.write("data.jsonl", &conversations(22));
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The command that starts a run of `settings` in the folder `out`.
    pub fn start(&self, settings: &str, out: &str) -> impl FnOnce(RequestId) -> RunCommand + use<> {
        let source = run_file(settings);
        let config = Box::new(parse_run_file(&source, Path::new("run.toml")).unwrap());
        let (base, out) = (self.dir.path().to_owned(), self.path(out));
        move |request| RunCommand::Start { request, config, base, source, out }
    }

    pub fn resume(&self, out: &str) -> impl FnOnce(RequestId) -> RunCommand + use<> {
        let dir = self.path(out);
        move |request| RunCommand::Resume { request, dir }
    }

    /// Starts and does not disturb.
    pub fn run(&self, settings: &str, out: &str) -> Told {
        Engine::start().run(self.start(settings, out), |_, _| {})
    }

    /// The lines of metrics.jsonl without what the clock and the machine decide; as text, so that two
    /// lines are equal only if every figure is, bit for bit.
    pub fn lines(&self, out: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(out).join("metrics.jsonl")).unwrap();
        text.lines().map(steady).collect()
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// Names in a folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn steady(line: &str) -> String {
    match (line.find(",\"tokens_per_s\""), line.find(",\"skipped\"")) {
        (Some(cut), Some(skipped)) => format!("{}{}", &line[..cut], &line[skipped..]),
        (Some(cut), None) => line[..cut].to_owned(),
        (None, _) => line.to_owned(),
    }
}

/// What the run file of a test says unless the test says otherwise: section, key, value.
const DEFAULTS: [(&str, &str, &str); 6] = [
    ("model", "path", "\"model\""),
    ("data", "train", "[\"data.jsonl\"]"),
    ("data", "max_length", "48"),
    ("data", "validation", "0.2"),
    ("train", "batch_size", "2"),
    ("train", "learning_rate", "4e-3"),
];

/// A run file over the project's model and data. `settings` begins among the keys of `[train]`.
pub fn run_file(settings: &str) -> String {
    let mut sections = vec![("train", String::new()), ("model", String::new()), ("data", String::new()), ("method", String::new())];
    let mut current = "train";
    for line in settings.lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(section) => current = sections.iter().find(|(name, _)| *name == section).unwrap().0,
            None => sections.iter_mut().find(|(name, _)| *name == current).unwrap().1 += &format!("{line}\n"),
        }
    }
    for (section, key, value) in DEFAULTS {
        let (_, text) = sections.iter_mut().find(|(name, _)| *name == section).unwrap();
        if !text.lines().any(|line| line.starts_with(&format!("{key} ="))) {
            *text += &format!("{key} = {value}\n");
        }
    }
    sections.into_iter().map(|(name, text)| format!("[{name}]\n{text}")).collect()
}

/// Rows of different lengths.
pub fn conversations(rows: usize) -> String {
    const WORDS: [&str; 7] = ["ember", "light", "wood", "iron", "river", "stone", "cloud"];
    let line = |row: usize| {
        let words = |from: usize, count: usize| (from..from + count).map(|n| WORDS[n * n % 7]).collect::<Vec<_>>().join(" ");
        let (question, answer) = (words(row, 1 + row % 3), words(row * 3 + 1, 1 + row % 4));
        let turns = serde_json::json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}]);
        serde_json::json!({ "messages": turns }).to_string() + "\n"
    };
    (0..rows).map(line).collect()
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Turns one bit of a file around, in its middle.
pub fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

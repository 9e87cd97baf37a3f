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
use crate::project::{conversations, copy, run_file, steady_lines};

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
            // The monitor is nobody's request, and goes on by itself.
            if std::thread::current().name() == Some("monitor") {
                return;
            }
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
    pub fn ask<T>(
        &mut self,
        command: impl FnOnce(RequestId) -> Command,
        mut look: impl FnMut(Event) -> Option<T>,
    ) -> T {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.control().reset();
        let handle = self.handle.as_ref().unwrap();
        handle.send(command(request));
        loop {
            let event = handle.events.recv().unwrap();
            if matches!(event, Event::Device { .. }) {
                continue;
            }
            let found = if of(&event) == Some(request) { look(event) } else { None };
            self.go.send(()).unwrap();
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Runs to the end and `more` events further; `watch` sees every event before the worker goes on, and may
    /// send commands, whose requests it numbers from 100.
    pub fn watch(
        &mut self,
        command: impl FnOnce(RequestId) -> RunCommand,
        more: usize,
        mut watch: impl FnMut(&Event, &EngineHandle),
    ) -> Vec<Event> {
        self.requests += 1;
        self.control().reset();
        let handle = self.handle.as_ref().unwrap();
        handle.send(Command::Run(command(RequestId(self.requests))));
        let (mut events, mut left) = (Vec::new(), None);
        while left != Some(0) {
            let event = handle.events.recv().unwrap();
            if matches!(event, Event::Device { .. }) {
                continue;
            }
            watch(&event, handle);
            left = left.map(|left: usize| left - 1);
            if matches!(event, Event::Run { update: RunEvent::Ended { .. }, .. }) {
                left = Some(more);
            }
            events.push(event);
            self.go.send(()).unwrap();
        }
        events
    }

    /// Runs to the end; `watch` sees every event before the worker goes on.
    pub fn run(
        &mut self,
        command: impl FnOnce(RequestId) -> RunCommand,
        mut watch: impl FnMut(&RunEvent, &Control),
    ) -> Told {
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
    // Every event but a few names its request.
    let event = serde_json::to_value(event).unwrap();
    serde_json::from_value(event["request"].clone()).ok()
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

/// `[train]` of a run over the wrong data that learns fast: its validation loss falls, and then rises.
pub const WORSE: &str = "max_steps = 40\neval_every = 2\nlearning_rate = 2e-2\nscheduler = \"constant\"\n";
/// The other sections of that run.
pub const WORSE_DATA: &str =
    "[data]\nvalidation = [\"held.jsonl\"]\n[method]\nkind = \"lora\"\ntargets = \"all-linear\"\n";

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

    /// Data for [`WORSE`]: one answer to learn, and another to be judged by.
    pub fn teach_the_wrong_thing(&self) {
        let rows = |answer: &str| -> String {
            let row = |row: &str| serde_json::from_str::<Value>(row).unwrap();
            let answered = |mut row: Value| {
                row["messages"][1]["content"] = answer.into();
                row.to_string() + "\n"
            };
            conversations(12).lines().map(|line| answered(row(line))).collect()
        };
        self.write("data.jsonl", &rows("wood wood"));
        self.write("held.jsonl", &rows("river stone cloud"));
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

    /// See [`steady_lines`].
    pub fn lines(&self, out: &str) -> Vec<String> {
        steady_lines(&self.path(out))
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// Names in a folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

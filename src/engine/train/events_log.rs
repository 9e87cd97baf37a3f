//! `events.log`: what happened in a run and when, one line of JSON each. Figures of steps and evaluations, and
//! samples, are in `metrics.jsonl`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use protocol::RunEvent;
use serde::Serialize;

/// Its name in a run's folder.
pub const FILE: &str = "events.log";

/// Written for people who look back, and for what a list of runs tells; no run depends on it. So a line that cannot be written ends no run.
pub struct EventsLog {
    path: PathBuf,
}

#[derive(Serialize)]
struct Line<'a> {
    /// RFC 3339.
    time: String,
    #[serde(flatten)]
    update: &'a RunEvent,
}

impl EventsLog {
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join(FILE) }
    }

    /// Adds a line, unless the metrics tell of it.
    pub fn write(&self, update: &RunEvent) {
        if matches!(update, RunEvent::Stepped { .. } | RunEvent::Evaluated { .. } | RunEvent::Sampled { .. })
        {
            return;
        }
        if let Err(err) = self.append(update) {
            tracing::warn!("{} could not be written: {err}", self.path.display());
        }
    }

    fn append(&self, update: &RunEvent) -> std::io::Result<()> {
        let time = chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
        let mut json = serde_json::to_vec(&Line { time, update })?;
        json.push(b'\n');
        OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(&json)
    }
}

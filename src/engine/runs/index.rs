//! The runs of a folder. What was read stays in memory: the next list reads only what has changed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::{Result, RunReport, Text, UserError};

use super::folder::{PLAN_FILE, Stamp, judged, report};

/// The files thread's memory.
#[derive(Default)]
pub struct RunIndex {
    known: HashMap<PathBuf, (Stamp, RunReport)>,
}

impl RunIndex {
    /// The runs of a folder, the newest first. A folder that is not there has none; what is no run, or a run whose
    /// plan is damaged, is left out.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list(&mut self, dir: &Path) -> Result<Vec<RunReport>> {
        let listing = |err| UserError::io(Text::fixed("list the runs", "列出训练记录"), dir, &err);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(listing(err)),
        };
        let mut old = std::mem::take(&mut self.known);
        for entry in entries.flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let run = entry.path();
            if hidden || !run.join(PLAN_FILE).is_file() {
                continue;
            }
            let stamp = Stamp::of(&run);
            let known =
                old.remove(&run).filter(|(before, _)| *before == stamp).map(|(_, report)| judged(report));
            match known.map_or_else(|| report(&run), Ok) {
                Ok(report) => drop(self.known.insert(run, (stamp, report))),
                Err(error) => tracing::warn!("a run is left out of the list: {error}"),
            }
        }
        let mut runs: Vec<_> = self.known.values().map(|(_, report)| report.clone()).collect();
        runs.sort_by(|a, b| (&b.started, &b.name).cmp(&(&a.started, &a.name)));
        Ok(runs)
    }
}

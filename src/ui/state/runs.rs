//! Earlier runs: the list, and the histories of those that are compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::{Event, RequestId, RunReport, UserError};

use super::Requested;
use super::history::History;

/// What the Runs panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsAction {
    /// Reads the list again.
    Refresh,
    /// Draws a run's curves beside those of the run under way.
    Compare(PathBuf),
    Uncompare(PathBuf),
    /// A run folder from elsewhere joins the list.
    Import(PathBuf),
    /// Makes a run here of one that other machines trained.
    BringBack(Box<RunReport>),
    /// Asks first.
    Delete(Box<RunReport>),
    DeleteNow(PathBuf),
    /// A new project with the settings of a run. Asks first where changes would be lost.
    Duplicate(Box<RunReport>),
    DuplicateNow(Box<RunReport>),
}

/// How many runs are drawn beside the one under way.
pub const MOST_COMPARED: usize = 7;

/// The records of a run, as far as they have come.
#[derive(Debug, Default)]
pub struct Recorded {
    pub history: History,
    pub complete: bool,
}

#[derive(Debug, Default)]
pub struct RunsState {
    /// Where new runs go; None until the engine has told.
    pub dir: Option<PathBuf>,
    /// Those of that folder, then the imported ones.
    pub runs: Vec<RunReport>,
    /// Folders from elsewhere.
    pub imported: Vec<PathBuf>,
    /// The list being read.
    pub list: Requested<()>,
    /// Runs drawn beside the one under way; the place decides the colour.
    pub compared: Vec<PathBuf>,
    pub recorded: BTreeMap<PathBuf, Recorded>,
    /// Folders being read for a comparison or an import.
    pub reading: BTreeMap<RequestId, PathBuf>,
    pub deleting: BTreeMap<RequestId, PathBuf>,
    /// Runs of other machines that are being brought back.
    pub bringing: BTreeMap<RequestId, PathBuf>,
    /// One has come back since the list was read.
    pub came_back: bool,
    /// When runs that are trained elsewhere were looked at last.
    pub looked_at: f64,
}

impl RunsState {
    /// A folder for a new run of a project: its name with the next free number.
    pub fn new_run_dir(&self, project: &str) -> PathBuf {
        let dir = self.dir.clone().unwrap_or_else(|| "runs".into());
        let kept = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let name: String = project.chars().take(60).map(kept).collect();
        let name = if name.trim_matches('-').is_empty() { "run".to_owned() } else { name };
        let taken = |number: u64| self.runs.iter().any(|run| run.name == format!("{name}-{number}"));
        let number = (1..).find(|number| !taken(*number)).unwrap_or(1);
        dir.join(format!("{name}-{number}"))
    }

    pub fn find(&self, dir: &Path) -> Option<&RunReport> {
        self.runs.iter().find(|run| run.dir == dir)
    }

    /// Whether a comparison waits for this run's records.
    pub fn is_reading(&self, dir: &Path) -> bool {
        self.reading.values().any(|reading| reading == dir)
    }

    /// Whether nothing of them has come yet.
    pub fn is_first_reading(&self, dir: &Path) -> bool {
        self.is_reading(dir) && self.recorded.get(dir).is_none_or(|recorded| !recorded.complete)
    }

    pub fn is_bringing(&self, dir: &Path) -> bool {
        self.bringing.values().any(|bringing| bringing == dir)
    }

    pub fn is_deleting(&self, dir: &Path) -> bool {
        self.deleting.values().any(|deleting| deleting == dir)
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Runs { request, dir, runs } => {
                self.dir = Some(dir.clone());
                self.list.answer(*request, ());
                self.take_list(runs);
            }
            Event::RunRead { request, dir, steps, evals, samples, report } => {
                if self.reading.contains_key(request)
                    && let Some(recorded) = self.recorded.get_mut(dir)
                {
                    recorded.history.read(steps, evals, samples, u64::MAX);
                    recorded.complete |= report.is_some();
                }
                if let Some(report) = report {
                    self.read_to_the_end(*request, report);
                }
            }
            Event::RunImported { request, .. } => {
                self.bringing.remove(request);
                self.came_back = true;
            }
            Event::Deleted { request, dir } => {
                self.deleting.remove(request);
                self.forget(dir);
            }
            _ => {}
        }
    }

    /// A new list; imported runs that are not in it stay.
    fn take_list(&mut self, runs: &[RunReport]) {
        let imported = std::mem::take(&mut self.runs)
            .into_iter()
            .filter(|run| self.imported.contains(&run.dir) && runs.iter().all(|new| new.dir != run.dir));
        let imported: Vec<_> = imported.collect();
        self.runs = runs.to_vec();
        self.runs.extend(imported);
    }

    fn read_to_the_end(&mut self, request: RequestId, report: &RunReport) {
        if let Some(recorded) = self.recorded.get_mut(&report.dir) {
            recorded.history.report(report);
        }
        let asked = self.reading.remove(&request).is_some();
        match self.runs.iter_mut().find(|run| run.dir == report.dir) {
            Some(known) => *known = report.clone(),
            None if asked && self.imported.contains(&report.dir) => self.runs.push(report.clone()),
            None => {}
        }
    }

    /// Nothing is kept of a run that is gone.
    pub fn forget(&mut self, dir: &Path) {
        self.runs.retain(|run| run.dir != dir);
        self.imported.retain(|known| known != dir);
        self.compared.retain(|known| known != dir);
        self.recorded.remove(dir);
    }

    /// Whether the failed request was one of these and its error is shown in the panel.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        self.deleting.remove(&request);
        self.bringing.remove(&request);
        if let Some(dir) = self.reading.remove(&request) {
            self.compared.retain(|known| *known != dir);
            self.recorded.remove(&dir);
            if self.find(&dir).is_none() {
                self.imported.retain(|known| *known != dir);
            }
        }
        let listed = self.list.awaits(request);
        self.list.fail(request, error);
        listed
    }
}

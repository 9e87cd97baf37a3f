//! Earlier runs.

use protocol::{Event, RequestId, UserError};

/// What the Runs panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsAction {
    /// Reads the list again.
    Refresh,
}

#[derive(Debug, Default)]
pub struct RunsState {
    /// Where new runs go; None until the engine has told.
    pub dir: Option<std::path::PathBuf>,
    pub runs: Vec<protocol::RunReport>,
}

impl RunsState {
    /// A folder for a new run of a project: its name with the next free number.
    pub fn new_run_dir(&self, project: &str) -> std::path::PathBuf {
        let dir = self.dir.clone().unwrap_or_else(|| "runs".into());
        let kept = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let name: String = project.chars().take(60).map(kept).collect();
        let name = if name.trim_matches('-').is_empty() { "run".to_owned() } else { name };
        let taken = |number: u64| self.runs.iter().any(|run| run.name == format!("{name}-{number}"));
        let number = (1..).find(|number| !taken(*number)).unwrap_or(1);
        dir.join(format!("{name}-{number}"))
    }

    pub fn reduce(&mut self, event: &Event) {
        if let Event::Runs { dir, runs, .. } = event {
            self.dir = Some(dir.clone());
            self.runs = runs.clone();
        }
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, _request: RequestId, _error: &UserError) -> bool {
        false
    }
}

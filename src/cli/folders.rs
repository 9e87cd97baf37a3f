//! Where runs and logs go when nobody says otherwise.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// Names the folder of runs, in place of the user's data folder.
const RUNS_VARIABLE: &str = "EMBERWRIGHT_RUNS";

/// The folder that holds all runs.
pub fn runs() -> PathBuf {
    match std::env::var_os(RUNS_VARIABLE).filter(|value| !value.is_empty()) {
        Some(named) => PathBuf::from(named),
        None => in_project(|dirs| dirs.data_dir().join("runs"), "runs"),
    }
}

/// The folder of the program's own logs.
pub fn logs() -> PathBuf {
    in_project(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("logs"), "logs")
}

/// The folder of what the window keeps.
pub fn state() -> PathBuf {
    in_project(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_path_buf(), "state")
}

/// The folder of what the program brings along, such as the starter.
pub fn data() -> PathBuf {
    in_project(|dirs| dirs.data_dir().to_path_buf(), "data")
}

/// A user without a home folder gets one beside the work.
fn in_project(choose: impl FnOnce(&ProjectDirs) -> PathBuf, fallback: &str) -> PathBuf {
    ProjectDirs::from("", "", "emberwright")
        .map_or_else(|| Path::new("emberwright").join(fallback), |dirs| choose(&dirs))
}

/// The first of `name`, `name-2`, `name-3`, … that is free in `runs`: training twice makes two runs.
pub fn free_run(runs: &Path, name: &str) -> PathBuf {
    let first = runs.join(name);
    let numbered = (2_u64..).map(|n| runs.join(format!("{name}-{n}")));
    std::iter::once(first.clone()).chain(numbered).find(|dir| !dir.exists()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_gets_a_number() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(free_run(runs.path(), "a"), runs.path().join("a"));
        std::fs::create_dir(runs.path().join("a")).unwrap();
        std::fs::create_dir(runs.path().join("a-2")).unwrap();
        assert_eq!(free_run(runs.path(), "a"), runs.path().join("a-3"));
    }
}

//! Where an evaluation is kept: `evals/` of the run that made the adapter, else of the place where runs go.

use std::path::{Path, PathBuf};

use protocol::{ModelRef, Result, SuiteReport, SuiteRequest, Text, UserError, text};

use super::journal::{Journal, Subject};
use crate::files::{AtomicFile, RunLock, identity_of_folder, sha256_bytes, sha256_file};
use crate::predict::Training;

pub const REPORT: &str = "report.json";
/// Evaluations lie here, in a run or beside runs.
pub const FOLDER: &str = "evals";
/// A report that is larger is none.
const LARGEST: u64 = 64 << 20;

/// The folder of a request: the one that it names, else one of its own, or that of the same evaluation where it was
/// broken off.
pub fn choose(wanted: &SuiteRequest, subject: &Subject, runs_dir: &Path) -> PathBuf {
    if let Some(out) = &wanted.out {
        return out.clone();
    }
    let run = Training::of(&wanted.model).ok().flatten().map(|training| training.dir);
    let evals = run.unwrap_or_else(|| runs_dir.to_path_buf()).join(FOLDER);
    let begun = std::fs::read_dir(&evals).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut begun: Vec<PathBuf> = begun.filter(|dir| is_broken_off(dir, subject)).collect();
    begun.sort();
    if let Some(dir) = begun.pop() {
        return dir;
    }
    let time = chrono::Local::now().format("%Y%m%d-%H%M%S");
    let name = format!("{}-{time}", wanted.suite);
    let names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}-{number}")));
    names.map(|name| evals.join(name)).find(|dir| !dir.exists()).unwrap_or_else(|| evals.join(name))
}

/// Whether a folder holds this evaluation, unfinished, and nobody works on it.
fn is_broken_off(dir: &Path, subject: &Subject) -> bool {
    !dir.join(REPORT).exists() && Journal::subject(dir).as_ref() == Some(subject) && !RunLock::is_held(dir)
}

/// The report in a folder; None where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn report(dir: &Path) -> Result<Option<SuiteReport>> {
    let file = dir.join(REPORT);
    let Ok(metadata) = std::fs::metadata(&file) else { return Ok(None) };
    let bad = |why: String| {
        UserError::bad_input(text!("The report cannot be read: {why}", "无法读取评测报告：{why}"))
            .in_file(&file)
    };
    if metadata.len() > LARGEST {
        return Err(bad(format!("{} bytes", metadata.len())));
    }
    let bytes = std::fs::read(&file)
        .map_err(|err| UserError::io(Text::fixed("read the report", "读取评测报告"), &file, &err))?;
    let report: SuiteReport = serde_json::from_slice(&bytes).map_err(|err| bad(err.to_string()))?;
    // A folder may have been moved.
    Ok(Some(SuiteReport { dir: dir.to_path_buf(), ..report }))
}

/// # Errors
/// When the file cannot be written.
pub fn write_report(report: &SuiteReport) -> Result<()> {
    let json = serde_json::to_vec_pretty(report)
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    AtomicFile::write(&report.dir.join(REPORT), &json)
}

/// One hash over the files that were read, by name.
///
/// # Errors
/// When a file cannot be read.
pub fn hash_of(files: &[PathBuf]) -> Result<String> {
    let mut lines = String::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        lines.push_str(&format!("{} {name}\n", sha256_file(file)?));
    }
    Ok(sha256_bytes(lines.as_bytes()))
}

/// What tells the files of a model or an adapter from others.
///
/// # Errors
/// When a file cannot be read.
pub fn identity(dir: &Path) -> Result<String> {
    let entries = std::fs::read_dir(dir)
        .map_err(|err| UserError::io(Text::fixed("read the folder", "读取文件夹"), dir, &err))?;
    let names = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| PathBuf::from(entry.file_name()));
    Ok(identity_of_folder(dir, names)?.0)
}

/// Identities of all that answers.
///
/// # Errors
/// When a file cannot be read.
pub fn identities(model: &ModelRef) -> Result<(String, Vec<String>)> {
    let of_model = if model.path.is_dir() { identity(&model.path)? } else { sha256_file(&model.path)? };
    Ok((of_model, model.adapters.iter().map(|dir| identity(dir)).collect::<Result<_>>()?))
}

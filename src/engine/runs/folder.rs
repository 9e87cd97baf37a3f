//! One run folder, in short.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{Local, NaiveDateTime};
use protocol::{CheckpointReport, Result, RunConfig, RunReport, RunState, Text, UserError, text};
use serde::Deserialize;

use super::history::{Digest, METRICS_FILE, digest};
use super::memory::memory;
use crate::files::{CheckpointStore, MANIFEST_NAME, RunLock};
use crate::handoff;
use crate::train::{RunState as Counters, events_log};

/// What makes a folder that of a run.
pub(super) const PLAN_FILE: &str = "plan.json";
/// A plan or a manifest that is larger is not one.
const LARGEST: u64 = 64 << 20;

/// What changes when anything does that the report tells, but for the lock.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp([Option<(SystemTime, u64)>; 5]);

/// The part of plan.json that a report needs: plans of other versions of the program are read, too.
#[derive(Deserialize)]
struct PlanGist {
    config: RunConfig,
    #[serde(default)]
    base: PathBuf,
    now: Option<NaiveDateTime>,
    #[serde(default)]
    total_steps: u64,
}

/// A checkpoint's manifest, as far as it is told of.
#[derive(Deserialize)]
struct ManifestGist {
    files: Vec<FileGist>,
    #[serde(default)]
    extra: ExtraGist,
}

#[derive(Deserialize)]
struct FileGist {
    size: u64,
}

#[derive(Default, Deserialize)]
struct ExtraGist {
    eval_loss: Option<f64>,
}

impl Stamp {
    pub fn of(run: &Path) -> Self {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let parts = [PLAN_FILE, METRICS_FILE, events_log::FILE, "checkpoints"];
        let [plan, metrics, events, checkpoints] = parts.map(|name| stamp(&run.join(name)));
        Self([plan, metrics, events, checkpoints, stamp(run)])
    }
}

/// Reads a run's report.
///
/// # Errors
/// When its plan is missing or cannot be read. Damage elsewhere leaves blanks.
pub fn report(run: &Path) -> Result<RunReport> {
    let plan = plan(run)?;
    let digest = digest(run);
    let checkpoints = checkpoints(run, &digest);
    let counters = checkpoints.last().and_then(|newest| counters(&newest.dir));
    let started = plan.now.and_then(|now| now.and_local_timezone(Local).earliest());
    let seconds = digest.last.as_ref().map(|last| last.seconds).filter(|seconds| *seconds > 0.0);
    let finite = |loss: f64| Some(loss).filter(|loss| loss.is_finite());
    let report = RunReport {
        dir: run.to_owned(),
        name: run.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        state: RunState::Empty,
        started: started.map(|started| started.to_rfc3339()),
        seconds: seconds.or(counters.as_ref().map(|counters| counters.seconds)).unwrap_or(0.0),
        step: digest
            .last
            .as_ref()
            .map_or(0, |last| last.step)
            .max(counters.map_or(0, |counters| counters.step)),
        total_steps: plan.total_steps,
        last_loss: digest.last.as_ref().and_then(|last| finite(last.loss)),
        last_eval_loss: digest.last_eval.as_ref().and_then(|eval| finite(eval.eval_loss)),
        best_eval_loss: digest.best_eval.as_ref().and_then(|eval| finite(eval.eval_loss)),
        config: Box::new(plan.config),
        base: plan.base,
        curve: digest.curve,
        checkpoints,
        result: result(run),
        bytes: size(run, 0),
        memory: memory(run),
    };
    Ok(judged(report))
}

/// The report with the run's state as it is now: whether somebody works in it leaves no trace in its files.
pub fn judged(mut report: RunReport) -> RunReport {
    let running = RunLock::is_held(&report.dir);
    let elsewhere = report.dir.join(handoff::MARK).is_file();
    report.state = match (running, &report.result, report.checkpoints.is_empty()) {
        (true, ..) => RunState::Running,
        _ if elsewhere => RunState::Elsewhere,
        (false, Some(_), _) => RunState::Finished,
        (false, None, false) => RunState::Unfinished,
        (false, None, true) => RunState::Empty,
    };
    report
}

fn plan(run: &Path) -> Result<PlanGist> {
    let path = run.join(PLAN_FILE);
    let bytes = bounded(&path).map_err(|err| {
        UserError::io(Text::fixed("read the run's plan", "读取训练计划"), &path, &err).mend(Text::fixed(
            "name a run folder: one with plan.json",
            "请指定训练文件夹：其中应有 plan.json",
        ))
    })?;
    serde_json::from_slice(&bytes).map_err(|err| {
        UserError::bad_input(text!("The run's plan cannot be read: {err}", "无法读取训练计划：{err}"))
            .in_file(&path)
    })
}

/// A whole file, if it is a file and not too large.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// From the oldest to the newest; what they hold is not verified, which would read all of it.
fn checkpoints(run: &Path, digest: &Digest) -> Vec<CheckpointReport> {
    let listed = CheckpointStore::new(run.join("checkpoints"), 1).list().unwrap_or_default();
    let best = digest.best_eval.as_ref().map(|eval| eval.step);
    let checkpoint = |(step, dir): (u64, PathBuf)| {
        let bytes = bounded(&dir.join(MANIFEST_NAME)).ok()?;
        let manifest: ManifestGist = serde_json::from_slice(&bytes).ok()?;
        let files = manifest.files.iter().fold(bytes.len() as u64, |sum, file| sum.saturating_add(file.size));
        let eval_loss = manifest.extra.eval_loss;
        Some(CheckpointReport { step, dir, bytes: files, eval_loss, best: best == Some(step) })
    };
    listed.into_iter().filter_map(checkpoint).collect()
}

fn counters(checkpoint: &Path) -> Option<Counters> {
    serde_json::from_slice(&bounded(&checkpoint.join("state.json")).ok()?).ok()
}

/// The final adapter or model.
fn result(run: &Path) -> Option<PathBuf> {
    let named = [("adapter", "adapter_config.json"), ("model", "config.json")];
    named.into_iter().map(|(dir, file)| (run.join(dir), file)).find_map(|(dir, file)| {
        let there = dir.join(file).is_file();
        there.then_some(dir)
    })
}

/// Bytes of a folder's files; links count as nothing. A run folder is three deep.
fn size(dir: &Path, depth: u32) -> u64 {
    const DEEPEST: u32 = 8;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let metadata = fs::symlink_metadata(entry.path()).ok()?;
        let deeper = metadata.is_dir() && depth < DEEPEST;
        Some(if deeper {
            size(&entry.path(), depth + 1)
        } else {
            metadata.len() * u64::from(metadata.is_file())
        })
    });
    sizes.fold(0, u64::saturating_add)
}

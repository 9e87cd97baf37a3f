//! The checkpoints that came back: the newest one, and the best where the run ends with it.

use std::fs;
use std::path::Path;

use protocol::{Result, Text, UserError, text};

use super::super::ADAPTER;
use super::back::adapter_of;
use super::{copy_again, json, strange};
use crate::files::{CheckpointStore, Manifest};
use crate::methods::Adapter;
use crate::train::{PlanFile, RunState};
use crate::weights::{Checkpoint, open_file};

/// The folders of a checkpoint are two deep.
const DEEPEST: u32 = 4;
/// Of a parameter, what an optimizer may remember.
const KINDS: [&str; 2] = ["m", "v"];

/// A checkpoint that is whole and of this run.
pub struct Found {
    pub state: RunState,
    pub adapter: Box<dyn Adapter>,
    /// What the optimizer remembers.
    pub memories: Checkpoint,
    /// Trained parameters of which it remembers nothing although there were updates.
    pub forgotten: u64,
}

/// Those that are taken over, from the oldest to the newest, and what the user should know of the others.
///
/// # Errors
/// When a checkpoint that says that it is whole is none of this run, or all are damaged.
pub fn found(from: &Path, plan: &PlanFile) -> Result<(Vec<Found>, Vec<Text>)> {
    let root = from.join("checkpoints");
    if !root.exists() {
        return Ok(Default::default());
    }
    refuse_links(&root, 0)?;
    let store = CheckpointStore::new(&root, 1);
    let (newest, mut notes) = store.newest_sound().map_err(|error| error.mend(copy_again()))?;
    let Some(newest) = newest else { return Ok((Vec::new(), notes)) };
    let mut newest = opened(&newest.path, newest.manifest.step, plan)?;
    let best = newest.state.best_step.filter(|step| *step != newest.state.step);
    let Some(step) = best.filter(|_| plan.config.train.keep_best) else { return Ok((vec![newest], notes)) };
    let path = store.path_of(step);
    if Manifest::verify(&path).is_ok() {
        return Ok((vec![opened(&path, step, plan)?, newest], notes));
    }
    notes.push(text!(
        "The best checkpoint, of step {step}, did not come back whole: the best is looked for anew from here on",
        "第 {step} 步的最佳检查点未完整取回：此后将重新寻找最佳检查点"
    ));
    (newest.state.best_step, newest.state.best_loss) = (None, None);
    Ok((vec![newest], notes))
}

fn opened(path: &Path, step: u64, plan: &PlanFile) -> Result<Found> {
    let file = path.join("state.json");
    let state: RunState = json(&file)?;
    let counts = state.step == step && step <= plan.total_steps && u64::from(state.updates) <= step;
    if !counts {
        let what = Text::fixed("it counts other steps than its run has", "其步数与训练不符");
        return Err(strange(&file, what));
    }
    let adapter = adapter_of(&path.join(ADAPTER), plan)?;
    let memories = memories(&path.join("optimizer.safetensors"), adapter.as_ref())?;
    let forgets = |name: &str| !KINDS.iter().any(|kind| memories.contains(&format!("{name}#{kind}")));
    let params = adapter.params().iter().filter(|(_, param)| param.trainable);
    let forgotten = params.filter(|(_, param)| forgets(&param.name)).count() as u64;
    let forgotten = if state.updates > 0 && remembers(plan) { forgotten } else { 0 };
    Ok(Found { state, adapter, memories, forgotten })
}

/// Whether the run's optimizer remembers anything: SGD may not.
fn remembers(plan: &PlanFile) -> bool {
    let train = &plan.config.train;
    let momentum = train.optimizer_settings.get("momentum").and_then(serde_json::Value::as_f64);
    train.optimizer != "sgd" || momentum != Some(0.0)
}

/// # Errors
/// When something in it is no state of a parameter of this run.
fn memories(file: &Path, adapter: &dyn Adapter) -> Result<Checkpoint> {
    let states = open_file(file)?;
    for name in states.names() {
        let (param, kind) = name.rsplit_once('#').unwrap_or((name, ""));
        let elements = adapter.params().find(param).map(|id| adapter.params().get(id).elements());
        let length = states.info(name).map(|info| info.shape.iter().product::<usize>());
        if elements.is_none() || elements != length || !KINDS.contains(&kind) {
            return Err(strange(file, text!("{name} is not of this run", "{name} 不属于该训练")));
        }
        // A square that is negative makes its root none.
        let sound = |number: &f32| number.is_finite() && (kind != "v" || *number >= 0.0);
        if !states.read_f32(name)?.iter().all(sound) {
            return Err(strange(file, text!("{name} has numbers that none can be", "{name} 中有无效的数")));
        }
    }
    Ok(states)
}

/// # Errors
/// When anything below a folder is neither file nor folder: a link leads anywhere, a pipe has no end.
fn refuse_links(dir: &Path, depth: u32) -> Result<()> {
    let listing = |err| UserError::io(Text::fixed("list the folder", "列出文件夹"), dir, &err);
    for entry in fs::read_dir(dir).map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let kind = entry.file_type().map_err(listing)?;
        let path = entry.path();
        match (kind.is_dir(), kind.is_file()) {
            (true, _) if depth < DEEPEST => refuse_links(&path, depth + 1)?,
            (false, true) => {}
            _ => {
                return Err(strange(
                    &path,
                    Text::fixed("it is no file of a checkpoint", "不是检查点中的文件"),
                ));
            }
        }
    }
    Ok(())
}

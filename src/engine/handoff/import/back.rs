//! What came back, opened and checked, and its way into a run folder.

use std::fs;
use std::path::Path;

use protocol::config::{MethodConfig, run_file_text};
use protocol::{ImportReport, Result, RunEvent, Text, UserError, text};

use super::super::ADAPTER;
use super::checkpoints::{self, Found};
use super::figures::{Figures, figures};
use super::{copy_again, is_plain, strange};
use crate::export::Card;
use crate::files::{CheckpointStore, write_error};
use crate::methods::{self, Adapter, Attach, PEFT_WEIGHTS, TrainedOn};
use crate::models::{Model, ModelFolder};
use crate::nn::{Quantization, Value};
use crate::optim;
use crate::train::{EventsLog, Imported, Learner, PlanFile, RunFolder, RunState, Snapshot};
use crate::weights::read_f32;

/// What came back, opened and checked.
pub struct Back<'a> {
    from: &'a Path,
    engine: &'a str,
    /// The adapter in the end; it may be that of an earlier checkpoint.
    result: Option<Box<dyn Adapter>>,
    /// The newest is the last one.
    checkpoints: Vec<Found>,
    notes: Vec<Text>,
}

impl<'a> Back<'a> {
    /// # Errors
    /// When there is nothing, or something is not of the run.
    pub fn open(from: &'a Path, plan: &PlanFile, engine: &'a str) -> Result<Self> {
        let dir = from.join(ADAPTER);
        let result = if dir.exists() { Some(adapter_of(&dir, plan)?) } else { None };
        let (checkpoints, notes) = checkpoints::found(from, plan)?;
        if result.is_none() && checkpoints.is_empty() {
            return Err(UserError::bad_input(Text::fixed(
                "Nothing has come back yet: the run has neither a result nor a checkpoint",
                "尚无可取回的内容：该训练既没有结果，也没有检查点",
            ))
            .in_file(from)
            .mend(Text::fixed(
                "wait for its first checkpoint; until then its figures can be watched",
                "请等待第一个检查点；在此之前可以查看其训练记录",
            )));
        }
        Ok(Self { from, engine, result, checkpoints, notes })
    }

    /// Fills a run folder.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write(mut self, dir: &Path, mut plan: PlanFile) -> Result<ImportReport> {
        let newest = self.checkpoints.last().map(|found| found.state.clone());
        plan.imported = Some(Imported {
            engine: self.engine.to_owned(),
            dtype: plan.dtype.clone(),
            step: newest.as_ref().map(|state| state.step),
            forgotten: self.checkpoints.last().map_or(0, |found| found.forgotten),
        });
        RunFolder { path: dir.to_owned() }.write(&run_file_text(&plan.config)?, &plan)?;
        let figures = figures(self.from, dir, plan.total_steps)?;
        self.note_left_out(&figures);
        let note = note(&plan)?;
        if let Some(result) = &self.result {
            let mut reached = newest.clone().unwrap_or_default();
            reached.step = figures.last_step;
            write_result(result.as_ref(), &dir.join(ADAPTER), (&plan, &note), &reached)?;
        }
        self.write_checkpoints(dir, &plan, &note)?;
        let came = Text::fixed("Trained elsewhere, and imported", "在其他机器上训练后导入");
        EventsLog::new(dir).write(&RunEvent::Notice { text: came });
        Ok(ImportReport {
            dir: dir.to_owned(),
            step: figures.last_step,
            total_steps: plan.total_steps,
            result: self.result.as_ref().map(|_| dir.join(ADAPTER)),
            checkpoint: newest.map(|state| state.step),
            evaluations: figures.evals,
            notes: self.notes,
        })
    }

    fn note_left_out(&mut self, figures: &Figures) {
        let lines = figures.left_out;
        if lines > 0 {
            self.notes.push(text!(
                "{lines} lines of the figures were left out: they could not be read, or were out of order",
                "训练记录中有 {lines} 行被略去：无法读取或顺序有误"
            ));
        }
    }

    fn write_checkpoints(&mut self, dir: &Path, plan: &PlanFile, note: &TrainedOn) -> Result<()> {
        let base = plan.config.model.path.display().to_string();
        let store = CheckpointStore::new(dir.join("checkpoints"), 1);
        for Found { state, adapter, memories, .. } in self.checkpoints.drain(..) {
            let optimizer = optim::build(&plan.config.train)?;
            let mut learner = Learner::new(bare_model(plan)?, Some(adapter), optimizer);
            learner.updates = state.updates;
            let device = learner.model.device.clone();
            learner.optimizer.slots.read(&memories, &device)?;
            let extra = serde_json::json!({ "version": plan.version, "eval_loss": state.last_eval });
            let snapshot = Snapshot::of(&mut learner, &state, base.clone(), note.clone());
            store.save(state.step, extra, |dir| snapshot.write(dir))?;
        }
        Ok(())
    }
}

/// The run folder says how prompts are made.
fn note(plan: &PlanFile) -> Result<TrainedOn> {
    let kept = Quantization::from_name(&plan.config.model.quantization)?;
    let quantization = kept.map(|kept| kept.name().to_owned()).unwrap_or_default();
    Ok(TrainedOn { quantization, prompt: None })
}

fn write_result(
    result: &dyn Adapter,
    to: &Path,
    (plan, note): (&PlanFile, &TrainedOn),
    reached: &RunState,
) -> Result<()> {
    fs::create_dir_all(to).map_err(|err| write_error(to, 0, &err))?;
    result.save(to, &plan.config.model.path.display().to_string())?;
    note.write(to)?;
    Card::of_run(plan, reached).write(to)?;
    Ok(())
}

/// The base without its weights.
fn bare_model(plan: &PlanFile) -> Result<Model> {
    let model = &plan.config.model;
    Ok(ModelFolder::open(&model.path, &model.overrides)?.into_model())
}

/// An adapter of the run's method, with the values of a folder.
///
/// # Errors
/// When the folder has other tensors than the run's settings declare, or numbers that are not finite.
pub fn adapter_of(dir: &Path, plan: &PlanFile) -> Result<Box<dyn Adapter>> {
    for name in [PEFT_WEIGHTS, "adapter_config.json"] {
        if !is_plain(&dir.join(name)) {
            return Err(strange(&dir.join(name), Text::fixed("it is missing, or no file", "缺失或不是文件")));
        }
    }
    let mut model = bare_model(plan)?;
    // By headers first: what the settings declare is only made when the folder holds as much.
    let wanted = MethodConfig { init_from: dir.to_owned(), ..plan.config.method.clone() };
    methods::footprint(&model, &wanted, &plan.config.model.path)
        .map_err(|err| not_fitting(dir, told(&err)))?;
    let train = &plan.config.train;
    let context = Attach { seed: train.seed, learning_rate: train.learning_rate };
    let fresh = methods::attach(&mut model, &plan.config.method, &context)?;
    let mut fresh = fresh.ok_or_else(|| not_fitting(dir, Vec::new()))?;
    let found = methods::load_adapter(dir, &model).map_err(|err| not_fitting(dir, told(&err)))?;
    fresh.copy_from(found.as_ref()).map_err(|err| not_fitting(dir, told(&err)))?;
    for (_, param) in fresh.params().iter() {
        let absent = matches!(param.value, Value::Absent);
        if absent || read_f32(&param.value)?.iter().any(|number| !number.is_finite()) {
            return Err(not_fitting(dir, vec![format!("{} has numbers that are not finite", param.name)]));
        }
    }
    Ok(fresh)
}

fn not_fitting(dir: &Path, details: Vec<String>) -> UserError {
    UserError::bad_input(Text::fixed(
        "The adapter that came back is not the one that was handed over",
        "取回的适配器与移交的不符",
    ))
    .in_file(dir)
    .details(details)
    .mend(copy_again())
}

fn told(error: &UserError) -> Vec<String> {
    std::iter::once(error.what.to_string()).chain(error.details.iter().cloned()).collect()
}

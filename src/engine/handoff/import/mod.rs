//! What a handed-off run wrote, as a run folder here. All of it was written elsewhere: nothing is copied as it is. Settings are
//! parsed and written again, tensors are held against what the settings declare, figures are read line by line.

use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use protocol::config::{MethodConfig, run_file_text};
use protocol::{ImportReport, Result, RunEvent, Text, UserError, text};
use serde::de::DeserializeOwned;

use super::folder::Mark;
use super::{ADAPTER, MARK, MODEL, RUN, job};
use crate::export::Card;
use crate::files::{
    AtomicDir, AtomicFile, CheckpointStore, FileIdentity, RunLock, sampled_identity, write_error,
};
use crate::methods::{self, Adapter, Attach, PEFT_WEIGHTS, TrainedOn};
use crate::models::ModelFolder;
use crate::nn::Value;
use crate::optim;
use crate::runs;
use crate::train::{EventsLog, Learner, PlanFile, RunFolder, RunState, Snapshot};
use crate::weights::{open_file, read_f32};

/// A settings file that is larger is none of ours.
const LARGEST: u64 = 64 << 20;
/// The folders of a checkpoint are two deep.
const DEEPEST: u32 = 4;

/// Makes a run folder `out` of what lies in `dir`: the folder that was handed over, or the `run` folder in it. `model` is
/// the base model here; None where the folder has a copy.
///
/// # Errors
/// When the folder holds no handed-off run, nothing has come of it yet, it does not fit the model, or something in it is not
/// what it should be. Nothing is left under the name then.
pub fn import(dir: &Path, model: Option<&Path>, out: &Path) -> Result<ImportReport> {
    let from = run_folder(dir)?;
    let mark: Mark = json(&from.join(MARK))?;
    if mark.format != job::FORMAT {
        let format = mark.format;
        return Err(strange(
            &from.join(MARK),
            text!("its format {format} is not known", "格式 {format} 未知"),
        ));
    }
    let mut plan: PlanFile = json(&from.join(RunFolder::PLAN))?;
    let model = base_model(&from, model)?;
    refuse_another_model(&model, &plan.model_files)?;
    plan.config.model.path.clone_from(&model);
    let back = Back::open(&from, &plan)?;
    let hidden = AtomicDir::create(out)?;
    let report = back.write(hidden.path(), &plan)?;
    let dir = hidden.commit()?;
    // Whoever removes a run looks for the lock that every run leaves.
    drop(RunLock::acquire(&dir)?);
    let result = report.result.map(|_| dir.join(ADAPTER));
    Ok(ImportReport { dir, result, ..report })
}

/// The run folder of what was handed over.
fn run_folder(dir: &Path) -> Result<PathBuf> {
    let found = [dir.join(RUN), dir.to_owned()].into_iter().find(|dir| is_plain(&dir.join(MARK)));
    found.ok_or_else(|| {
        UserError::bad_input(Text::fixed(
            "This folder holds no run that was handed over",
            "该文件夹中没有移交出去的训练",
        ))
        .in_file(dir)
        .mend(Text::fixed(
            "name the folder that `handoff` wrote, or the folder `run` in it",
            "请指定 `handoff` 写出的文件夹，或其中的 `run` 文件夹",
        ))
    })
}

fn base_model(from: &Path, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let copied = from.with_file_name(MODEL);
    let is_there = fs::symlink_metadata(&copied).is_ok_and(|metadata| metadata.is_dir());
    if is_there {
        return std::path::absolute(&copied)
            .map_err(|err| UserError::io(Text::fixed("find the model", "查找模型"), &copied, &err));
    }
    Err(UserError::bad_input(Text::fixed(
        "It is not known where the base model is on this machine",
        "不知道基础模型在本机的位置",
    ))
    .mend(Text::fixed("name its folder with --model", "请用 --model 指定其文件夹")))
}

/// # Errors
/// When a file of the model is not that which the run was prepared for.
fn refuse_another_model(model: &Path, files: &[FileIdentity]) -> Result<()> {
    let mut differ = Vec::new();
    for file in files {
        let name = Path::new(&file.name);
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        let path = model.join(name);
        let same = || -> Result<bool> {
            let here = sampled_identity(&path)?;
            Ok((here.size, here.sampled, &here.sha256) == (file.size, file.sampled, &file.sha256))
        };
        if !plain || !path.is_file() || !same()? {
            differ.push(file.name.clone());
        }
    }
    if differ.is_empty() && !files.is_empty() {
        return Ok(());
    }
    Err(UserError::bad_input(Text::fixed(
        "This is not the model that the run was prepared for",
        "这不是准备该训练时所用的模型",
    ))
    .in_file(model)
    .details(differ)
    .mend(Text::fixed("name the right folder with --model", "请用 --model 指定正确的文件夹")))
}

/// What came back, opened and checked.
struct Back<'a> {
    from: &'a Path,
    learner: Learner,
    /// The adapter in the end; it may be that of an earlier checkpoint.
    result: Option<Box<dyn Adapter>>,
    checkpoint: Option<(RunState, Box<dyn Adapter>)>,
    notes: Vec<Text>,
}

impl<'a> Back<'a> {
    fn open(from: &'a Path, plan: &PlanFile) -> Result<Self> {
        let config = &plan.config;
        let model = ModelFolder::open(&config.model.path, &config.model.overrides)?.into_model();
        let optimizer = optim::build(&config.train)?;
        let learner = Learner::new(model, None, optimizer);
        let mut back = Self { from, learner, result: None, checkpoint: None, notes: Vec::new() };
        if from.join(ADAPTER).exists() {
            back.result = Some(back.adapter(&from.join(ADAPTER), plan)?);
        }
        back.checkpoint = back.newest_checkpoint(plan)?;
        if back.result.is_none() && back.checkpoint.is_none() {
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
        Ok(back)
    }

    /// An adapter of the run's method, with the values of a folder.
    fn adapter(&self, dir: &Path, plan: &PlanFile) -> Result<Box<dyn Adapter>> {
        for name in [PEFT_WEIGHTS, "adapter_config.json"] {
            if !is_plain(&dir.join(name)) {
                return Err(strange(
                    &dir.join(name),
                    Text::fixed("it is missing, or no file", "缺失或不是文件"),
                ));
            }
        }
        let mut model =
            ModelFolder::open(&plan.config.model.path, &plan.config.model.overrides)?.into_model();
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
                return Err(not_fitting(
                    dir,
                    vec![format!("{} has numbers that are not finite", param.name)],
                ));
            }
        }
        Ok(fresh)
    }

    /// The newest checkpoint that is whole, with what the optimizer remembers.
    fn newest_checkpoint(&mut self, plan: &PlanFile) -> Result<Option<(RunState, Box<dyn Adapter>)>> {
        let root = self.from.join("checkpoints");
        if !root.exists() {
            return Ok(None);
        }
        refuse_links(&root, 0)?;
        let (found, notices) = CheckpointStore::new(&root, 1).newest_sound()?;
        self.notes.extend(notices);
        let Some(found) = found else { return Ok(None) };
        let state: RunState = json(&found.path.join("state.json"))?;
        if state.step != found.manifest.step || state.step > plan.total_steps {
            let what = Text::fixed("it counts other steps than its run has", "其步数与训练不符");
            return Err(strange(&found.path.join("state.json"), what));
        }
        let adapter = self.adapter(&found.path.join(ADAPTER), plan)?;
        let file = found.path.join("optimizer.safetensors");
        let states = open_file(&file)?;
        for name in states.names() {
            let (param, kind) = name.rsplit_once('#').unwrap_or((name, ""));
            let elements = adapter.params().find(param).map(|id| adapter.params().get(id).elements());
            let length = states.info(name).map(|info| info.shape.iter().product::<usize>());
            if elements.is_none() || elements != length || !["m", "v"].contains(&kind) {
                return Err(strange(&file, text!("{name} is not of this run", "{name} 不属于该训练")));
            }
        }
        let device = self.learner.model.device.clone();
        self.learner.optimizer.slots.read(&states, &device)?;
        self.learner.updates = state.updates;
        Ok(Some((state, adapter)))
    }

    /// Fills a run folder.
    fn write(mut self, dir: &Path, plan: &PlanFile) -> Result<ImportReport> {
        let base = plan.config.model.path.display().to_string();
        RunFolder { path: dir.to_owned() }.write(&run_file_text(&plan.config)?, plan)?;
        let figures = figures(self.from, dir, plan.total_steps)?;
        if figures.left_out > 0 {
            let lines = figures.left_out;
            self.notes.push(text!(
                "{lines} lines of the figures were left out: they could not be read, or were out of order",
                "训练记录中有 {lines} 行被略去：无法读取或顺序有误"
            ));
        }
        let state = self.checkpoint.as_ref().map(|(state, _)| state.clone());
        if let Some(result) = &self.result {
            let to = dir.join(ADAPTER);
            fs::create_dir_all(&to).map_err(|err| write_error(&to, 0, &err))?;
            result.save(&to, &base)?;
            let mut reached = state.clone().unwrap_or_default();
            reached.step = figures.last_step;
            Card::of_run(plan, &reached).write(&to)?;
        }
        if let Some((state, adapter)) = self.checkpoint.take() {
            self.learner.adapter = Some(adapter);
            let extra = serde_json::json!({ "version": plan.version, "eval_loss": state.last_eval });
            let store = CheckpointStore::new(dir.join("checkpoints"), 1);
            // The run folder says how prompts are made.
            let note = TrainedOn::default();
            let snapshot = Snapshot::of(&mut self.learner, &state, base, note);
            store.save(state.step, extra, |dir| snapshot.write(dir))?;
        }
        let came = Text::fixed("Trained elsewhere, and imported", "在其他机器上训练后导入");
        EventsLog::new(dir).write(&RunEvent::Notice { text: came });
        Ok(ImportReport {
            dir: dir.to_owned(),
            step: figures.last_step,
            total_steps: plan.total_steps,
            result: self.result.as_ref().map(|_| dir.join(ADAPTER)),
            checkpoint: state.map(|state| state.step),
            evaluations: figures.evals,
            notes: self.notes,
        })
    }
}

/// What was taken of the figures.
#[derive(Default)]
struct Figures {
    last_step: u64,
    evals: u64,
    left_out: u64,
}

/// Writes the lines of the figures again that are ours, and in order.
fn figures(from: &Path, to: &Path, total_steps: u64) -> Result<Figures> {
    let mut taken = Figures::default();
    let path = from.join(runs::METRICS_FILE);
    if !is_plain(&path) {
        return Ok(taken);
    }
    let target = to.join(runs::METRICS_FILE);
    let mut file = AtomicFile::create(&target)?;
    let mut written = BufWriter::new(file.file());
    let mut put = |line: &protocol::MetricsLine| -> Result<()> {
        let mut json = serde_json::to_vec(line)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        json.push(b'\n');
        written.write_all(&json).map_err(|err| write_error(&target, 0, &err))
    };
    runs::each_line(from, |line| {
        let (step, is_step) = match &line {
            Some(protocol::MetricsLine::Step(step)) => (step.step, true),
            Some(protocol::MetricsLine::Eval { eval, .. }) => (eval.step, false),
            Some(protocol::MetricsLine::Sample { sample, .. }) => (sample.step, false),
            None => (0, true),
        };
        let in_order = if is_step { step == taken.last_step + 1 } else { step == taken.last_step };
        match line.filter(|_| in_order && step <= total_steps) {
            Some(line) => {
                taken.last_step = step;
                taken.evals += u64::from(matches!(line, protocol::MetricsLine::Eval { .. }));
                put(&line)
            }
            None => {
                taken.left_out += 1;
                Ok(())
            }
        }
    })?;
    written.flush().map_err(|err| write_error(&target, 0, &err))?;
    drop(written);
    file.commit()?;
    Ok(taken)
}

/// A file, and no link to one.
fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
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

/// A settings file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    if !is_plain(path) {
        return Err(strange(path, Text::fixed("it is missing, or no file", "缺失或不是文件")));
    }
    let reading = |err| UserError::io(Text::fixed("read the settings", "读取设置"), path, &err);
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(reading)?;
    if bytes.len() as u64 > LARGEST {
        return Err(strange(path, Text::fixed("it is too large", "文件过大")));
    }
    serde_json::from_slice(&bytes).map_err(|err| strange(path, Text::new(err.to_string(), err.to_string())))
}

fn strange(path: &Path, why: Text) -> UserError {
    let Text { en, zh } = why;
    UserError::bad_input(text!("What came back cannot be used: {en}", "取回的内容无法使用：{zh}"))
        .in_file(path)
        .mend(Text::fixed(
            "copy the folder again from where it was trained",
            "请从训练所在处重新复制该文件夹",
        ))
}

fn not_fitting(dir: &Path, details: Vec<String>) -> UserError {
    UserError::bad_input(Text::fixed(
        "The adapter that came back is not the one that was handed over",
        "取回的适配器与移交的不符",
    ))
    .in_file(dir)
    .details(details)
    .mend(Text::fixed("copy the folder again from where it was trained", "请从训练所在处重新复制该文件夹"))
}

fn told(error: &UserError) -> Vec<String> {
    std::iter::once(error.what.to_string()).chain(error.details.iter().cloned()).collect()
}

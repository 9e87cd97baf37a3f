//! What a handed-off run wrote, as a run folder here. All of it was written elsewhere: nothing is copied as it is. Settings are
//! parsed and written again, tensors are held against what the settings declare, figures are read line by line.

mod back;
mod checkpoints;
mod figures;
mod origin;

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use protocol::{ImportReport, Result, RunOrigin, Text, UserError, text};
use serde::de::DeserializeOwned;

use super::folder::Mark;
use super::{ADAPTER, MARK, MODEL, RUN, able, job};
use crate::files::{AtomicDir, FileIdentity, RunLock, sampled_identity};
use crate::train::{PlanFile, RunFolder};
use back::Back;

/// A settings file that is larger is none of ours.
const LARGEST: u64 = 64 << 20;

/// Makes a run folder `out` of what lies in `dir`: the folder that was handed over, or the `run` folder in it. `model` is
/// the base model here; None where `origin` names it or the folder has a copy. With `origin`, the run file that was handed over,
/// the run can go on here, too.
///
/// # Errors
/// When the folder holds no handed-off run, nothing has come of it yet, it does not fit the model or the run file, or something
/// in it is not what it should be. Nothing is left under the name then.
pub fn import(
    dir: &Path,
    model: Option<&Path>,
    origin: Option<&RunOrigin>,
    out: &Path,
) -> Result<ImportReport> {
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
    refuse_never_handed(&plan, &from.join(RunFolder::PLAN))?;
    let joined = origin.map(|origin| (origin::joined(plan.clone(), origin), origin.guessed));
    let mut named = None;
    match joined {
        Some((Ok(joined), _)) => {
            named = Some(joined.config.model.path.clone());
            plan = joined;
        }
        Some((Err(err), false)) => return Err(err),
        Some((Err(_), true)) | None => {}
    }
    let model = base_model(&from, model.map(Path::to_owned).or(named))?;
    refuse_another_model(&model, &plan.model_files)?;
    plan.config.model.path.clone_from(&model);
    let back = Back::open(&from, &plan, &mark.engine)?;
    let hidden = AtomicDir::create(out)?;
    let report = back.write(hidden.path(), plan)?;
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

fn base_model(from: &Path, given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given);
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
    .in_file(from)
    .mend(Text::fixed(
        "name its folder with --model, or the run file that was handed over with --run",
        "请用 --model 指定其文件夹，或用 --run 指定移交时的运行文件",
    )))
}

/// # Errors
/// When the plan is none that a hand-off writes.
fn refuse_never_handed(plan: &PlanFile, file: &Path) -> Result<()> {
    let (method, optimizer) = (plan.config.method.kind.as_str(), plan.config.train.optimizer.as_str());
    let words: [(&str, &[&str]); 2] = [(method, &able::METHODS), (optimizer, &able::OPTIMIZERS)];
    match words.into_iter().find(|(word, known)| !known.contains(word)) {
        None => Ok(()),
        Some((word, _)) => Err(strange(file, text!("`{word}` is never handed over", "`{word}` 从不移交"))),
    }
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

/// A file, and no link to one.
fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
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
        .mend(copy_again())
}

fn copy_again() -> Text {
    Text::fixed("copy the folder again from where it was trained", "请从训练所在处重新复制该文件夹")
}

//! Writing the folder that is handed over.

use std::fs;
use std::path::{Path, PathBuf};

use data::{Position, Progress, write_examples, write_steps};
use protocol::config::run_file_text;
use protocol::{HandoffReport, HandoffRequest, Result, RunConfig, Text, UserError};

use super::job::Job;
use super::{ADAPTER, Cluster, MARK, MODEL, RUN, able, engine_of, launch, notes, start};
use crate::device::Chosen;
use crate::files::{AtomicDir, AtomicFile, require_space, write_error};
use crate::plan::Plan;
use crate::train::{PlanFile, RunFolder};

const SCRIPT: &str = include_str!("files/train.py");

/// Writes everything that a run needs on other machines into one folder. It names no place of this machine.
///
/// # Errors
/// When the run cannot be handed over, the data forbid it, the folder is taken, the disk is full, or the user stopped.
pub fn hand_off(request: &HandoffRequest, chosen: &Chosen, progress: &dyn Progress) -> Result<HandoffReport> {
    let engine = engine_of(&request.engine)?;
    let now = chrono::Local::now().naive_local();
    let plan = Plan::make((*request.config).clone(), &request.base, now, chosen, progress)?;
    // Memory here forbids nothing: the run goes to where there is more.
    plan.survey.refusal().map_or(Ok(()), Err)?;
    able::refuse(&plan)?;
    let cluster = Cluster::of(request, &plan, plan.config.model.dtype != "f32")?;
    let reference = reference(request, &plan.config);
    let mut file = PlanFile::of(&plan, &request.base, request.engine.clone())?;
    file.config = told(plan.config.clone(), &request.base, &reference);
    file.base = PathBuf::new();
    file.dtype = if cluster.bf16 { "bf16" } else { "f32" }.to_owned();
    file.template = file.template.map(|template| last_part(Path::new(&template)));
    let hidden = AtomicDir::create(&request.out)?;
    let writing = Writing { plan: &plan, dir: hidden.path(), progress };
    let parameters = start::write_adapter(&plan, &writing.dir.join(ADAPTER), &reference)?;
    let tokens = writing.rows()?;
    let job = Job::of(request, &plan, (&file, &reference), &cluster, parameters);
    writing.text("job.json", &job.json()?)?;
    writing.text("train.py", SCRIPT.as_bytes())?;
    writing.text("requirements.txt", notes::requirements(engine, &plan).as_bytes())?;
    for (name, content) in (engine.files)(&cluster).into_iter().chain(launch::scripts(engine, &cluster)) {
        writing.text(name, content.as_bytes())?;
    }
    writing.run(&file, &job)?;
    if request.copy_model {
        writing.model()?;
    }
    let launches = launch::launches(engine, &cluster);
    for (name, content) in notes::readmes(engine, &cluster, &plan, &reference) {
        writing.text(name, content.as_bytes())?;
    }
    let files = listed(writing.dir, "")?;
    let bytes = files.iter().map(|(_, size)| size).sum();
    Ok(HandoffReport {
        dir: hidden.commit()?,
        files: files.into_iter().map(|(name, _)| name).collect(),
        bytes,
        train_rows: file.train_rows,
        validation_rows: file.validation_rows,
        tokens,
        steps: plan.total_steps,
        launches,
        notes: notes::told(request, &plan, &cluster, &reference),
    })
}

/// The folder in the making.
struct Writing<'a> {
    plan: &'a Plan,
    dir: &'a Path,
    progress: &'a dyn Progress,
}

impl Writing<'_> {
    /// Missing folders are made.
    fn text(&self, name: &str, content: &[u8]) -> Result<()> {
        AtomicFile::write(&self.dir.join(name), content)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)
            .map_err(|err| UserError::io(Text::fixed("make the folder", "创建文件夹"), &dir, &err))?;
        Ok(dir)
    }

    /// What is trained on, and in which order. Returns the tokens of the training rows.
    fn rows(&self) -> Result<u64> {
        let Plan { dataset, survey, batches, schedule, .. } = self.plan;
        let dir = self.folder("data")?;
        let train = &survey.split.train;
        let written = write_examples(dataset, train, &dir.join("train.parquet"), self.progress)?;
        if !survey.split.validation.is_empty() {
            let held_out = dir.join("validation.parquet");
            write_examples(dataset, &survey.split.validation, &held_out, self.progress)?;
        }
        let per_epoch = batches.sampling.batches_per_epoch(batches.rows).max(1) as f64;
        let epoch = |at: Position| at.epoch as f64 + at.batch as f64 / per_epoch;
        let rate = |update: u64| schedule.rate(update);
        let mut sampler = batches.sampler(survey)?;
        let steps = self.plan.total_steps;
        write_steps(&mut sampler, steps, train, (&epoch, &rate), &dir.join("order.parquet"))?;
        Ok(written.tokens)
    }

    /// A run folder that the script goes on to fill, so that it can be watched from the first step on.
    fn run(&self, file: &PlanFile, job: &Job) -> Result<()> {
        let dir = self.folder(RUN)?;
        let source = run_file_text(&file.config)?;
        RunFolder { path: dir.clone() }.write(&source, file)?;
        let mark = Mark { format: job.format, name: job.name.clone(), engine: job.engine.clone() };
        let json = serde_json::to_vec_pretty(&mark)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        AtomicFile::write(&dir.join(MARK), &json)
    }

    /// A copy of the base model.
    fn model(&self) -> Result<()> {
        let from = &self.plan.folder.dir;
        let to = self.folder(MODEL)?;
        let files = listed_flat(from)?;
        let bytes: u64 = files.iter().map(|(_, size)| size).sum();
        require_space(&to, bytes)?;
        let (mut done, stage) = (0, Text::fixed("copying the model", "复制模型"));
        for (name, size) in files {
            if self.progress.cancelled() {
                return Err(UserError::failure(Text::fixed("Stopped while copying", "复制已中止")));
            }
            self.progress.report(&stage, done, bytes);
            let target = to.join(&name);
            fs::copy(from.join(&name), &target).map_err(|err| write_error(&target, size, &err))?;
            done += size;
        }
        self.progress.report(&stage, bytes, bytes);
        Ok(())
    }
}

/// `run/handoff.json`: that other machines fill this run folder.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Mark {
    pub format: u32,
    pub name: String,
    pub engine: String,
}

/// Where the base model will be found.
fn reference(request: &HandoffRequest, config: &RunConfig) -> String {
    if request.copy_model {
        MODEL.to_owned()
    } else if request.model.trim().is_empty() {
        // A snapshot of a hub is known everywhere by the hub's name for it.
        hub::repo_of_snapshot(&config.model.path).unwrap_or_else(|| last_part(&config.model.path))
    } else {
        request.model.trim().to_owned()
    }
}

/// The settings without places of this machine: names of files stay, and the base is what it is called there.
pub(super) fn told(mut config: RunConfig, base: &Path, reference: &str) -> RunConfig {
    config.model.path = reference.into();
    // Its weights are in the adapter that is handed over.
    config.method.init_from = PathBuf::new();
    config.data.change_paths(|path| *path = last_part(path).into());
    let template = base.join(&config.data.template);
    if template.is_file() {
        config.data.template = last_part(&template);
    }
    config
}

fn last_part(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Files below a folder by their paths with `/`, with their sizes, sorted.
fn listed(dir: &Path, prefix: &str) -> Result<Vec<(String, u64)>> {
    let listing = |err| UserError::io(Text::fixed("list the folder", "列出文件夹"), dir, &err);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(listing)?;
        if metadata.is_dir() {
            files.extend(listed(&entry.path(), &format!("{name}/"))?);
        } else {
            files.push((name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// The files of a model folder itself; what hides, and what lies in folders below, is no part of the model.
fn listed_flat(dir: &Path) -> Result<Vec<(String, u64)>> {
    let listing = |err| UserError::io(Text::fixed("list the model's folder", "列出模型文件夹"), dir, &err);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A hub's cache is a folder of links.
        let metadata = fs::metadata(entry.path()).map_err(listing)?;
        if metadata.is_file() && !name.starts_with('.') {
            files.push((name, metadata.len()));
        }
    }
    if files.is_empty() {
        let what = Text::fixed("The model's folder has no files", "模型文件夹中没有文件");
        return Err(UserError::bad_input(what).in_file(dir));
    }
    files.sort();
    Ok(files)
}

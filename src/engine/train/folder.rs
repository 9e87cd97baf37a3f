//! The run folder: what a run was given, and what it resolved to.

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use data::Extension;
use protocol::config::VocabularyConfig;
use protocol::{Result, RunConfig, Text, UserError, text};
use serde::{Deserialize, Serialize};

use super::imported::Imported;
use super::layout::Layout;
use super::state::RunState;
use crate::files::{AtomicFile, CheckpointStore, FileIdentity, identity_of_folder, sampled_identity};
use crate::plan::Plan;

const RUN_FILE: &str = "run.toml";
const TOKENIZER: &str = "tokenizer";
const PLAN_FILE: &str = "plan.json";

/// `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanFile {
    /// Version of the program that made the plan.
    pub version: String,
    /// The run file with absolute paths.
    pub config: RunConfig,
    /// What relative paths of the run file are relative to.
    pub base: PathBuf,
    pub model_sha256: String,
    pub model_files: Vec<FileIdentity>,
    pub data_files: Vec<FileIdentity>,
    /// What templates that write the date are told: the same in every session of the run.
    pub now: NaiveDateTime,
    pub template: Option<String>,
    pub template_sha256: Option<String>,
    pub family: String,
    pub dtype: String,
    pub device: String,
    pub total_steps: u64,
    pub train_rows: u64,
    pub validation_rows: u64,
    pub parameters: u64,
    pub trainable_parameters: u64,
    /// Of the new tokens, where the tokenizer is extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary_sha256: Option<String>,
    /// Where other machines began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// What changes roundings: a resumed run keeps it. 0 in plans of earlier versions.
    #[serde(default)]
    pub pieces: usize,
    #[serde(default)]
    pub head_chunk: usize,
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    pub path: PathBuf,
}

impl RunFolder {
    /// The plan's name in the folder.
    pub const PLAN: &str = PLAN_FILE;

    /// Whether a new run may use this folder; changes nothing.
    ///
    /// # Errors
    /// When it holds another run, or anything else.
    pub fn refuse_used(path: &Path) -> Result<()> {
        let mut entries = match std::fs::read_dir(path) {
            Ok(entries) => entries.flatten(),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(err) => {
                return Err(UserError::io(Text::fixed("use the run folder", "使用训练文件夹"), path, &err));
            }
        };
        if entries.all(|entry| is_of_a_start(&entry.file_name().to_string_lossy())) {
            return Ok(());
        }
        Err(UserError::bad_input(Text::fixed("The output folder is in use", "输出文件夹已被占用"))
            .in_file(path)
            .mend(Text::fixed(
                "choose another with --out, or continue the run in it with --resume",
                "请用 --out 另选一个，或用 --resume 继续其中的训练",
            )))
    }

    /// Starts a folder for a new run, which its lock's holder may use.
    ///
    /// # Errors
    /// As [`refuse_used`](Self::refuse_used): another run may have begun and ended here meanwhile.
    pub fn create(path: &Path) -> Result<Self> {
        Self::refuse_used(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Whether a folder holds a run.
    pub fn is_one(path: &Path) -> bool {
        path.join(PLAN_FILE).is_file()
    }

    /// Opens a folder that holds a run.
    ///
    /// # Errors
    /// When it holds none.
    pub fn open(path: &Path) -> Result<(Self, PlanFile)> {
        let file = path.join(PLAN_FILE);
        let bytes = std::fs::read(&file).map_err(|err| {
            UserError::io(Text::fixed("read the run's plan", "读取训练计划"), &file, &err).mend(Text::fixed(
                "name a run folder: one with plan.json",
                "请指定训练文件夹：其中应有 plan.json",
            ))
        })?;
        let plan = serde_json::from_slice(&bytes).map_err(|err| {
            UserError::bad_input(text!("The run's plan cannot be read: {err}", "无法读取训练计划：{err}"))
                .in_file(&file)
        })?;
        Ok((Self { path: path.to_owned() }, plan))
    }

    /// Writes the plan, and the run file as given. The plan goes first: from then on the run can be resumed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, source: &str, plan: &PlanFile) -> Result<()> {
        let json = serde_json::to_vec_pretty(plan)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        AtomicFile::write(&self.path.join(PLAN_FILE), &json)?;
        AtomicFile::write(&self.path.join(RUN_FILE), source.as_bytes())
    }

    /// Writes the extended tokenizer that the run trains with. It goes before the plan: a run that can be resumed
    /// has it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_tokenizer(&self, extension: &Extension) -> Result<()> {
        let dir = self.path.join(TOKENIZER);
        std::fs::create_dir_all(&dir).map_err(|err| {
            UserError::io(Text::fixed("write the extended tokenizer", "写入扩充后的分词器"), &dir, &err)
        })?;
        for (name, content) in extension.files() {
            AtomicFile::write(&dir.join(name), &content)?;
        }
        Ok(())
    }

    /// The settings with the extended tokenizer that the run began with in place of what made it.
    pub fn with_tokenizer(&self, mut config: RunConfig) -> RunConfig {
        let dir = self.path.join(TOKENIZER);
        if !config.vocabulary.is_off() && dir.is_dir() {
            let VocabularyConfig { train, initialise, pad_to_multiple_of, .. } = config.vocabulary;
            let extended = std::path::absolute(&dir).unwrap_or(dir);
            config.vocabulary = VocabularyConfig {
                extended,
                train,
                initialise,
                pad_to_multiple_of,
                ..VocabularyConfig::default()
            };
        }
        config
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The counters of the newest checkpoint, if there is one.
    pub fn last_state(&self) -> Option<RunState> {
        let (_, newest) = CheckpointStore::new(self.checkpoints(), 1).list().ok()?.pop()?;
        serde_json::from_slice(&std::fs::read(newest.join("state.json")).ok()?).ok()
    }
}

/// What a start leaves that was killed before its plan was written: no run yet.
fn is_of_a_start(name: &str) -> bool {
    name == "run.lock" || name == TOKENIZER || name.starts_with(&format!(".{PLAN_FILE}.tmp-"))
}

impl PlanFile {
    /// # Errors
    /// When a file of the model or the data cannot be read.
    pub fn of(plan: &Plan, base: &Path, device: String) -> Result<Self> {
        let (model_sha256, model_files) = model_identity(plan)?;
        let sources = plan.dataset.sources();
        let data_files =
            sources.iter().map(|source| sampled_identity(&source.file)).collect::<Result<Vec<_>>>()?;
        let template = plan.encoder.template();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            config: plan.config.clone(),
            base: base.to_owned(),
            model_sha256,
            model_files,
            data_files,
            now: plan.now,
            template: template.map(|template| template.name().to_owned()),
            template_sha256: template
                .map(|template| crate::files::sha256_bytes(template.source().as_bytes())),
            family: plan.folder.family.id.into(),
            dtype: plan.dtype_name().into(),
            device,
            total_steps: plan.total_steps,
            train_rows: plan.survey.split.train.len() as u64,
            validation_rows: plan.survey.split.validation.len() as u64,
            parameters: plan.parameters,
            trainable_parameters: plan.trainable,
            vocabulary_sha256: plan.extension.as_ref().map(|extension| {
                let record = serde_json::to_vec(&extension.record).unwrap_or_default();
                crate::files::sha256_bytes(&record)
            }),
            imported: None,
            pieces: plan.layout.pieces,
            head_chunk: plan.layout.head_chunk,
        })
    }

    /// The choices of `layout` that may change a rounding as they were when the run began: it goes on bit for bit, however
    /// much memory there is now.
    pub fn keep_roundings(&self, layout: &mut Layout) {
        if self.pieces > 0 && self.head_chunk > 0 {
            (layout.pieces, layout.head_chunk) = (self.pieces, self.head_chunk);
        }
    }

    /// # Errors
    /// When model, data or template are not those the run began with.
    pub fn refuse_changes(&self, now: &Self) -> Result<()> {
        let mut changed = Vec::new();
        if self.model_sha256 != now.model_sha256 {
            changed.push("the model's files".to_owned());
        }
        if self.data_files != now.data_files {
            changed.push("the data files".to_owned());
        }
        if self.vocabulary_sha256 != now.vocabulary_sha256 {
            changed.push("the new tokens".to_owned());
        }
        if self.template_sha256 != now.template_sha256 {
            changed.push("the chat template".to_owned());
        }
        if self.total_steps != now.total_steps || self.train_rows != now.train_rows {
            changed.push(format!(
                "the rows: {} and {} steps then, {} and {} now",
                self.train_rows, self.total_steps, now.train_rows, now.total_steps
            ));
        }
        if changed.is_empty() {
            return Ok(());
        }
        Err(UserError::bad_input(Text::fixed(
            "The run cannot go on: what it was started with has changed",
            "无法继续训练：开始时所用的内容已经改变",
        ))
        .details(changed)
        .mend(Text::fixed("restore it, or start a new run", "请恢复原样，或重新开始训练")))
    }
}

fn model_identity(plan: &Plan) -> Result<(String, Vec<FileIdentity>)> {
    // The model may be a file.
    let dir = &plan.folder.dir;
    let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
    let weights = plan.folder.checkpoint.iter().flat_map(|checkpoint| checkpoint.files());
    let names = weights.filter_map(|file| file.strip_prefix(dir).ok().map(Path::to_owned));
    let vocabulary = plan.encoder.tokenizer().files();
    let vocabulary = vocabulary.iter().filter_map(|file| file.file_name().map(PathBuf::from));
    identity_of_folder(dir, names.chain(vocabulary).chain([PathBuf::from("config.json")]))
}

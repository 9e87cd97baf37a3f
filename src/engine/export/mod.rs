//! Writing results that others load. A target is one file here and one word in `targets!`.

mod card;
mod files;
mod merge;
mod ollama;
mod verify;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use protocol::config::nearest;
use protocol::{
    Control, Descriptor, ExportReport, ExportRequest, MergeInto, ParamKind, ParamSpec, Result, Text,
    UserError, text,
};

use crate::files::AtomicDir;
use crate::methods::{Member, TrainedOn, members, not_mergeable};
use crate::models::ModelFolder;
use crate::nn::{ParamId, Quantised, Quantization, Value};
use crate::plan::Plan;
use crate::tokens::open_with_tokens;
use crate::train::{Learner, PlanFile, RunState};

pub use card::Card;
pub use files::{ModelWriter, ReadBase, StoredAs, licence_files, model_bytes};
use merge::{compare_merges, trained_quantization};
pub use verify::{VerifyInput, verify};

/// What one target's file exports.
pub struct Target {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// Fills the hidden folder that will get the final name; returns the files' names.
    pub write: fn(&Job<'_>, &Path) -> Result<Vec<String>>,
    /// Bytes of those files, by headers alone; the card, which is a page of text, left out.
    pub bytes: fn(&ModelFolder, &ExportRequest) -> Result<u64>,
    /// How `--verify` opens what was written: a model of its own, or an adapter on the same base.
    pub is_adapter: bool,
    /// Words for how numbers are stored, the default first; none where there is no choice.
    pub dtypes: &'static [&'static str],
}

/// One export.
pub struct Job<'a> {
    pub folder: &'a ModelFolder,
    pub adapters: &'a [Member],
    /// What is noted beside an adapter of how it was trained.
    pub note: &'a TrainedOn,
    pub stored_as: StoredAs,
    pub shard_bytes: u64,
    pub card: &'a Card,
    pub control: &'a Control,
    pub progress: &'a dyn Fn(u64, u64),
    /// What the user should know about the result.
    pub notes: &'a RefCell<Vec<Text>>,
}

impl Job<'_> {
    /// The value of a base parameter with every adapter merged in; None where none changes it. Where the folder's
    /// matrices are to be in few bits, what their codes stand for is what adapters are merged into.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn merged(&self, id: ParamId, read: ReadBase<'_>) -> Result<Option<Value>> {
        let mut now = self.folder.packed(id)?.map(dense_value);
        for adapter in self.adapters {
            let start = match &now {
                Some(value) => value,
                None => &read()?,
            };
            if let Some(merged) = adapter.merged(id, start) {
                now = Some(merged);
            }
        }
        Ok(now)
    }
}

fn dense_value(packed: Quantised) -> Value {
    let (dense, shape) = (packed.dense(), packed.shape);
    Value::Matrix(Tensor::from_data(TensorData::new(dense, shape), &Device::flex()))
}

macro_rules! targets {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every export target this program knows.
        pub const TARGETS: &[&Target] = &[$(&$module::TARGET),*];
    };
}

targets! { merged, adapter, gguf, opendelta, chatglm }

/// The target of a request.
///
/// # Errors
/// When nobody knows it; names the nearest.
pub fn target_of(id: &str) -> Result<&'static Target> {
    TARGETS.iter().copied().find(|target| target.id == id).ok_or_else(|| {
        let near = nearest(id, TARGETS.iter().map(|target| target.id)).unwrap_or("merged");
        UserError::bad_input(text!("There is no export target `{id}`", "没有名为 `{id}` 的导出目标"))
            .at_item("--to")
            .mend(text!("did you mean `{near}`?", "是否想用 `{near}`？"))
    })
}

/// The target of a request, which offers what the request wants.
///
/// # Errors
/// As [`target_of`]; a way to store numbers that the target does not have.
pub fn target_of_request(request: &ExportRequest) -> Result<&'static Target> {
    let target = target_of(&request.target.0)?;
    let dtype = request.dtype.as_str();
    StoredAs::from_name(dtype)?;
    let long = |word: &str| StoredAs::from_name(word).ok() == StoredAs::from_name(dtype).ok();
    if target.dtypes.is_empty() || target.dtypes.iter().any(|word| long(word)) {
        return Ok(target);
    }
    let (id, words) = (target.id, target.dtypes.join(", "));
    Err(UserError::bad_input(text!(
        "`{id}` cannot store numbers as {dtype}",
        "`{id}` 无法以 {dtype} 存储数值"
    ))
    .at_item("--dtype")
    .mend(text!("use one of: {words}", "可用：{words}")))
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    TARGETS
        .iter()
        .map(|target| Descriptor {
            id: target.id.into(),
            name: target.name.clone(),
            help: target.help.clone(),
            params: dtype_param(target.dtypes).into_iter().chain(merge_param(target)).collect(),
        })
        .collect()
}

fn dtype_param(words: &[&str]) -> Option<ParamSpec> {
    let choices: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Some(ParamSpec {
        key: "dtype".into(),
        name: Text::fixed("Stored as", "存储精度"),
        help: Text::fixed("Numbers in the files", "文件中的数值格式"),
        kind: ParamKind::Choice { default: choices.first()?.clone(), choices },
        advanced: false,
    })
}

/// What an adapter that was trained on a quantised model is merged into.
fn merge_param(target: &Target) -> Option<ParamSpec> {
    let choices: Vec<String> = MergeInto::ALL.iter().map(|into| into.name().to_owned()).collect();
    (!target.is_adapter).then(|| ParamSpec {
        key: MergeInto::KEY.into(),
        name: Text::fixed("Merged into", "合并到"),
        help: Text::fixed(
            "An adapter of a quantised model: into the original weights, or into those it was trained on",
            "量化模型上训练的适配器：合并到原始权重，或合并到训练时所用的反量化权重",
        ),
        kind: ParamKind::Choice { default: choices[0].clone(), choices },
        advanced: false,
    })
}

/// Exports, and verifies if asked. Nothing is left under the final name when anything fails.
///
/// # Errors
/// When the input cannot be used, the disk is full, the user stopped, or the verification fails.
pub fn export(
    request: &ExportRequest,
    device: &Device,
    dtype: DType,
    control: &Control,
    progress: &dyn Fn(u64, u64),
) -> Result<ExportReport> {
    let started = std::time::Instant::now();
    let target = target_of_request(request)?;
    let trained = trained_quantization(request)?;
    let kept = trained.filter(|_| !target.is_adapter && request.merge_into == MergeInto::Dequantised);
    let folder = open_with_tokens(&request.model)?.quantised(kept);
    let adapters = members(&request.model, folder.model())?;
    if !target.is_adapter {
        adapters.iter().zip(&request.model.adapters).try_for_each(|(it, dir)| refuse_unmergeable(it, dir))?;
    }
    let card = Card::of_request(request);
    let note = note_of(request, trained)?;
    let notes = RefCell::default();
    let job = Job {
        folder: &folder,
        adapters: &adapters,
        note: &note,
        stored_as: StoredAs::from_name(&request.dtype)?,
        shard_bytes: request.shard_bytes,
        card: &card,
        control,
        progress,
        notes: &notes,
    };
    let hidden = AtomicDir::create(&request.out)?;
    let files = (target.write)(&job, hidden.path())?;
    let quantization = if target.is_adapter { trained } else { kept };
    let input = VerifyInput { request, target, written: hidden.path(), device, dtype, quantization, control };
    let verify = if request.verify { Some(verify(&input)?) } else { None };
    if let Some(report) = verify.as_ref().filter(|report| !report.passed) {
        return Err(verify::failed(report));
    }
    let merge = match trained.filter(|_| !target.is_adapter && !adapters.is_empty()) {
        Some(trained) if request.verify => Some(compare_merges(&input, trained)?),
        Some(trained) => {
            notes.borrow_mut().push(unmeasured(trained, request.merge_into));
            None
        }
        None => None,
    };
    let bytes = files
        .iter()
        .filter_map(|name| std::fs::metadata(hidden.path().join(name)).ok())
        .map(|m| m.len())
        .sum();
    let dir = hidden.commit()?;
    let notes = notes.into_inner();
    Ok(ExportReport { dir, files, bytes, seconds: started.elapsed().as_secs_f64(), verify, merge, notes })
}

/// What the first adapter remembers, and how its model's matrices were kept.
fn note_of(request: &ExportRequest, trained: Option<Quantization>) -> Result<TrainedOn> {
    let noted =
        request.model.adapters.first().map(|dir| TrainedOn::read(dir)).transpose()?.unwrap_or_default();
    let quantization = trained.map(|trained| trained.name().to_owned()).unwrap_or_default();
    Ok(TrainedOn { quantization, ..noted })
}

/// Bytes of the note beside an adapter.
fn note_bytes(request: &ExportRequest) -> Result<u64> {
    note_of(request, trained_quantization(request)?)?.bytes()
}

/// That a merge into the original weights is not quite what was trained.
fn unmeasured(trained: Quantization, into: MergeInto) -> Text {
    let (name, into) = (trained.name(), into.name());
    text!(
        "The adapter was trained on an {name} model and is merged into its {into} weights; a check of the result \
         measures how near that is to what was trained",
        "该适配器在 {name} 量化模型上训练，已合并到 {into} 权重；校验导出结果时会测量其与训练时的差距"
    )
}

fn refuse_unmergeable(member: &Member, dir: &Path) -> Result<()> {
    member.adapter.not_mergeable().map_or(Ok(()), |why| Err(not_mergeable(why).in_file(dir)))
}

/// What a finished run leaves: `adapter/`, or after full fine-tuning `model/`. Takes the place of an earlier
/// one: a run that was stopped and resumed writes its result again.
///
/// # Errors
/// When a file cannot be written; the earlier result stays then.
pub fn write_result(
    learner: &Learner,
    plan: &Plan,
    plan_file: &PlanFile,
    dir: &Path,
    state: &RunState,
) -> Result<PathBuf> {
    let path = dir.join(if learner.adapter.is_some() { "adapter" } else { "model" });
    let replacing = |err: &std::io::Error| {
        UserError::io(Text::fixed("replace the earlier result", "替换先前的结果"), &path, err)
    };
    if !path.exists() {
        return fill_result(learner, plan, &Card::of_run(plan_file, state), &path);
    }
    // Hidden before it is removed, so that a kill leaves no half result under the name.
    let aside = path.with_file_name(format!(".result.tmp-{}", std::process::id()));
    std::fs::rename(&path, &aside).map_err(|err| replacing(&err))?;
    let written = fill_result(learner, plan, &Card::of_run(plan_file, state), &path);
    match written {
        Ok(_) => std::fs::remove_dir_all(&aside),
        Err(_) => std::fs::rename(&aside, &path),
    }
    .map_err(|err| replacing(&err))?;
    written
}

fn fill_result(learner: &Learner, plan: &Plan, card: &Card, path: &Path) -> Result<PathBuf> {
    let hidden = AtomicDir::create(path)?;
    match &learner.adapter {
        Some(adapter) => {
            adapter.save(hidden.path(), &plan.config.model.path.display().to_string())?;
            plan.note(learner.model.quantization).write(hidden.path())?;
        }
        None => {
            let writer = ModelWriter {
                folder: &plan.folder,
                stored_as: StoredAs::Keep,
                shard_bytes: crate::weights::DEFAULT_SHARD_BYTES,
                changed: &|id, _| Ok(Some(learner.model.params.get(id).value.clone())),
                progress: &|_, _| {},
                control: &Control::default(),
            };
            writer.write(hidden.path())?;
        }
    }
    card.write(hidden.path())?;
    hidden.commit()
}

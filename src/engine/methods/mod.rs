//! Tuning methods. A method is one file here and one word in `methods!`.

mod adapter;
mod footprint;
mod front;
mod layers;
mod new_rows;
mod parts;
mod peft;
mod stack;
mod targets;
mod trained_on;

use std::path::Path;

use protocol::config::MethodConfig;
use protocol::{Descriptor, ModelRef, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value};

pub use adapter::Adapter;
pub use footprint::Footprint;
pub use front::{CHATGLM_FILES, from_peft as chatglm_from_peft, require_chatglm};
pub use lora::delta::{FILES as OPENDELTA_FILES, from_peft as opendelta_from_peft};
pub use stack::{Member, Merged, Stack, not_mergeable};
pub use targets::select_sites;
pub use trained_on::{PromptNote, TrainedOn};

use crate::models::{Model, ModelFolder};
use crate::nn::{ParamStore, Site};

/// What one method's file exports.
pub struct Method {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// Settings besides `kind` and `init_from`.
    pub params: fn() -> Vec<ParamSpec>,
    /// `peft_type` of the adapter folders that this method writes. The first method of a type reads them.
    pub peft_type: Option<&'static str>,
    /// Makes the model trainable: marks its own parameters, or returns an adapter of new ones.
    /// The map holds every setting of `params`, checked.
    pub attach: AttachFn,
    /// What `attach` would add to a model that need not be loaded; the path is the base's, as the adapter's
    /// files name it.
    pub footprint: FootprintFn,
    /// Reads an adapter folder.
    pub load: fn(&Path, &Model) -> Result<Box<dyn Adapter>>,
    /// The parameters that `load` would read, by the headers of the folder's files.
    pub shapes: fn(&Path, &Model) -> Result<ParamStore>,
}

/// How a method is attached; None where the model itself is trained.
pub type AttachFn = fn(&mut Model, &Map<String, Value>, &Attach) -> Result<Option<Box<dyn Adapter>>>;

/// How a method is weighed.
pub type FootprintFn = fn(&Model, &Map<String, Value>, &Path) -> Result<Footprint>;

/// What a method may need to know when it is attached.
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    pub seed: u64,
    pub learning_rate: f64,
}

macro_rules! methods {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every method this program knows.
        pub const METHODS: &[&Method] = &[$(&$module::METHOD),*];
    };
}

methods! {
    full, freeze, lora, dora, p_tuning_v2, prefix, prompt, p_tuning, bottleneck, ia3, bitfit, ln_tuning,
}

/// The method of a run file.
///
/// # Errors
/// When nobody knows `kind`; names the nearest.
pub fn method_of(kind: &str) -> Result<&'static Method> {
    METHODS.iter().copied().find(|method| method.id == kind).ok_or_else(|| {
        let known: Vec<_> = METHODS.iter().map(|method| method.id).collect();
        let near = protocol::config::nearest(kind, known.iter().copied()).unwrap_or("lora");
        let known = known.join(", ");
        UserError::bad_input(text!("There is no tuning method `{kind}`", "没有名为 `{kind}` 的微调方法"))
            .at_item("method.kind")
            .mend(text!(
                "did you mean `{near}`? Known are: {known}",
                "是否想用 `{near}`？已知的方法：{known}"
            ))
    })
}

/// Settings of a method, checked and with defaults filled in.
///
/// # Errors
/// When a setting is unknown, of the wrong type or out of range: all at once.
pub fn settings(method: &Method, config: &MethodConfig) -> Result<Map<String, Value>> {
    crate::settings::resolve("method", &(method.params)(), &config.params)
}

/// Attaches the configured method to a model; continues from `init_from` when that is set.
///
/// # Errors
/// When settings or targets do not fit the model.
pub fn attach(
    model: &mut Model,
    config: &MethodConfig,
    context: &Attach,
) -> Result<Option<Box<dyn Adapter>>> {
    let method = method_of(&config.kind)?;
    let settings = settings(method, config)?;
    new_rows::refuse(method, model)?;
    let adapter = (method.attach)(model, &settings, context)?;
    refuse_trained_codes(model, config, |site| model.params.get(site.weight).trainable)?;
    let mut adapter = new_rows::attach(model, adapter);
    if config.init_from.as_os_str().is_empty() {
        return Ok(adapter);
    }
    let Some(fresh) = adapter.as_mut() else { return Err(no_adapter_to_continue(config)) };
    let start = load_adapter(&config.init_from, model)?;
    fresh.copy_from(start.as_ref())?;
    Ok(adapter)
}

/// What [`attach`] would add, without loading or drawing anything. `base` is the model's path, as the adapter's
/// files will name it.
///
/// # Errors
/// As [`attach`].
pub fn footprint(model: &Model, config: &MethodConfig, base: &Path) -> Result<Footprint> {
    let method = method_of(&config.kind)?;
    let settings = settings(method, config)?;
    new_rows::refuse(method, model)?;
    let footprint = (method.footprint)(model, &settings, base)?;
    refuse_trained_codes(model, config, |site| footprint.trains(model, site))?;
    let footprint = new_rows::weigh(footprint, model);
    if config.init_from.as_os_str().is_empty() {
        return Ok(footprint);
    }
    if !footprint.is_adapter() {
        return Err(no_adapter_to_continue(config));
    }
    let start = shapes(&config.init_from, model)?;
    adapter::refuse_mismatch(adapter::mismatches(footprint.in_files(), &start))?;
    Ok(footprint)
}

/// # Errors
/// When a matrix that is kept in few bits would itself be trained: an update is far smaller than a step of its codes.
fn refuse_trained_codes(model: &Model, config: &MethodConfig, trained: impl Fn(&Site) -> bool) -> Result<()> {
    let Some(quantization) = model.quantization else { return Ok(()) };
    let Some(site) = model.block_linears().find(|site| trained(site)) else { return Ok(()) };
    let (kind, name) = (&config.kind, quantization.name());
    Err(UserError::bad_input(text!(
        "Method `{kind}` trains the model's own matrices, which {name} quantization freezes",
        "方法 `{kind}` 会训练模型自身的矩阵，而 {name} 量化会将其冻结"
    ))
    .at_item("model.quantization, method.kind")
    .detail(format!("{} would be trained", site.path))
    .mend(Text::fixed(
        "train an adapter such as LoRA on the quantised model, or set quantization to \"none\"",
        "请在量化模型上训练 LoRA 等适配器，或将 quantization 设为 \"none\"",
    )))
}

fn no_adapter_to_continue(config: &MethodConfig) -> UserError {
    let kind = &config.kind;
    UserError::bad_input(text!(
        "Method `{kind}` trains the model itself and cannot continue from an adapter",
        "方法 `{kind}` 训练模型本身，不能从适配器继续"
    ))
    .at_item("method.init_from")
}

/// Reads an adapter folder of any known method.
///
/// # Errors
/// When the folder is not one, or does not fit the model.
pub fn load_adapter(dir: &Path, model: &Model) -> Result<Box<dyn Adapter>> {
    new_rows::load((method_of_adapter(dir)?.load)(dir, model)?, dir, model)
}

fn shapes(dir: &Path, model: &Model) -> Result<ParamStore> {
    new_rows::shapes((method_of_adapter(dir)?.shapes)(dir, model)?, dir, model)
}

/// # Errors
/// When there are weights for another number of adapters, or one is no number.
pub fn check_weights(wanted: &ModelRef) -> Result<()> {
    let (adapters, weights) = (wanted.adapters.len(), wanted.weights.len());
    if weights == 0 || weights == adapters && wanted.weights.iter().all(|weight| weight.is_finite()) {
        return Ok(());
    }
    Err(UserError::bad_input(text!(
        "There are {weights} weights for {adapters} adapters, or one of them is no number",
        "有 {adapters} 个适配器和 {weights} 个权重，数目不符，或其中有非数字"
    ))
    .at_item("--weights")
    .mend(Text::fixed("give one number for each adapter", "请为每个适配器给出一个数字")))
}

/// The adapters of a request with their weights, which are 1 where nothing is said.
///
/// # Errors
/// As [`load_adapter`]; when there are weights for another number of adapters.
pub fn members(wanted: &ModelRef, model: &Model) -> Result<Vec<Member>> {
    check_weights(wanted)?;
    let weights = wanted.weights.iter().copied().chain(std::iter::repeat(1.0));
    let member = |(dir, weight): (&std::path::PathBuf, f64)| {
        Ok(Member { adapter: load_adapter(dir, model)?.into(), weight })
    };
    wanted.adapters.iter().zip(weights).map(member).collect()
}

/// Bytes of an adapter folder's files once written again.
///
/// # Errors
/// As [`load_adapter`].
pub fn adapter_bytes(model: &Model, dir: &Path) -> Result<u64> {
    let extension = model.growth.iter().flat_map(|growth| growth.extension.files());
    let extension: u64 = extension.map(|(_, content)| content.len() as u64).sum();
    let config = match front::is_chatglm_checkpoint(dir) {
        true => peft::with_base(front::config(dir, model, &prefix::KIND)?, &model.dir.display().to_string()),
        false => peft::read_config(dir)?,
    };
    Ok(footprint::file_bytes(&config, &shapes(dir, model)?) + extension)
}

/// Bytes of ChatGLM's checkpoint of an adapter folder's prefix.
///
/// # Errors
/// As [`load_adapter`] and [`require_chatglm`].
pub fn chatglm_bytes(folder: &ModelFolder, dir: &Path) -> Result<u64> {
    let kinds = [prefix::METHOD.peft_type, p_tuning_v2::METHOD.peft_type];
    require_chatglm(folder.model(), kinds.contains(&method_of_adapter(dir)?.peft_type))?;
    front::checkpoint_bytes(&shapes(dir, folder.model())?, folder)
}

fn method_of_adapter(dir: &Path) -> Result<&'static Method> {
    let kind =
        if front::is_chatglm_checkpoint(dir) { "PREFIX_ENCODER".into() } else { peft::adapter_type(dir)? };
    METHODS.iter().copied().find(|method| method.peft_type == Some(kind.as_str())).ok_or_else(|| {
        UserError::bad_input(text!("Adapters of type {kind} are not supported", "不支持 {kind} 类型的适配器"))
            .at_item("peft_type")
            .in_file(dir.join("adapter_config.json"))
    })
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    METHODS
        .iter()
        .map(|method| Descriptor {
            id: method.id.into(),
            name: method.name.clone(),
            help: method.help.clone(),
            params: (method.params)(),
        })
        .collect()
}

//! Tuning methods. A method is one file here and one word in `methods!`.

mod adapter;
mod params;
mod peft;
mod targets;

use std::path::Path;

use protocol::config::MethodConfig;
use protocol::{Descriptor, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value};

pub use adapter::Adapter;
pub use targets::select_sites;

use crate::models::Model;

/// What one method's file exports.
pub struct Method {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// Settings besides `kind` and `init_from`.
    pub params: fn() -> Vec<ParamSpec>,
    /// `peft_type` of the adapter folders that this method reads and writes.
    pub peft_type: Option<&'static str>,
    /// Makes the model trainable: marks its own parameters, or returns an adapter of new ones.
    /// The map holds every setting of `params`, checked. Works on a model that is not loaded, too (for
    /// the forecast).
    pub attach: AttachFn,
    /// Reads an adapter folder.
    pub load: fn(&Path, &Model) -> Result<Box<dyn Adapter>>,
}

/// How a method is attached; None where the model itself is trained.
pub type AttachFn = fn(&mut Model, &Map<String, Value>, &Attach) -> Result<Option<Box<dyn Adapter>>>;

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

methods! { full, lora }

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
    params::resolve(&(method.params)(), &config.params)
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
    let mut adapter = (method.attach)(model, &settings, context)?;
    if config.init_from.as_os_str().is_empty() {
        return Ok(adapter);
    }
    let Some(fresh) = adapter.as_mut() else {
        let kind = &config.kind;
        return Err(UserError::bad_input(text!(
            "Method `{kind}` trains the model itself and cannot continue from an adapter",
            "方法 `{kind}` 训练模型本身，不能从适配器继续"
        ))
        .at_item("method.init_from"));
    };
    let start = load_adapter(&config.init_from, model)?;
    fresh.copy_from(start.as_ref())?;
    Ok(adapter)
}

/// Reads an adapter folder of any known method.
///
/// # Errors
/// When the folder is not one, or does not fit the model.
pub fn load_adapter(dir: &Path, model: &Model) -> Result<Box<dyn Adapter>> {
    let kind = peft::adapter_type(dir)?;
    let method = METHODS.iter().find(|method| method.peft_type == Some(kind.as_str())).ok_or_else(|| {
        UserError::bad_input(text!("Adapters of type {kind} are not supported", "不支持 {kind} 类型的适配器"))
            .at_item("peft_type")
            .in_file(dir.join("adapter_config.json"))
    })?;
    (method.load)(dir, model)
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

//! LoRA adapter folders as PEFT writes and reads them.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::adapter::LoraAdapter;
use super::attach::{SiteLayout, declare_site, replace};
use crate::methods::Adapter;
use crate::methods::new_rows::is_read_here;
use crate::methods::peft::{self, PREFIX};
use crate::models::Model;
use crate::nn::{Param, ParamStore, Site, SiteId, SiteKind};
use crate::weights::Checkpoint;

/// What `adapter_config.json` says beyond the tensors.
#[derive(Clone, Debug)]
pub struct Identity {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub rslora: bool,
    pub dora: bool,
    pub bias: String,
    pub target_modules: Vec<String>,
    pub modules_to_save: Vec<String>,
    /// Conv1D among the targets (PEFT's `fan_in_fan_out`).
    pub transposed: bool,
    pub paths: Vec<(SiteId, String)>,
}

/// Variants of LoRA that change what the tensors mean; an adapter that sets one is refused.
const UNSUPPORTED: [&str; 8] = [
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "layer_replication",
    "target_parameters",
    "lora_bias",
    "arrow_config",
    "megatron_config",
];

/// Starts that also change the base weights, which the adapter's file does not hold.
const CHANGED_BASE: [&str; 4] = ["pissa", "olora", "corda", "loftq"];

/// Writes an adapter folder.
pub fn save(adapter: &LoraAdapter, dir: &Path, base: &str) -> Result<()> {
    peft::write(dir, &config(adapter, base), &adapter.params, &|name| format!("{PREFIX}{name}"))
}

/// The adapter's `adapter_config.json`.
pub fn config(adapter: &LoraAdapter, base: &str) -> Map<String, Json> {
    let identity = &adapter.identity;
    let mut rank_pattern = Map::new();
    let mut alpha_pattern = Map::new();
    for (id, path) in &identity.paths {
        let Some(site) = adapter.sites.get(id) else { continue };
        if site.rank != identity.rank {
            rank_pattern.insert(path.clone(), site.rank.into());
        }
        if site.alpha != identity.alpha {
            alpha_pattern.insert(path.clone(), number(site.alpha));
        }
    }
    let modules_to_save =
        if identity.modules_to_save.is_empty() { Json::Null } else { json!(identity.modules_to_save) };
    let Json::Object(config) = json!({
        "alpha_pattern": alpha_pattern,
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": identity.bias,
        "fan_in_fan_out": identity.transposed,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": number(identity.alpha),
        "lora_dropout": identity.dropout,
        "modules_to_save": modules_to_save,
        "peft_type": "LORA",
        "r": identity.rank,
        "rank_pattern": rank_pattern,
        "revision": null,
        "target_modules": identity.target_modules,
        "task_type": "CAUSAL_LM",
        "use_dora": identity.dora,
        "use_rslora": identity.rslora,
    }) else {
        return Map::new();
    };
    config
}

/// A whole number without its decimal point, as PEFT writes alpha.
fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// Reads an adapter folder onto a model.
///
/// # Errors
/// When the folder uses a variant that is not supported, or its tensors do not fit the model: all at once.
pub fn load(dir: &Path, model: &Model) -> Result<Box<dyn Adapter>> {
    let (mut adapter, weights) = declared(dir, model)?;
    fill(&mut adapter, model, &weights)?;
    finish_identity(&mut adapter, model);
    Ok(Box::new(adapter))
}

/// The parameters of an adapter folder, by its headers.
pub fn shapes(dir: &Path, model: &Model) -> Result<ParamStore> {
    declared(dir, model).map(|(adapter, _)| adapter.params)
}

/// Every parameter with its shape, checked against the model, without values.
fn declared(dir: &Path, model: &Model) -> Result<(LoraAdapter, Checkpoint)> {
    let config = peft::read_config(dir)?;
    refuse_variants(dir, &config)?;
    let weights = peft::open_weights(dir)?;
    let reader = Reader::new(&config, dir)?;
    let mut adapter = LoraAdapter::new(reader.identity(&config));
    let mut problems = Vec::new();
    let mut names: Vec<&str> = weights.names().collect();
    names.retain(|name| !is_read_here(name, &config, model));
    names.sort_unstable();
    for name in names {
        if let Err(problem) = reader.declare(&mut adapter, model, &weights, name) {
            problems.push(problem);
        }
    }
    let stored = adapter.params.iter().map(|(_, param)| stored_name(&weights, param).map(drop));
    problems.extend(stored.filter_map(Result::err));
    if adapter.sites.is_empty() && adapter.replacements.is_empty() && problems.is_empty() {
        problems.push("the file holds no LoRA tensor".into());
    }
    if !problems.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "The adapter does not fit this model",
            "适配器与该模型不符",
        ))
        .details(problems)
        .in_file(dir)
        .mend(Text::fixed("load it on the model it was made for", "请在制作它时所用的模型上加载")));
    }
    Ok((adapter, weights))
}

fn finish_identity(adapter: &mut LoraAdapter, model: &Model) {
    let chosen: Vec<&Site> = model.sites.iter().filter(|site| adapter.sites.contains_key(&site.id)).collect();
    let paths: Vec<&str> = chosen.iter().map(|site| site.path.as_str()).collect();
    adapter.identity.target_modules = super::super::targets::peft_target_modules(&model.sites, &paths);
    adapter.identity.transposed = chosen.iter().any(|site| site.kind == SiteKind::Conv1d);
    adapter.identity.paths = chosen.iter().map(|site| (site.id, site.path.clone())).collect();
}

fn refuse_variants(dir: &Path, config: &Map<String, Json>) -> Result<()> {
    let empty = |value: &Json| match value {
        Json::Null | Json::Bool(false) => true,
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    };
    let set = |key: &&&str| config.get(**key).is_some_and(|value| !empty(value));
    let start = config.get("init_lora_weights").and_then(Json::as_str).unwrap_or("");
    let changed = CHANGED_BASE.iter().find(|word| start.starts_with(**word)).map(|_| "init_lora_weights");
    let Some(variant) = UNSUPPORTED.iter().find(set).copied().or(changed) else { return Ok(()) };
    Err(UserError::bad_input(text!(
        "The adapter uses `{variant}`, which this program does not know how to apply",
        "适配器使用了 `{variant}`，本程序不知如何应用"
    ))
    .at_item(variant)
    .in_file(dir.join(peft::CONFIG))
    .mend(Text::fixed("convert it to plain LoRA with PEFT first", "请先用 PEFT 转换为普通 LoRA")))
}

/// Reads names and shapes by the rules of an `adapter_config.json`.
struct Reader {
    alpha: f64,
    alpha_pattern: Vec<(Regex, f64)>,
    dropout: f64,
    rslora: bool,
    dora: bool,
}

impl Reader {
    fn new(config: &Map<String, Json>, dir: &Path) -> Result<Self> {
        let mut alpha_pattern = Vec::new();
        for (pattern, value) in config.get("alpha_pattern").and_then(Json::as_object).into_iter().flatten() {
            let regex = Regex::new(&format!(r"^(.*\.)?({pattern})$")).map_err(|err| {
                UserError::bad_input(text!("A pattern cannot be read: {err}", "无法读取模式：{err}"))
                    .at_item(format!("alpha_pattern.{pattern}"))
                    .in_file(dir.join(peft::CONFIG))
            })?;
            alpha_pattern.push((regex, value.as_f64().unwrap_or(1.0)));
        }
        let flag = |key: &str| config.get(key).and_then(Json::as_bool).unwrap_or(false);
        let number = |key: &str, default: f64| config.get(key).and_then(Json::as_f64).unwrap_or(default);
        Ok(Self {
            alpha: number("lora_alpha", 8.0),
            alpha_pattern,
            dropout: number("lora_dropout", 0.0).clamp(0.0, 0.95),
            rslora: flag("use_rslora"),
            dora: flag("use_dora"),
        })
    }

    fn identity(&self, config: &Map<String, Json>) -> Identity {
        let list = config.get("modules_to_save").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        Identity {
            rank: config.get("r").and_then(Json::as_u64).unwrap_or(8) as usize,
            alpha: self.alpha,
            dropout: self.dropout,
            rslora: self.rslora,
            dora: self.dora,
            bias: config.get("bias").and_then(Json::as_str).unwrap_or("none").to_owned(),
            target_modules: Vec::new(),
            modules_to_save: list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            transposed: false,
            paths: Vec::new(),
        }
    }

    /// Declares what one tensor of the file stands for.
    fn declare(&self, adapter: &mut LoraAdapter, model: &Model, weights: &Checkpoint, name: &str) -> Result<(), String> {
        let Some(short) = name.strip_prefix(PREFIX) else {
            return Err(format!("{name}: not a name that PEFT gives"));
        };
        for suffix in [".lora_A.weight", ".lora_embedding_A"] {
            if let Some(path) = short.strip_suffix(suffix) {
                return self.declare_site(adapter, model, weights, name, path);
            }
        }
        let paired = [".lora_B.weight", ".lora_embedding_B", ".lora_magnitude_vector", ".lora_magnitude_vector.weight"];
        // PEFT also stores the unchanged matrices under adapted embeddings.
        if paired.iter().any(|suffix| short.ends_with(suffix)) || short.ends_with(".base_layer.weight") {
            return Ok(());
        }
        let base_name = short.replace(".base_layer.", ".");
        match model.params.find(&base_name) {
            Some(base) => {
                replace(adapter, model, base, short.to_owned());
                Ok(())
            }
            None => Err(format!("{name}: this model has no parameter `{base_name}`")),
        }
    }

    fn declare_site(
        &self,
        adapter: &mut LoraAdapter,
        model: &Model,
        weights: &Checkpoint,
        name: &str,
        path: &str,
    ) -> Result<(), String> {
        let Some(site) = model.sites.iter().find(|site| site.path == path) else {
            return Err(format!("{name}: this model has no module `{path}`"));
        };
        let rank = weights.info(name).and_then(|info| info.shape.first().copied()).unwrap_or(0);
        if rank == 0 || rank > site.inputs.min(site.outputs) {
            return Err(format!("{name}: rank {rank}, but the matrix is {} × {}", site.outputs, site.inputs));
        }
        let pattern = self.alpha_pattern.iter().find(|(regex, _)| regex.is_match(path));
        let alpha = pattern.map_or(self.alpha, |(_, alpha)| *alpha);
        let layout = SiteLayout { rank, alpha, rslora: self.rslora, dora: self.dora, dropout: self.dropout };
        let entry = declare_site(adapter, site, &layout);
        adapter.sites.insert(site.id, entry);
        Ok(())
    }
}

/// The name of a declared tensor in the file; an error is a line for the user.
fn stored_name(weights: &Checkpoint, param: &Param) -> Result<String, String> {
    let names = [format!("{PREFIX}{}", param.name), format!("{PREFIX}{}.weight", param.name)];
    let found = names.iter().find_map(|name| weights.info(name).map(|info| (name, info)));
    match found {
        Some((name, info)) if info.shape == param.shape.as_slice() => Ok(name.clone()),
        Some((name, info)) => Err(format!("{name}: wanted {:?}, got {:?}", param.shape, info.shape)),
        None => Err(format!("{} is missing", names[0])),
    }
}

/// Reads the declared tensors.
fn fill(adapter: &mut LoraAdapter, model: &Model, weights: &Checkpoint) -> Result<()> {
    for param in adapter.params.iter_mut() {
        if let Ok(name) = stored_name(weights, param) {
            param.value = peft::read_value(weights, &name, &param.shape, &model.device)?;
        }
    }
    Ok(())
}

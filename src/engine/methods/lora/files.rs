//! LoRA adapter folders as PEFT writes and reads them.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::{Result, Text, UserError, text};
use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::adapter::LoraAdapter;
use super::attach::{SiteLayout, declare_site, replace};
use super::delta::canonical;
use super::slices::Slices;
use super::stored::stored;
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
    pub lora_bias: bool,
    pub bias: String,
    pub target_modules: Vec<String>,
    pub modules_to_save: Vec<String>,
    /// Conv1D among the targets (PEFT's `fan_in_fan_out`).
    pub transposed: bool,
    pub paths: Vec<(SiteId, String)>,
}

/// Variants of LoRA that change what the tensors mean; an adapter that sets one is refused.
const UNSUPPORTED: [&str; 7] = [
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "layer_replication",
    "target_parameters",
    "arrow_config",
    "megatron_config",
];

/// Starts that also change the base weights, which the adapter's file does not hold.
const CHANGED_BASE: [&str; 4] = ["pissa", "olora", "corda", "loftq"];

/// Writes an adapter folder.
pub fn save(adapter: &LoraAdapter, dir: &Path, base: &str) -> Result<()> {
    peft::write(dir, &config(adapter, base), &stored(adapter), &|name| format!("{PREFIX}{name}"))
}

/// The adapter's `adapter_config.json`.
pub fn config(adapter: &LoraAdapter, base: &str) -> Map<String, Json> {
    let identity = &adapter.identity;
    let mut rank_pattern = Map::new();
    let mut alpha_pattern = Map::new();
    let (rank, alpha) = usual(adapter);
    for (id, path) in &identity.paths {
        let Some(site) = adapter.sites.get(id) else { continue };
        if site.stored_rank() != rank {
            rank_pattern.insert(path.clone(), site.stored_rank().into());
        }
        if site.stored_alpha(identity.rslora) != alpha {
            alpha_pattern.insert(path.clone(), number(site.stored_alpha(identity.rslora)));
        }
    }
    let modules_to_save =
        if identity.modules_to_save.is_empty() { Json::Null } else { json!(identity.modules_to_save) };
    let Json::Object(mut config) = json!({
        "alpha_pattern": alpha_pattern,
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": identity.bias,
        "fan_in_fan_out": identity.transposed,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": number(alpha),
        "lora_dropout": identity.dropout,
        "modules_to_save": modules_to_save,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": rank_pattern,
        "revision": null,
        "target_modules": identity.target_modules,
        "task_type": "CAUSAL_LM",
        "use_dora": identity.dora,
        "use_rslora": identity.rslora,
    }) else {
        return Map::new();
    };
    // Releases of PEFT before 0.14 do not know the word.
    if identity.lora_bias {
        config.insert("lora_bias".into(), true.into());
    }
    config
}

/// `r` and `lora_alpha`: the settings', or where the files hold other ranks throughout, the first matrix's.
fn usual(adapter: &LoraAdapter) -> (usize, f64) {
    let Identity { rank, alpha, rslora, .. } = adapter.identity;
    let first = adapter.sites.values().next();
    match first {
        Some(first) if adapter.sites.values().all(|site| site.stored_rank() != site.rank) => {
            (first.stored_rank(), first.stored_alpha(rslora))
        }
        _ => (rank, alpha),
    }
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

/// A file's tensors by the names that PEFT gives them.
struct Named {
    weights: Checkpoint,
    stored: BTreeMap<String, String>,
}

impl Named {
    fn new(weights: Checkpoint, model: &Model) -> Self {
        let stored = weights.names().map(|name| (canonical(name, model), name.to_owned())).collect();
        Self { weights, stored }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.stored.get(name).and_then(|stored| self.weights.info(stored)).map(|info| info.shape)
    }
}

/// Every parameter with its shape, checked against the model, without values.
fn declared(dir: &Path, model: &Model) -> Result<(LoraAdapter, Named)> {
    let config = peft::read_config(dir)?;
    refuse_variants(dir, &config)?;
    let weights = Named::new(peft::open_weights(dir)?, model);
    let reader = Reader::new(&config, dir)?;
    let mut adapter = LoraAdapter::new(reader.identity(&config));
    let mut problems = Vec::new();
    if weights.stored.len() < weights.weights.names().count() {
        problems.push("two tensors of the file stand for one of this model".into());
    }
    for name in weights.stored.keys().filter(|name| !is_read_here(name, &config, model)) {
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
    lora_bias: bool,
    /// loralib's `enable_lora`.
    enabled: Option<Vec<bool>>,
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
            lora_bias: flag("lora_bias"),
            enabled: config
                .get("enable_lora")
                .and_then(Json::as_array)
                .map(|flags| flags.iter().map(|flag| flag.as_bool().unwrap_or(false)).collect()),
        })
    }

    fn identity(&self, config: &Map<String, Json>) -> Identity {
        let list =
            config.get("modules_to_save").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        Identity {
            rank: config.get("r").and_then(Json::as_u64).unwrap_or(8) as usize,
            alpha: self.alpha,
            dropout: self.dropout,
            rslora: self.rslora,
            dora: self.dora,
            lora_bias: self.lora_bias,
            bias: config.get("bias").and_then(Json::as_str).unwrap_or("none").to_owned(),
            target_modules: Vec::new(),
            modules_to_save: list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            transposed: false,
            paths: Vec::new(),
        }
    }

    /// Declares what one tensor of the file stands for.
    fn declare(
        &self,
        adapter: &mut LoraAdapter,
        model: &Model,
        weights: &Named,
        name: &str,
    ) -> Result<(), String> {
        let Some(short) = name.strip_prefix(PREFIX) else {
            return Err(format!("{name}: not a name that PEFT gives"));
        };
        for suffix in [".lora_A.weight", ".lora_embedding_A"] {
            if let Some(path) = short.strip_suffix(suffix) {
                return self.declare_site(adapter, model, weights, name, path);
            }
        }
        let paired = [
            ".lora_B.weight",
            ".lora_B.bias",
            ".lora_embedding_B",
            ".lora_magnitude_vector",
            ".lora_magnitude_vector.weight",
        ];
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
        weights: &Named,
        name: &str,
        path: &str,
    ) -> Result<(), String> {
        let Some(site) = model.sites.iter().find(|site| site.path == path) else {
            return Err(format!("{name}: this model has no module `{path}`"));
        };
        let rank = weights.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
        if rank == 0 {
            return Err(format!("{name}: rank 0"));
        }
        let slices =
            self.slices(site, rank, weights.shape(&format!("{PREFIX}{path}.lora_B.weight")), name)?;
        let bias = weights.stored.contains_key(&format!("{PREFIX}{path}.lora_B.bias"));
        if self.lora_bias && !bias {
            return Err(format!("{name}: no lora_B.bias beside it, although lora_bias is set"));
        }
        if bias && site.bias.is_none() {
            return Err(format!("{name}: a bias beside a layer that has none"));
        }
        let pattern = self.alpha_pattern.iter().find(|(regex, _)| regex.is_match(path));
        let alpha = pattern.map_or(self.alpha, |(_, alpha)| *alpha);
        let layout = SiteLayout {
            rank: slices.as_ref().map_or(rank, |slices| slices.rank),
            slices,
            alpha,
            rslora: self.rslora,
            dora: self.dora,
            dropout: self.dropout,
            bias,
            ..SiteLayout::default()
        };
        let entry = declare_site(adapter, site, &layout);
        adapter.sites.insert(site.id, entry);
        Ok(())
    }
}

impl Reader {
    /// The parts that the factors of loralib's MergedLinear are for: B is as narrow as one block of A's rows. None for
    /// an ordinary LoRA.
    fn slices(
        &self,
        site: &Site,
        joint: usize,
        b: Option<&[usize]>,
        name: &str,
    ) -> Result<Option<Slices>, String> {
        let (Some(fused), Some([rows, rank])) = (&site.fused, b) else { return Ok(None) };
        if *rank == 0 || *rank >= joint {
            return Ok(None);
        }
        let count = joint / rank;
        let all: Vec<usize> = (0..fused.parts.len()).collect();
        let parts = match &self.enabled {
            Some(flags) => all.into_iter().filter(|part| flags.get(*part) == Some(&true)).collect(),
            None if count == all.len() => all,
            None => {
                return Err(format!(
                    "{name}: `enable_lora` has to say, in a JSON file beside it, for which parts this is"
                ));
            }
        };
        let slices = Slices { fused: fused.clone(), parts, rank: *rank };
        match slices.joint_rank() == joint && slices.rows() == *rows {
            true => Ok(Some(slices)),
            false => Err(format!(
                "{name}: {joint} rows and {rows} of B are not those of the parts in `enable_lora`"
            )),
        }
    }
}

/// The name of a declared tensor in the file; an error is a line for the user.
fn stored_name<'a>(weights: &'a Named, param: &Param) -> Result<&'a str, String> {
    let names = [format!("{PREFIX}{}", param.name), format!("{PREFIX}{}.weight", param.name)];
    let found = names.iter().find_map(|name| Some((weights.stored.get(name)?, weights.shape(name)?)));
    match found {
        Some((name, shape)) if shape == param.shape.as_slice() => Ok(name),
        Some((name, shape)) => Err(format!("{name}: wanted {:?}, got {shape:?}", param.shape)),
        None => Err(format!("{} is missing", names[0])),
    }
}

/// Reads the declared tensors.
fn fill(adapter: &mut LoraAdapter, model: &Model, weights: &Named) -> Result<()> {
    for param in adapter.params.iter_mut() {
        if let Ok(name) = stored_name(weights, param) {
            param.value = peft::read_value(&weights.weights, name, &param.shape, &model.device)?;
        }
    }
    Ok(())
}

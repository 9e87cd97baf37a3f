//! New LoRA parameters for a model.

use std::path::Path;

use burn::tensor::FloatDType;
use protocol::{Result, TargetReport, Text, UserError, text};
use serde_json::{Map, Value as Json};

use super::adapter::LoraAdapter;
use super::files::{Identity, config};
use super::init::{Start, initialise};
use super::params::Settings;
use super::site::LoraSite;
use super::slices::Slices;
use super::stored::stored;
use crate::methods::targets::{Chosen, Where, chosen_value, refuse_tied, select_parts};
use crate::methods::{Adapter, Attach, Footprint};
use crate::models::{Front, Model};
use crate::nn::{Decay, HeldBeside, Param, ParamId, Reads, Site, SiteKind};

/// LoRA+'s learning rate for embeddings (PEFT, `optimizers/loraplus.py`).
const LORAPLUS_EMBEDDING_RATE: f64 = 1e-6;

pub fn attach(
    model: &mut Model,
    settings: &Map<String, Json>,
    context: &Attach,
) -> Result<Option<Box<dyn Adapter>>> {
    let (mut adapter, settings, sites) = declared(model, settings)?;
    for site in &sites {
        let Some(entry) = adapter.sites.get(&site.id).cloned() else { continue };
        initialise(&mut adapter, model, &entry, site, settings.start(), context.seed)?;
        set_rates(&mut adapter, &entry, &settings, context.learning_rate);
    }
    Ok(Some(Box::new(adapter)))
}

/// What [`attach`] would add.
pub fn footprint(model: &Model, settings: &Map<String, Json>, base: &Path) -> Result<Footprint> {
    let (adapter, ..) = declared(model, settings)?;
    let report = |site: &Site| {
        let entry = adapter.sites.get(&site.id)?;
        let bias = entry.bias.map(|[_, own]| own);
        let parts = [Some(entry.a), Some(entry.b), entry.magnitude, bias].into_iter().flatten();
        Some(TargetReport {
            path: site.path.clone(),
            rank: entry.rank as u64,
            alpha: entry.alpha,
            parameters: parts.map(|id| adapter.params.get(id).elements() as u64).sum(),
        })
    };
    Ok(Footprint {
        beside: beside(&adapter, model),
        front: Front::default(),
        own: Vec::new(),
        targets: model.sites.iter().filter_map(report).collect(),
        adapter_config: config(&adapter, &base.display().to_string()),
        stored: Some(stored(&adapter)),
        added: adapter.params,
        extra_bytes: 0,
    })
}

/// Of the narrow products; with dropout of what is left of the input, and its mask; with DoRA of what its lengths are
/// factors of: both wide products, and W + s·B·A with its parts while their norms are taken.
fn beside(adapter: &LoraAdapter, model: &Model) -> HeldBeside {
    let mut layers = std::collections::BTreeMap::<_, usize>::new();
    let mut matrix = 0;
    for site in &model.sites {
        let Some(entry) = adapter.sites.get(&site.id) else { continue };
        let wide = if entry.magnitude.is_some() { 2 * site.outputs } else { 0 };
        let dropped = if entry.dropout > 0.0 { 2 * site.inputs } else { 0 };
        *layers.entry(site.layer).or_default() += 2 * entry.stored_rank() + wide + dropped;
        if entry.magnitude.is_some() {
            matrix = matrix.max(3 * site.outputs * site.inputs);
        }
    }
    let reads = Reads::of(&model.sites, |site| {
        adapter.sites.contains_key(&site.id) || adapter.replacements.contains_key(&site.weight)
    });
    HeldBeside { kept: layers.into_values().max().unwrap_or(0), matrix, reads }
}

/// Every parameter with its shape, and without a value where the value would have to be drawn.
fn declared(model: &Model, settings: &Map<String, Json>) -> Result<(LoraAdapter, Settings, Vec<Site>)> {
    let settings: Settings = serde_json::from_value(Json::Object(settings.clone()))
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    let wanted = Where { targets: &settings.targets, exclude: &settings.exclude, layers: &settings.layers };
    let chosen = select_parts(model, wanted)?;
    let sites: Vec<Site> = chosen.iter().map(|chosen| chosen.site.clone()).collect();
    refuse_tied(model, &sites)?;
    let mut adapter = LoraAdapter::new(identity(&settings, model, &sites));
    let added = chosen.iter().map(|chosen| add_site(&mut adapter, model, chosen, &settings));
    let problems: Vec<String> = added.filter_map(Result::err).collect();
    if !problems.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "The settings do not fit these matrices",
            "设置与这些矩阵不符",
        ))
        .details(problems)
        .at_item("method.rank")
        .mend(Text::fixed(
            "choose a smaller rank, change what is named, or choose other targets",
            "请减小秩、修改所列设置，或选择其他目标模块",
        )));
    }
    add_biases(&mut adapter, model, &sites, &settings.bias);
    add_whole_modules(&mut adapter, model, &settings.modules_to_save)?;
    Ok((adapter, settings, sites))
}

fn identity(settings: &Settings, model: &Model, sites: &[Site]) -> Identity {
    let chosen: Vec<&str> = sites.iter().map(|site| site.path.as_str()).collect();
    Identity {
        rank: settings.rank,
        alpha: settings.alpha,
        dropout: settings.dropout,
        rslora: settings.rslora,
        dora: settings.dora,
        lora_bias: settings.lora_bias,
        bias: settings.bias.clone(),
        target_modules: super::super::targets::peft_target_modules(&model.sites, &chosen),
        modules_to_save: words(&settings.modules_to_save),
        transposed: sites.iter().any(|site| site.kind == SiteKind::Conv1d),
        paths: sites.iter().map(|site| (site.id, site.path.clone())).collect(),
    }
}

/// Declares what one matrix gets; an error is a line for the user.
fn add_site(
    adapter: &mut LoraAdapter,
    model: &Model,
    chosen: &Chosen,
    settings: &Settings,
) -> Result<(), String> {
    let site = &chosen.site;
    let rank =
        chosen_value(model, &settings.rank_pattern, chosen)?.map_or(settings.rank, |rank| rank as usize);
    let alpha = chosen_value(model, &settings.alpha_pattern, chosen)?.unwrap_or(settings.alpha);
    let fused = site.fused.as_ref().filter(|_| !chosen.parts.is_empty());
    let slices = fused.map(|fused| Slices { fused: fused.clone(), parts: chosen.parts.clone(), rank });
    refuse_rank(site, slices.as_ref(), rank)?;
    refuse_together(site, slices.is_some(), rank, settings)?;
    let layout = SiteLayout {
        rank,
        alpha,
        rslora: settings.rslora,
        dora: settings.dora,
        dropout: settings.dropout,
        slices,
        start: settings.start().takes_weights() && site.kind != SiteKind::Embedding,
        bias: settings.lora_bias,
    };
    let entry = declare_site(adapter, site, &layout);
    adapter.sites.insert(site.id, entry);
    Ok(())
}

fn refuse_rank(site: &Site, slices: Option<&Slices>, rank: usize) -> Result<(), String> {
    let Site { path, inputs, outputs, .. } = site;
    let narrowest = match slices {
        Some(slices) => slices.parts.iter().map(|part| slices.fused.len(*part)).min().unwrap_or(0),
        None => *outputs,
    };
    if rank == 0 || rank > narrowest.min(*inputs) {
        return Err(format!("{path}: rank {rank}, but the matrix is {narrowest} × {inputs}"));
    }
    Ok(())
}

/// What cannot be had at once.
fn refuse_together(site: &Site, sliced: bool, rank: usize, settings: &Settings) -> Result<(), String> {
    let (start, embedding) = (settings.start(), site.kind == SiteKind::Embedding);
    let reasons = [
        (settings.dora && embedding, "DoRA does not adapt embeddings"),
        (settings.dora && sliced, "DoRA rescales whole matrices: name the matrix instead of its parts"),
        (
            settings.dora && start.takes_weights(),
            "DoRA and a start that takes part of the weights exclude each other",
        ),
        (settings.lora_bias && settings.dora, "`lora_bias` and DoRA exclude each other"),
        (settings.lora_bias && sliced, "`lora_bias` is for whole matrices"),
        (settings.lora_bias && start != Start::Uniform, "`lora_bias` begins with `init = \"default\"` only"),
        (
            settings.lora_bias && site.bias.is_none(),
            "`lora_bias` needs a layer with a bias, else it could not be merged",
        ),
        (start == Start::Orthogonal && rank % 2 == 1, "`init = \"orthogonal\"` needs an even rank"),
    ];
    match reasons.into_iter().find(|(refused, _)| *refused) {
        Some((_, reason)) => Err(format!("{}: {reason}", site.path)),
        None => Ok(()),
    }
}

/// LoRA+: factors on the run's learning rate.
fn set_rates(adapter: &mut LoraAdapter, entry: &LoraSite, settings: &Settings, learning_rate: f64) {
    let fast = settings.loraplus_ratio;
    if fast == 1.0 {
        return;
    }
    let embedding = LORAPLUS_EMBEDDING_RATE / learning_rate.max(f64::MIN_POSITIVE);
    let (a, b) = if entry.kind == SiteKind::Embedding { (embedding, embedding) } else { (1.0, fast) };
    adapter.params.get_mut(entry.a).lr_scale = a;
    adapter.params.get_mut(entry.b).lr_scale = b;
    for vector in [entry.magnitude, entry.bias.map(|[_, own]| own)].into_iter().flatten() {
        adapter.params.get_mut(vector).lr_scale = fast;
    }
}

/// What decides the shapes at one site.
#[derive(Clone, Debug, Default)]
pub struct SiteLayout {
    /// Of each part.
    pub rank: usize,
    pub alpha: f64,
    pub rslora: bool,
    pub dora: bool,
    pub dropout: f64,
    /// None for the whole matrix.
    pub slices: Option<Slices>,
    /// Whether the first values are kept beside those that are trained.
    pub start: bool,
    pub bias: bool,
}

/// Declares a site's parameters under PEFT's names, without values.
pub fn declare_site(adapter: &mut LoraAdapter, site: &Site, layout: &SiteLayout) -> LoraSite {
    let (path, rank) = (&site.path, layout.rank);
    let [a_name, b_name] = factor_names(site);
    let mut declare = |name: String, shape: &[usize], trainable: bool| {
        let mut param =
            Param::new(name, shape, if shape.len() == 1 && layout.bias { Decay::No } else { Decay::Yes });
        param.trainable = trainable;
        adapter.params.declare(param)
    };
    let (joint, rows) = match &layout.slices {
        Some(slices) => (slices.joint_rank(), slices.rows()),
        None => (rank, site.outputs),
    };
    let (a_shape, b_shape) = ([joint, site.inputs], [rows, rank]);
    let (a, b) = (declare(a_name.clone(), &a_shape, true), declare(b_name.clone(), &b_shape, true));
    let first = |name: &str| format!("{name}.start");
    let start = layout
        .start
        .then(|| [declare(first(&a_name), &a_shape, false), declare(first(&b_name), &b_shape, false)]);
    let outputs = [site.outputs];
    let magnitude = layout.dora.then(|| declare(format!("{path}.lora_magnitude_vector"), &outputs, true));
    let bias = site.bias.filter(|_| layout.bias);
    let bias = bias.map(|frozen| [frozen, declare(format!("{path}.lora_B.bias"), &outputs, true)]);
    let divisor = if layout.rslora { (rank as f64).sqrt() } else { rank as f64 };
    LoraSite {
        site: site.id,
        kind: site.kind,
        weight: site.weight,
        a,
        b,
        slices: layout.slices.clone(),
        start,
        bias,
        magnitude,
        rank,
        alpha: layout.alpha,
        scale: layout.alpha / divisor,
        frozen_scale: site.scale,
        dropout: if site.kind == SiteKind::Embedding { 0.0 } else { layout.dropout },
    }
}

/// PEFT's names of A and B.
fn factor_names(site: &Site) -> [String; 2] {
    let path = &site.path;
    if site.kind == SiteKind::Embedding {
        return [format!("{path}.lora_embedding_A"), format!("{path}.lora_embedding_B")];
    }
    [format!("{path}.lora_A.weight"), format!("{path}.lora_B.weight")]
}

fn add_biases(adapter: &mut LoraAdapter, model: &Model, sites: &[Site], which: &str) {
    let is_target = |id: ParamId| sites.iter().find(|site| site.bias == Some(id));
    let biases: Vec<(ParamId, String)> = model
        .params
        .iter()
        .filter(|(_, param)| param.name.ends_with(".bias"))
        .filter(|(id, _)| which == "all" || (which == "lora_only" && is_target(*id).is_some()))
        .map(|(id, param)| {
            let name = is_target(id)
                .map_or_else(|| param.name.clone(), |site| format!("{}.base_layer.bias", site.path));
            (id, name)
        })
        .collect();
    for (id, name) in biases {
        replace(adapter, model, id, name);
    }
}

fn add_whole_modules(adapter: &mut LoraAdapter, model: &Model, modules: &Json) -> Result<()> {
    for word in words(modules) {
        let ends_so = |path: &str| path == word || path.ends_with(&format!(".{word}"));
        let found: Vec<(ParamId, String)> = model
            .params
            .iter()
            .filter(|(_, param)| param.name.rsplit_once('.').is_some_and(|(path, _)| ends_so(path)))
            .map(|(id, param)| (id, param.name.clone()))
            .collect();
        if found.is_empty() {
            return Err(UserError::bad_input(text!(
                "No module of this model is called `{word}`, or it is tied to the embedding",
                "该模型中没有名为 `{word}` 的模块，或者它与词嵌入共用"
            ))
            .at_item("method.modules_to_save"));
        }
        for (id, name) in found {
            replace(adapter, model, id, name);
        }
    }
    Ok(())
}

/// A trained copy of a base parameter, called `name` in the adapter's file.
pub fn replace(adapter: &mut LoraAdapter, model: &Model, base: ParamId, name: String) {
    let source = model.params.get(base);
    let mut param = Param::new(name, &source.shape, source.decay);
    param.trainable = true;
    param.value = source.value.clone().cast(FloatDType::F32);
    let copy = adapter.params.declare(param);
    adapter.replacements.insert(base, copy);
}

/// A word or a list of words; the empty word means none.
fn words(value: &Json) -> Vec<String> {
    let list = match value {
        Json::String(word) => vec![word.clone()],
        Json::Array(list) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    list.into_iter().filter(|word| !word.is_empty()).collect()
}

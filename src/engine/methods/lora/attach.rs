//! New LoRA parameters for a model.

use std::path::Path;

use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use protocol::{Result, TargetReport, Text, UserError, text};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value as Json};

use super::adapter::LoraAdapter;
use super::files::{Identity, config};
use super::site::LoraSite;
use super::Settings;
use crate::methods::targets::{pattern_value, refuse_tied};
use crate::methods::{Adapter, Attach, Footprint, select_sites};
use crate::models::{Front, Model};
use crate::nn::{Decay, Param, ParamId, Site, SiteKind, Value};

/// LoRA+'s learning rate for embeddings (PEFT, `optimizers/loraplus.py`).
const LORAPLUS_EMBEDDING_RATE: f64 = 1e-6;

pub fn attach(model: &mut Model, settings: &Map<String, Json>, context: &Attach) -> Result<Option<Box<dyn Adapter>>> {
    let (mut adapter, settings, sites) = declared(model, settings)?;
    for site in &sites {
        let Some(entry) = adapter.sites.get(&site.id).cloned() else { continue };
        initialise(&mut adapter, model, &entry, site, context.seed);
        set_rates(&mut adapter, &entry, &settings, context.learning_rate);
    }
    Ok(Some(Box::new(adapter)))
}

/// What [`attach`] would add.
pub fn footprint(model: &Model, settings: &Map<String, Json>, base: &Path) -> Result<Footprint> {
    let (adapter, ..) = declared(model, settings)?;
    let report = |site: &Site| {
        let entry = adapter.sites.get(&site.id)?;
        let parts = [Some(entry.a), Some(entry.b), entry.magnitude].into_iter().flatten();
        Some(TargetReport {
            path: site.path.clone(),
            rank: entry.rank as u64,
            alpha: entry.alpha,
            parameters: parts.map(|id| adapter.params.get(id).elements() as u64).sum(),
        })
    };
    Ok(Footprint {
        front: Front::default(),
        own: Vec::new(),
        targets: model.sites.iter().filter_map(report).collect(),
        adapter_config: config(&adapter, &base.display().to_string()),
        added: adapter.params,
    })
}

/// Every parameter with its shape, and without a value where the value would have to be drawn.
fn declared(model: &Model, settings: &Map<String, Json>) -> Result<(LoraAdapter, Settings, Vec<Site>)> {
    let settings: Settings = serde_json::from_value(Json::Object(settings.clone()))
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    let sites = select_sites(model, &settings.targets)?;
    refuse_tied(model, &sites)?;
    let mut adapter = LoraAdapter::new(identity(&settings, model, &sites));
    let mut problems = Vec::new();
    for site in &sites {
        match add_site(&mut adapter, model, site, &settings) {
            Ok(()) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(UserError::bad_input(Text::fixed("The rank does not fit these matrices", "秩与这些矩阵不符"))
            .details(problems)
            .at_item("method.rank")
            .mend(Text::fixed("choose a smaller rank, or other targets", "请选更小的秩或其他目标模块")));
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
        bias: settings.bias.clone(),
        target_modules: super::super::targets::peft_target_modules(&model.sites, &chosen),
        modules_to_save: words(&settings.modules_to_save),
        transposed: sites.iter().any(|site| site.kind == SiteKind::Conv1d),
        paths: sites.iter().map(|site| (site.id, site.path.clone())).collect(),
    }
}

/// Declares A, B and the magnitude of one site; an error is a line for the user.
fn add_site(
    adapter: &mut LoraAdapter,
    model: &Model,
    site: &Site,
    settings: &Settings,
) -> Result<(), String> {
    let path = &site.path;
    let pattern = |patterns| pattern_value(model, patterns, site).map_err(|err| err.to_string());
    let rank = pattern(&settings.rank_pattern)?.map_or(settings.rank, |rank| rank as usize);
    let alpha = pattern(&settings.alpha_pattern)?.unwrap_or(settings.alpha);
    let largest = site.inputs.min(site.outputs);
    if rank == 0 || rank > largest {
        return Err(format!("{path}: rank {rank}, but the matrix is {} × {}", site.outputs, site.inputs));
    }
    if settings.dora && site.kind == SiteKind::Embedding {
        return Err(format!("{path}: DoRA does not adapt embeddings"));
    }
    let layout = SiteLayout { rank, alpha, rslora: settings.rslora, dora: settings.dora, dropout: settings.dropout };
    let entry = declare_site(adapter, site, &layout);
    adapter.sites.insert(site.id, entry);
    Ok(())
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
    if let Some(magnitude) = entry.magnitude {
        adapter.params.get_mut(magnitude).lr_scale = fast;
    }
}

/// What decides the shapes at one site.
pub struct SiteLayout {
    pub rank: usize,
    pub alpha: f64,
    pub rslora: bool,
    pub dora: bool,
    pub dropout: f64,
}

/// Declares a site's parameters under PEFT's names, without values.
pub fn declare_site(adapter: &mut LoraAdapter, site: &Site, layout: &SiteLayout) -> LoraSite {
    let (path, rank) = (&site.path, layout.rank);
    let (a_name, b_name) = if site.kind == SiteKind::Embedding {
        (format!("{path}.lora_embedding_A"), format!("{path}.lora_embedding_B"))
    } else {
        (format!("{path}.lora_A.weight"), format!("{path}.lora_B.weight"))
    };
    let mut declare = |name: String, shape: &[usize]| {
        let mut param = Param::new(name, shape, Decay::Yes);
        param.trainable = true;
        adapter.params.declare(param)
    };
    let a = declare(a_name, &[rank, site.inputs]);
    let b = declare(b_name, &[site.outputs, rank]);
    let magnitude = layout.dora.then(|| declare(format!("{path}.lora_magnitude_vector"), &[site.outputs]));
    let divisor = if layout.rslora { (rank as f64).sqrt() } else { rank as f64 };
    LoraSite {
        site: site.id,
        kind: site.kind,
        weight: site.weight,
        a,
        b,
        magnitude,
        rank,
        alpha: layout.alpha,
        scale: layout.alpha / divisor,
        frozen_scale: site.scale,
        dropout: if site.kind == SiteKind::Embedding { 0.0 } else { layout.dropout },
    }
}

/// A ~ U(−1/√in, 1/√in), B = 0; for an embedding A = 0, B ~ N(0, 1); magnitudes the norms of W.
fn initialise(adapter: &mut LoraAdapter, model: &Model, entry: &LoraSite, site: &Site, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(0x10_0000 + site.id.0 as u64);
    let unit = |rng: &mut ChaCha8Rng| (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
    let (drawn, zero) = if site.kind == SiteKind::Embedding { (entry.b, entry.a) } else { (entry.a, entry.b) };
    let bound = 1.0 / (site.inputs as f64).sqrt();
    let len = adapter.params.get(drawn).elements();
    let values: Vec<f32> = (0..len)
        .map(|_| {
            let (u, v) = (unit(&mut rng), unit(&mut rng));
            match site.kind {
                SiteKind::Embedding => ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32,
                SiteKind::Linear | SiteKind::Conv1d => ((2.0 * u - 1.0) * bound) as f32,
            }
        })
        .collect();
    set(adapter, drawn, values, model);
    let zeros = vec![0.0; adapter.params.get(zero).elements()];
    set(adapter, zero, zeros, model);
    if let Some(magnitude) = entry.magnitude {
        let value = match (model.params.get(entry.weight).value.matrix(), matrices(adapter, entry)) {
            (Some(weight), Some((a, b))) => Value::Vector(entry.row_norm(weight, a, b)),
            _ => Value::Absent,
        };
        adapter.params.get_mut(magnitude).value = value;
    }
}

fn matrices(adapter: &LoraAdapter, entry: &LoraSite) -> Option<(Tensor<2>, Tensor<2>)> {
    match (&adapter.params.get(entry.a).value, &adapter.params.get(entry.b).value) {
        (Value::Matrix(a), Value::Matrix(b)) => Some((a.clone(), b.clone())),
        _ => None,
    }
}

fn set(adapter: &mut LoraAdapter, id: ParamId, values: Vec<f32>, model: &Model) {
    let param = adapter.params.get_mut(id);
    let data = TensorData::new(values, param.shape.clone());
    param.value = Value::Matrix(Tensor::from_data(data, (&model.device, DType::F32)));
}

fn add_biases(adapter: &mut LoraAdapter, model: &Model, sites: &[Site], which: &str) {
    let is_target = |id: ParamId| sites.iter().find(|site| site.bias == Some(id));
    let biases: Vec<(ParamId, String)> = model
        .params
        .iter()
        .filter(|(_, param)| param.name.ends_with(".bias"))
        .filter(|(id, _)| which == "all" || (which == "lora_only" && is_target(*id).is_some()))
        .map(|(id, param)| {
            let name = is_target(id).map_or_else(|| param.name.clone(), |site| format!("{}.base_layer.bias", site.path));
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


//! Full fine-tuning: every parameter of the model is trained.

use std::path::Path;

use burn::tensor::FloatDType;
use protocol::{Result, TargetReport, Text, UserError};
use serde_json::{Map, Value};

use super::{Adapter, Attach, Footprint, Method};
use crate::models::{Front, Model};
use crate::nn::{HeldBeside, ParamStore, Site, Space};

pub const METHOD: Method = Method {
    id: "full",
    name: Text::fixed("Full fine-tuning", "全量微调"),
    help: Text::fixed(
        "Trains every parameter. Learns the most and needs the most memory: 16 bytes a parameter with AdamW",
        "训练全部参数。学得最多，也最占内存：使用 AdamW 时每个参数 16 字节",
    ),
    params: Vec::new,
    peft_type: None,
    attach,
    footprint,
    load,
    shapes: |dir, _| Err(no_adapter(dir)),
};

/// Weights under training are kept in f32 whatever the compute dtype: an update is smaller than
/// bf16 can resolve (Micikevicius et al. 2018, arXiv:1710.03740).
fn attach(model: &mut Model, _: &Map<String, Value>, _: &Attach) -> Result<Option<Box<dyn Adapter>>> {
    for param in model.params.iter_mut() {
        param.trainable = true;
        let value = std::mem::replace(&mut param.value, crate::nn::Value::Absent);
        param.value = value.cast(FloatDType::F32);
    }
    Ok(None)
}

fn footprint(model: &Model, _: &Map<String, Value>, _: &Path) -> Result<Footprint> {
    let elements = |site: &Site| {
        let stored = std::iter::once(site.weight).chain(site.bias);
        stored.map(|id| model.params.get(id).elements() as u64).sum()
    };
    let target = |site: &Site| TargetReport {
        path: site.path.clone(),
        rank: 0,
        alpha: 0.0,
        parameters: elements(site),
    };
    // A tied head is the embedding's matrix under a second name.
    let tied = |at: usize| model.sites[..at].iter().any(|site| site.weight == model.sites[at].weight);
    let sites = model.sites.iter().enumerate().filter(|(at, _)| !tied(*at));
    Ok(Footprint {
        beside: HeldBeside::default(),
        front: Front::default(),
        own: model.params.iter().map(|(id, _)| id).collect(),
        added: ParamStore::new(Space::Adapter),
        stored: None,
        targets: sites.map(|(_, site)| target(site)).collect(),
        adapter_config: Map::new(),
        extra_bytes: 0,
    })
}

fn load(dir: &Path, _: &Model) -> Result<Box<dyn Adapter>> {
    Err(no_adapter(dir))
}

fn no_adapter(dir: &Path) -> UserError {
    UserError::bad_input(Text::fixed(
        "A fully fine-tuned model is a model folder, not an adapter",
        "全量微调的结果是模型文件夹，而不是适配器",
    ))
    .in_file(dir)
}

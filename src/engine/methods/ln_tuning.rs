//! Training of the norms alone (Zhao et al. 2023, arXiv:2312.11420). Files: PEFT, `tuners/ln_tuning`.

use protocol::{Result, Text};
use serde_json::json;

use super::parts::{self, Parts, Stored};
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{Decay, ParamId};

/// What PEFT puts into the name of a trained norm.
const LAYER: &str = ".ln_tuning_layers.";

pub const METHOD: Method = Method {
    id: "ln-tuning",
    name: Text::fixed("Norm tuning", "归一化层微调"),
    help: Text::fixed(
        "Trains the gains (and biases) of the norms and nothing else. Very small, and merges exactly",
        "只训练归一化层的增益（和偏置）。非常小，可精确合并",
    ),
    params: Vec::new,
    peft_type: Some("LN_TUNING"),
    attach: |model, _, context| Ok(Some(Box::new(declared(model).begin(model, context.seed)))),
    footprint: |model, _, base| Ok(declared(model).footprint(model, base)),
    load: |dir, model| Ok(Box::new(parts::read(dir, model, Parts::new, declare_stored)?)),
    shapes: |dir, model| parts::shapes(dir, model, Parts::new, declare_stored),
};

/// Module paths of the norms: they own the vectors that weight decay leaves out, other than biases.
fn norms(model: &Model) -> Vec<&str> {
    let gains = model.params.iter().filter(|(_, param)| param.shape.len() == 1 && param.decay == Decay::No);
    gains.filter_map(|(_, param)| param.name.strip_suffix(".weight")).collect()
}

fn declared(model: &Model) -> Parts {
    let paths = norms(model);
    let mut names: Vec<&str> = paths.iter().filter_map(|path| path.rsplit('.').next()).collect();
    names.sort_unstable();
    names.dedup();
    let mut parts =
        Parts::new(peft::config_of("LN_TUNING", json!({ "exclude_modules": null, "target_modules": names })));
    for path in paths {
        for suffix in ["weight", "bias"] {
            if let Some(base) = model.params.find(&format!("{path}.{suffix}")) {
                parts.replace(model, base, format!("{path}{LAYER}{suffix}"));
            }
        }
    }
    parts
}

fn declare_stored(parts: &mut Parts, model: &Model, stored: &Stored<'_>) -> Result<(), String> {
    let base: Option<ParamId> = model.params.find(&stored.name.replace(LAYER, "."));
    let base = base.ok_or_else(|| format!("{}: this model has no such norm", stored.name))?;
    parts.replace(model, base, stored.name.to_owned());
    Ok(())
}

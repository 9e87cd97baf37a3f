//! (IA)³: learned factors on keys, values and what the feed-forward layer's last matrix reads (Liu et al. 2022,
//! arXiv:2205.05638). Formulas and files: PEFT, `tuners/ia3`.

use std::sync::Arc;

use burn::tensor::Tensor;
use protocol::{ParamKind, ParamSpec, Result, Text};
use serde_json::{Map, Value as Json, json};

use super::parts::{self, Parts, SitePart, Stored};
use super::targets::peft_target_modules;
use super::{Method, peft, select_sites};
use crate::models::Model;
use crate::nn::{
    Decay, Initial, ParamId, ParamStore, Pass, Role, Site, SiteAdapter, SiteInput, SiteKind, Value,
};

const SUFFIX: &str = ".ia3_l";

pub const METHOD: Method = Method {
    id: "ia3",
    name: Text::fixed("(IA)³", "(IA)³"),
    help: Text::fixed(
        "Learns a factor for each key, value and inner feature. A few thousand numbers; merges without a trace",
        "为每个键、值和中间特征学习一个系数。只有几千个数，可无痕合并",
    ),
    params,
    peft_type: Some("IA3"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(model, base)),
    load: |dir, model| Ok(Box::new(parts::read(dir, model, Parts::new, declare_stored)?)),
    shapes: |dir, model| parts::shapes(dir, model, Parts::new, declare_stored),
};

fn params() -> Vec<ParamSpec> {
    vec![ParamSpec {
        key: "targets".into(),
        name: Text::fixed("Targets", "目标模块"),
        help: Text::fixed(
            "Which matrices get factors. `auto`: keys, values and the feed-forward layer's last matrix",
            "为哪些矩阵学习系数。`auto`：键、值和前馈层的最后一个矩阵",
        ),
        kind: ParamKind::Targets { default: "auto".into() },
        advanced: false,
    }]
}

/// What PEFT adapts by default, in roles.
const AUTO: [Role; 5] = [Role::Key, Role::Value, Role::KeyValue, Role::FusedQkv, Role::Down];

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<Parts> {
    let targets = settings.get("targets").cloned().unwrap_or_else(|| "auto".into());
    let sites = match targets.as_str() {
        Some("auto") => model.block_linears().filter(|site| AUTO.contains(&site.role)).cloned().collect(),
        _ => select_sites(model, &targets)?,
    };
    let sites: Vec<Site> = sites.into_iter().filter(|site| site.kind != SiteKind::Embedding).collect();
    let names = |wanted: &dyn Fn(&Site) -> bool| {
        let chosen: Vec<&str> =
            sites.iter().filter(|site| wanted(site)).map(|site| site.path.as_str()).collect();
        peft_target_modules(&model.sites, &chosen)
    };
    let mut parts = Parts::new(peft::config_of(
        "IA3",
        json!({
            "exclude_modules": null,
            "fan_in_fan_out": sites.iter().any(|site| site.kind == SiteKind::Conv1d),
            "feedforward_modules": names(&|site| site.role == Role::Down),
            "init_ia3_weights": true,
            "target_modules": names(&|_| true),
        }),
    ));
    for site in &sites {
        add(&mut parts, site, site.role == Role::Down);
    }
    Ok(parts)
}

fn add(parts: &mut Parts, site: &Site, of_inputs: bool) {
    let shape = if of_inputs { [1, site.inputs] } else { [site.outputs, 1] };
    let name = format!("{}{SUFFIX}", site.path);
    let factors = parts.declare(&site.path, name, &shape, Decay::Yes, Initial::Ones);
    if !of_inputs && site.layer == Some(0) {
        parts.kept += site.outputs;
    }
    let part = Factors { factors, of_inputs, kind: site.kind, weight: site.weight, bias: site.bias };
    parts.sites.insert(site.id, Arc::new(part));
}

/// By the shape PEFT stores, which tells the two kinds apart: `[1, in]` or `[out, 1]`.
fn declare_stored(parts: &mut Parts, model: &Model, stored: &Stored<'_>) -> Result<(), String> {
    let path = stored.name.strip_suffix(SUFFIX).ok_or_else(|| format!("{}: not a factor", stored.name))?;
    let site = model.sites.iter().find(|site| site.path == path);
    let site = site.ok_or_else(|| format!("{}: this model has no module `{path}`", stored.name))?;
    match stored.shape {
        [1, inputs] if *inputs == site.inputs => add(parts, site, true),
        [outputs, 1] if *outputs == site.outputs => add(parts, site, false),
        shape => {
            return Err(format!(
                "{}: {shape:?}, but the matrix is {} × {}",
                stored.name, site.outputs, site.inputs
            ));
        }
    }
    Ok(())
}

/// y = l ⊙ (W·x + b), or y = W·(l ⊙ x) + b.
struct Factors {
    factors: ParamId,
    of_inputs: bool,
    kind: SiteKind,
    weight: ParamId,
    bias: Option<ParamId>,
}

impl Factors {
    fn times(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        x * pass.matrix(self.factors).flatten::<1>(0, 1).unsqueeze()
    }

    /// Along rows or columns of the stored matrix.
    fn scaled(&self, weight: Tensor<2>, factors: Tensor<1>) -> Tensor<2> {
        let rows = self.of_inputs == (self.kind == SiteKind::Conv1d);
        weight * factors.unsqueeze_dim(if rows { 1 } else { 0 })
    }
}

impl SiteAdapter for Factors {
    fn input(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        if self.of_inputs { self.times(pass, x) } else { x }
    }

    fn apply(&self, pass: &Pass<'_>, _: SiteInput<'_>, base: Tensor<3>) -> Tensor<3> {
        if self.of_inputs { base } else { self.times(pass, base) }
    }

    fn weight(&self, pass: &Pass<'_>, weight: Tensor<2>) -> Tensor<2> {
        self.scaled(weight, pass.matrix(self.factors).flatten(0, 1))
    }
}

impl SitePart for Factors {
    fn reads(&self) -> bool {
        self.of_inputs
    }

    fn merged(&self, params: &ParamStore, base: ParamId, value: &Value) -> Option<Value> {
        let factors = parts::vector(params, self.factors)?;
        match value {
            Value::Matrix(weight) if base == self.weight => {
                Some(Value::Matrix(self.scaled(weight.clone(), factors)))
            }
            Value::Vector(bias) if Some(base) == self.bias && !self.of_inputs => {
                Some(Value::Vector(bias.clone() * factors))
            }
            _ => None,
        }
    }
}

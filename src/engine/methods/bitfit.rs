//! BitFit: training of the biases alone (Ben Zaken et al. 2022, arXiv:2106.10199). A model without biases gets some, as
//! OpenDelta gives them.

use std::sync::Arc;

use burn::tensor::Tensor;
use protocol::{ParamKind, ParamSpec, Result, Text, UserError};
use serde_json::{Map, Value as Json, json};

use super::parts::{self, Parts, SitePart, Stored};
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{Decay, Initial, ParamId, ParamStore, Pass, Site, SiteAdapter, SiteInput, Value};

pub const METHOD: Method = Method {
    id: "bitfit",
    name: Text::fixed("BitFit", "BitFit"),
    help: Text::fixed(
        "Trains the biases and nothing else; a model that has none gets one for each matrix",
        "只训练偏置；没有偏置的模型会为每个矩阵添加偏置",
    ),
    params,
    peft_type: Some("BITFIT"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(model, base)),
    load: |dir, model| Ok(Box::new(parts::read(dir, model, Parts::new, declare_stored)?)),
    shapes: |dir, model| parts::shapes(dir, model, Parts::new, declare_stored),
};

fn params() -> Vec<ParamSpec> {
    vec![ParamSpec {
        key: "biases".into(),
        name: Text::fixed("Biases", "偏置"),
        help: Text::fixed(
            "`existing`: those the model has. `everywhere`: one for each matrix of the blocks; such an adapter cannot be \
             merged, since the model has no place for it. `auto`: existing ones, or everywhere if there are none",
            "`existing`：模型已有的偏置。`everywhere`：为各层每个矩阵添加偏置；此类适配器无法合并，因为模型中没有\
             相应位置。`auto`：使用已有偏置，没有时为每个矩阵添加",
        ),
        kind: ParamKind::Choice {
            default: "auto".into(),
            choices: ["auto", "existing", "everywhere"].map(str::to_owned).to_vec(),
        },
        advanced: false,
    }]
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<Parts> {
    let which = settings.get("biases").and_then(Json::as_str).unwrap_or("auto");
    let own: Vec<ParamId> =
        model.params.iter().filter(|(_, param)| param.name.ends_with(".bias")).map(|(id, _)| id).collect();
    if own.is_empty() && which == "existing" {
        return Err(UserError::bad_input(Text::fixed("This model has no biases", "该模型没有偏置"))
            .at_item("method.biases")
            .mend(Text::fixed("set it to \"everywhere\"", "请设为 \"everywhere\"")));
    }
    let mut parts = Parts::new(peft::config_of("BITFIT", json!({ "biases": which })));
    for id in &own {
        parts.replace(model, *id, model.params.get(*id).name.clone());
    }
    if which == "everywhere" || (which == "auto" && own.is_empty()) {
        for site in model.block_linears().filter(|site| site.bias.is_none()) {
            add(&mut parts, site);
        }
    }
    Ok(parts)
}

fn add(parts: &mut Parts, site: &Site) {
    let name = format!("{}.bias", site.path);
    let bias = parts.declare(&site.path, name, &[site.outputs], Decay::No, Initial::Zeros);
    parts.sites.insert(site.id, Arc::new(AddedBias { bias }));
    parts.not_mergeable = Some(Text::fixed(
        "it adds biases to matrices that have none, and the model's files have no place for them",
        "它为没有偏置的矩阵添加了偏置，而模型文件中没有相应位置",
    ));
}

fn declare_stored(parts: &mut Parts, model: &Model, stored: &Stored<'_>) -> Result<(), String> {
    if model.params.find(stored.name).is_some() {
        return parts::declare_copy(parts, model, stored);
    }
    let site =
        stored.name.strip_suffix(".bias").and_then(|path| model.sites.iter().find(|it| it.path == path));
    let site = site.ok_or_else(|| format!("{}: this model has no such module", stored.name))?;
    add(parts, site);
    Ok(())
}

/// y = W·x + b, where the frozen layer has no b.
struct AddedBias {
    bias: ParamId,
}

impl SiteAdapter for AddedBias {
    fn apply(&self, pass: &Pass<'_>, _: SiteInput<'_>, base: Tensor<3>) -> Tensor<3> {
        base + pass.vector(self.bias).unsqueeze()
    }

    fn weight(&self, _: &Pass<'_>, weight: Tensor<2>) -> Tensor<2> {
        weight
    }
}

impl SitePart for AddedBias {
    fn merged(&self, _: &ParamStore, _: ParamId, _: &Value) -> Option<Value> {
        None
    }
}

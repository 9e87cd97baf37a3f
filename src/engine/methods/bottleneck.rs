//! Bottleneck adapters: A(h) = W_up·f(W_down·h + b) + b', after both halves of a block (Houlsby et al. 2019,
//! arXiv:1902.00751), after the block (Pfeiffer et al. 2021, arXiv:2005.00247), or beside the feed-forward layer (He et
//! al. 2022, arXiv:2110.04366). Places, defaults and names: AdapterHub, `adapters` 1.3.

mod hub;

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use protocol::{ParamKind, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value as Json, json};

use super::parts::{self, Parts, SitePart, Stored};
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{
    Activation, BlockAdapter, Decay, Initial, ParamId, ParamStore, Pass, Role, SiteAdapter, SiteInput, Value,
    ops,
};

pub const METHOD: Method = Method {
    id: "adapter",
    name: Text::fixed("Bottleneck adapter", "瓶颈适配器"),
    help: Text::fixed(
        "Small two-layer networks inside each block. They stay beside the model: there is nothing to merge them into",
        "在每层中加入小型两层网络。它们独立于模型之外，无法合并",
    ),
    params,
    peft_type: Some(peft::BOTTLENECK),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(model, base)),
    load: |dir, model| {
        hub::require_known(dir, model)?;
        Ok(Box::new(parts::read(dir, model, empty, declare_stored)?))
    },
    shapes: |dir, model| {
        hub::require_known(dir, model)?;
        parts::shapes(dir, model, empty, declare_stored)
    },
};

fn params() -> Vec<ParamSpec> {
    let choice = |key: &str, name, help, default: &str, choices: &[&str]| ParamSpec {
        key: key.into(),
        name,
        help,
        kind: ParamKind::Choice {
            default: default.into(),
            choices: choices.iter().map(|word| (*word).to_owned()).collect(),
        },
        advanced: false,
    };
    vec![
        choice(
            "form",
            Text::fixed("Form", "形式"),
            Text::fixed(
                "`houlsby`: after attention and after the feed-forward layer. `pfeiffer`: after each block. `parallel`: \
                 beside the feed-forward layer",
                "`houlsby`：注意力和前馈层之后各一个。`pfeiffer`：每层之后一个。`parallel`：与前馈层并联",
            ),
            "houlsby",
            &["houlsby", "pfeiffer", "parallel"],
        ),
        ParamSpec {
            key: "reduction".into(),
            name: Text::fixed("Reduction", "压缩倍数"),
            help: Text::fixed(
                "How many times narrower than the model the bottleneck is",
                "瓶颈比模型窄多少倍",
            ),
            kind: ParamKind::Integer { default: 16, min: 1, max: 4096 },
            advanced: false,
        },
        choice(
            "activation",
            Text::fixed("Activation", "激活函数"),
            Text::fixed(
                "`auto`: swish for Houlsby's form, ReLU for the others",
                "`auto`：houlsby 用 swish，其余用 ReLU",
            ),
            "auto",
            &["auto", "swish", "relu", "gelu", "gelu_new"],
        ),
        ParamSpec {
            key: "scale".into(),
            name: Text::fixed("Scale", "缩放"),
            help: Text::fixed("Factor on what a parallel adapter adds", "并联适配器输出的系数"),
            kind: ParamKind::Number { default: 4.0, min: 0.0, max: 100.0 },
            advanced: true,
        },
    ]
}

/// Where an adapter stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// After the attention's output matrix.
    Attention,
    /// After the feed-forward layer, before its sum with the residual.
    Mlp,
    /// After that sum.
    Output,
    /// Beside the feed-forward layer.
    Parallel,
}

/// What one config says of all its adapters.
struct Form {
    places: &'static [Place],
    activation: Activation,
    scale: f64,
}

impl Form {
    /// From AdapterHub's keys.
    fn read(config: &Map<String, Json>) -> Self {
        let inner = config.get("config").and_then(Json::as_object);
        let flag = |key: &str| inner.and_then(|it| it.get(key)).and_then(Json::as_bool).unwrap_or(false);
        let places: &[Place] = match (flag("is_parallel"), flag("mh_adapter")) {
            (true, _) => &[Place::Parallel],
            (false, true) => &[Place::Attention, Place::Mlp],
            (false, false) => &[Place::Output],
        };
        let word = inner.and_then(|it| it.get("non_linearity")).and_then(Json::as_str).unwrap_or("relu");
        let scale = inner.and_then(|it| it.get("scaling")).and_then(Json::as_f64);
        Self {
            places,
            activation: Activation::from_name(word).unwrap_or(Activation::Relu),
            scale: scale.unwrap_or(1.0),
        }
    }
}

fn config(model: &Model, settings: &Map<String, Json>) -> Map<String, Json> {
    let word = |key: &str| settings.get(key).and_then(Json::as_str).unwrap_or("auto");
    let form = word("form");
    let activation = match (word("activation"), form) {
        ("auto", "houlsby") => "swish",
        ("auto", _) => "relu",
        (word, _) => word,
    };
    let scale = settings.get("scale").and_then(Json::as_f64).unwrap_or(4.0);
    peft::config_of(
        peft::BOTTLENECK,
        json!({
            "config": {
                "architecture": null,
                "is_parallel": form == "parallel",
                "mh_adapter": form == "houlsby",
                "non_linearity": activation,
                "original_ln_after": true,
                "original_ln_before": form == "pfeiffer",
                "output_adapter": true,
                "reduction_factor": settings.get("reduction").cloned().unwrap_or_else(|| 16.into()),
                "residual_before_ln": true,
                "scaling": if form == "parallel" { scale } else { 1.0 },
            },
            "hidden_size": model.info.hidden,
            "model_type": model.family.model_types.first(),
            "name": "default",
        }),
    )
}

fn empty(config: Map<String, Json>) -> Parts {
    let mut parts = Parts::new(config);
    parts.not_mergeable = Some(Text::fixed(
        "its small networks are not linear, so no matrix of the model can hold them",
        "其小型网络是非线性的，模型中没有矩阵可以容纳",
    ));
    parts
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<Parts> {
    let mut parts = empty(config(model, settings));
    let reduction = settings.get("reduction").and_then(Json::as_u64).unwrap_or(16) as usize;
    let hidden = model.info.hidden;
    let width = hidden / reduction.max(1);
    if width == 0 {
        return Err(UserError::bad_input(text!(
            "A bottleneck {reduction} times narrower than {hidden} has no width",
            "{hidden} 缩小 {reduction} 倍后瓶颈没有宽度"
        ))
        .at_item("method.reduction")
        .mend(text!("choose {hidden} or less", "请选择不超过 {hidden}")));
    }
    for place in Form::read(&parts.config).places {
        for layer in 0..model.info.num_layers {
            add(&mut parts, model, *place, layer, width);
        }
    }
    Ok(parts)
}

/// Declares one adapter; a block without that half has none.
fn add(parts: &mut Parts, model: &Model, place: Place, layer: usize, width: usize) {
    let form = Form::read(&parts.config);
    let Some(path) = model.block_path(layer) else { return };
    let output = model.sites.iter().find(|site| site.layer == Some(layer) && site.role == Role::Output);
    if place == Place::Attention && output.is_none() {
        return;
    }
    let half = if place == Place::Attention { "attention_adapters" } else { "output_adapters" };
    let path = format!("{path}{half}.adapters.default");
    let bottleneck = declare(parts, &path, model.info.hidden, width, &form, place);
    if layer == 0 {
        // What it reads, where nobody else keeps that, and the narrow layer before and after its activation.
        let read = if place == Place::Output { 0 } else { model.info.hidden };
        parts.kept += read + 2 * width;
    }
    match (place, output) {
        (Place::Attention, Some(site)) => {
            parts.sites.insert(site.id, Arc::new(bottleneck));
        }
        _ => {
            parts.blocks.insert(layer, Arc::new(AtBlock { bottleneck, place }));
        }
    }
}

fn declare(
    parts: &mut Parts,
    path: &str,
    hidden: usize,
    width: usize,
    form: &Form,
    place: Place,
) -> Bottleneck {
    let [down, up] = match place {
        // "mam_adapter": kaiming_uniform(a = √5), and nothing added at first.
        Place::Parallel => [Initial::Uniform(1.0 / (hidden as f64).sqrt()), Initial::Zeros],
        // "bert".
        _ => [Initial::Spread(0.02); 2],
    };
    let mut add = |name: &str, shape: &[usize], initial| {
        let decay = if shape.len() == 1 { Decay::No } else { Decay::Yes };
        parts.declare(path, format!("{path}.{name}"), shape, decay, initial)
    };
    Bottleneck {
        down: add("adapter_down.0.weight", &[width, hidden], down),
        down_bias: add("adapter_down.0.bias", &[width], Initial::Zeros),
        up: add("adapter_up.weight", &[hidden, width], up),
        up_bias: add("adapter_up.bias", &[hidden], Initial::Zeros),
        activation: form.activation,
        scale: form.scale,
    }
}

/// Whether a path is that of one of a block's two adapters.
fn is_place(model: &Model, layer: usize, path: &str) -> bool {
    let halves = ["attention_adapters", "output_adapters"];
    let block = model.block_path(layer).unwrap_or_default();
    halves.iter().any(|half| path == format!("{block}{half}.adapters.default"))
}

/// An adapter's first matrix stands for all four tensors.
fn declare_stored(parts: &mut Parts, model: &Model, stored: &Stored<'_>) -> Result<(), String> {
    let Some(path) = stored.name.strip_suffix(".adapter_down.0.weight") else {
        let known = [".adapter_down.0.bias", ".adapter_up.weight", ".adapter_up.bias"];
        let part = known.iter().any(|suffix| stored.name.ends_with(suffix));
        return if part { Ok(()) } else { Err(format!("{}: not a tensor of an adapter", stored.name)) };
    };
    let layer = (0..model.info.num_layers)
        .find(|layer| model.block_path(*layer).is_some_and(|block| path.starts_with(&block)))
        .filter(|layer| is_place(model, *layer, path))
        .ok_or_else(|| format!("{}: this model has no such place", stored.name))?;
    let width = stored.shape.first().copied().unwrap_or(0);
    let at_attention = path.contains(".attention_adapters.");
    let places = Form::read(&parts.config).places;
    let place = places.iter().find(|place| (**place == Place::Attention) == at_attention);
    let place = place.ok_or_else(|| format!("{}: the config has no adapter there", stored.name))?;
    add(parts, model, *place, layer, width);
    Ok(())
}

/// One small network.
struct Bottleneck {
    down: ParamId,
    down_bias: ParamId,
    up: ParamId,
    up_bias: ParamId,
    activation: Activation,
    scale: f64,
}

impl Bottleneck {
    /// s·A(h), `[batch, time, hidden]`.
    fn forward(&self, pass: &Pass<'_>, hidden: &Tensor<3>) -> Tensor<3> {
        let narrow =
            ops::linear(hidden.clone(), pass.matrix(self.down)) + pass.vector(self.down_bias).unsqueeze();
        let wide = ops::linear(self.activation.forward(narrow), pass.matrix(self.up));
        let wide = wide + pass.vector(self.up_bias).unsqueeze();
        if self.scale == 1.0 { wide } else { wide.mul_scalar(self.scale) }
    }

    fn behind(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let added = self.forward(pass, &hidden);
        hidden + added
    }
}

impl SiteAdapter for Bottleneck {
    fn apply(&self, pass: &Pass<'_>, _: SiteInput<'_>, base: Tensor<3>) -> Tensor<3> {
        self.behind(pass, base)
    }

    fn weight(&self, _: &Pass<'_>, weight: Tensor<2>) -> Tensor<2> {
        weight.cast(DType::F32)
    }
}

impl SitePart for Bottleneck {
    fn merged(&self, _: &ParamStore, _: ParamId, _: &Value) -> Option<Value> {
        None
    }
}

struct AtBlock {
    bottleneck: Bottleneck,
    place: Place,
}

impl BlockAdapter for AtBlock {
    fn mlp(&self, pass: &Pass<'_>, input: &Tensor<3>, output: Tensor<3>) -> Tensor<3> {
        match self.place {
            Place::Mlp => self.bottleneck.behind(pass, output),
            Place::Parallel => output + self.bottleneck.forward(pass, input),
            Place::Attention | Place::Output => output,
        }
    }

    fn output(&self, pass: &Pass<'_>, output: Tensor<3>) -> Tensor<3> {
        if self.place == Place::Output { self.bottleneck.behind(pass, output) } else { output }
    }
}

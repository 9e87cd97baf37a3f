//! Prefix tuning: learned keys and values in front of every layer's own (Li and Liang 2021, arXiv:2101.00190). Layout
//! and files: PEFT, `tuners/prefix_tuning`.

use protocol::{ParamKind, ParamSpec, Result, Text};
use serde_json::{Map, Value as Json, json};

use super::front::{self, Declare, Front, FrontAdapter, Kind, PEFT_PREFIX};
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{ParamStore, Space};

pub const METHOD: Method = Method {
    id: "prefix",
    name: Text::fixed("Prefix tuning", "前缀微调"),
    help: Text::fixed(
        "Learns keys and values that every token sees in front of the text, in every layer. The model stays as it is",
        "在每一层学习位于文本之前、所有词元可见的键和值。模型本身不变",
    ),
    params: || shape_specs(20),
    peft_type: Some("PREFIX_TUNING"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(base)),
    load: |dir, model| Ok(Box::new(front::load(dir, model, &KIND)?)),
    shapes: |dir, model| front::shapes(dir, model, &KIND),
};

/// How folders of prefixes are read.
pub(super) const KIND: Kind =
    Kind { front: Front::prefix, config: |model, tokens| config(model, tokens, None) };

/// The number of virtual tokens.
pub(super) fn tokens_spec(default: i64) -> ParamSpec {
    ParamSpec {
        key: "tokens".into(),
        name: Text::fixed("Virtual tokens", "虚拟词元数"),
        help: Text::fixed("How many stand in front of the text", "位于文本之前的虚拟词元个数"),
        kind: ParamKind::Integer { default, min: 1, max: 4096 },
        advanced: false,
    }
}

/// What is set of a prefix: how long it is, whether a small network makes the states and how wide that is, and what of
/// them is left out.
pub(super) fn shape_specs(tokens: i64) -> Vec<ParamSpec> {
    vec![
        tokens_spec(tokens),
        ParamSpec {
            key: "projection".into(),
            name: Text::fixed("Projection", "投影"),
            help: Text::fixed(
                "Lets a small network make the states while training: steadier, and more to train",
                "训练时由小型网络生成：更稳定，但训练的参数更多",
            ),
            kind: ParamKind::Switch { default: false },
            advanced: false,
        },
        ParamSpec {
            key: "projection_width".into(),
            name: Text::fixed("Projection width", "投影宽度"),
            help: Text::fixed("Width of that network; 0: the model's", "该网络的宽度；0 表示与模型相同"),
            kind: ParamKind::Integer { default: 0, min: 0, max: 65536 },
            advanced: true,
        },
        ParamSpec {
            key: "dropout".into(),
            name: Text::fixed("Dropout", "随机丢弃"),
            help: Text::fixed(
                "Share of the keys and values left out while training; ChatGLM's own training takes 0.1, PEFT none",
                "训练时随机忽略的键和值的比例；ChatGLM 官方训练为 0.1，PEFT 为 0",
            ),
            kind: ParamKind::Number { default: 0.0, min: 0.0, max: 0.95 },
            advanced: true,
        },
    ]
}

/// What a run file says of a prefix.
pub(super) struct Shape {
    pub tokens: usize,
    /// Width of the projection's inner layer.
    pub projection: Option<usize>,
    /// Share of the keys and values that training leaves out.
    pub dropout: f64,
}

impl Shape {
    pub fn read(model: &Model, settings: &Map<String, Json>) -> Self {
        let count = |key: &str| settings.get(key).and_then(Json::as_u64).unwrap_or(0) as usize;
        let width =
            if count("projection_width") == 0 { model.info.hidden } else { count("projection_width") };
        let projected = settings.get("projection").and_then(Json::as_bool).unwrap_or(false);
        Self {
            tokens: count("tokens").max(1),
            projection: projected.then_some(width),
            dropout: settings.get("dropout").and_then(Json::as_f64).unwrap_or(0.0),
        }
    }
}

/// PEFT's config of a prefix; the projection's width where there is one.
pub(super) fn config(model: &Model, tokens: usize, projection: Option<usize>) -> Map<String, Json> {
    let info = &model.info;
    peft::config_of(
        "PREFIX_TUNING",
        json!({
            "encoder_hidden_size": projection.unwrap_or(info.hidden),
            "num_attention_heads": info.kv_heads,
            "num_layers": info.num_layers,
            "num_transformer_submodules": 1,
            "num_virtual_tokens": tokens,
            "prefix_projection": projection.is_some(),
            "token_dim": info.kv_heads * info.head_dim,
        }),
    )
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<FrontAdapter> {
    let front = Front::prefix(model)?;
    let Shape { tokens, projection, dropout } = Shape::read(model, settings);
    let mut params = ParamStore::new(Space::Adapter);
    let mut declare = Declare { params: &mut params, prefix: PEFT_PREFIX };
    let width = front.width(model);
    let encoder = match projection {
        Some(inner) => {
            let token = model.info.kv_heads * model.info.head_dim;
            declare.projected("transform", tokens, [token, inner, width])
        }
        None => declare.table(tokens, width),
    };
    let config = config(model, tokens, projection);
    Ok(FrontAdapter { params, encoder, front, tokens, dropout, config })
}

//! P-tuning: virtual tokens in front of the text that a small network makes while training (Liu et al. 2021,
//! arXiv:2103.10385). Networks and files: PEFT, `tuners/p_tuning`.

use protocol::{ParamKind, ParamSpec, Result, Text};
use serde_json::{Map, Value as Json, json};

use super::front::{self, Declare, Front, FrontAdapter, Kind, PEFT_PREFIX};
use super::prefix::tokens_spec;
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{ParamStore, Space};

pub const METHOD: Method = Method {
    id: "p-tuning",
    name: Text::fixed("P-tuning", "P-tuning"),
    help: Text::fixed(
        "Prompt tuning with a small network that ties the virtual tokens together while training",
        "带小型网络的提示微调，训练时由该网络把虚拟词元联系起来",
    ),
    params,
    peft_type: Some("P_TUNING"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(base)),
    load: |dir, model| Ok(Box::new(front::load(dir, model, &KIND)?)),
    shapes: |dir, model| front::shapes(dir, model, &KIND),
};

const KIND: Kind = Kind {
    front: Front::prompt,
    config: |model, tokens| {
        Network { lstm: false, width: model.info.hidden, layers: 2 }.config(model, tokens)
    },
};

fn params() -> Vec<ParamSpec> {
    vec![
        tokens_spec(20),
        ParamSpec {
            key: "encoder".into(),
            name: Text::fixed("Encoder", "编码器"),
            help: Text::fixed("The network that makes the virtual tokens", "生成虚拟词元的网络"),
            kind: ParamKind::Choice { default: "mlp".into(), choices: vec!["mlp".into(), "lstm".into()] },
            advanced: false,
        },
        ParamSpec {
            key: "encoder_width".into(),
            name: Text::fixed("Encoder width", "编码器宽度"),
            help: Text::fixed("0: the model's", "0 表示与模型相同"),
            kind: ParamKind::Integer { default: 0, min: 0, max: 65536 },
            advanced: true,
        },
        ParamSpec {
            key: "encoder_layers".into(),
            name: Text::fixed("LSTM layers", "LSTM 层数"),
            help: Text::fixed("Of the LSTM; the MLP has a fixed number", "LSTM 的层数；MLP 的层数是固定的"),
            kind: ParamKind::Integer { default: 2, min: 1, max: 8 },
            advanced: true,
        },
    ]
}

/// The network of a run file.
struct Network {
    lstm: bool,
    width: usize,
    layers: usize,
}

impl Network {
    fn read(model: &Model, settings: &Map<String, Json>) -> Self {
        let count = |key: &str, default| settings.get(key).and_then(Json::as_u64).unwrap_or(default) as usize;
        let width = count("encoder_width", 0);
        Self {
            lstm: settings.get("encoder").and_then(Json::as_str) == Some("lstm"),
            width: if width == 0 { model.info.hidden } else { width },
            layers: count("encoder_layers", 2),
        }
    }

    fn config(&self, model: &Model, tokens: usize) -> Map<String, Json> {
        peft::config_of(
            "P_TUNING",
            json!({
                "encoder_dropout": 0.0,
                "encoder_hidden_size": self.width,
                "encoder_num_layers": self.layers,
                "encoder_reparameterization_type": if self.lstm { "LSTM" } else { "MLP" },
                "num_attention_heads": model.info.heads,
                "num_layers": model.info.num_layers,
                "num_transformer_submodules": 1,
                "num_virtual_tokens": tokens,
                "token_dim": model.info.hidden,
            }),
        )
    }
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<FrontAdapter> {
    let front = Front::prompt(model)?;
    let tokens = settings.get("tokens").and_then(Json::as_u64).unwrap_or(20).max(1) as usize;
    let network = Network::read(model, settings);
    let mut params = ParamStore::new(Space::Adapter);
    let mut declare = Declare { params: &mut params, prefix: PEFT_PREFIX };
    let encoder = if network.lstm {
        declare.lstm_and_mlp(tokens, front.width(model), network.width, network.layers)
    } else {
        declare.mlp(tokens, front.width(model), network.width)
    };
    let config = network.config(model, tokens);
    Ok(FrontAdapter { params, encoder, front, tokens, dropout: 0.0, config })
}

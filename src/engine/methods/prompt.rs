//! Prompt tuning: learned states in front of the embedded text (Lester et al. 2021, arXiv:2104.08691). Files: PEFT,
//! `tuners/prompt_tuning`.

use data::Tokenizer;
use protocol::{ParamKind, ParamSpec, Result, Text, UserError};
use serde_json::{Map, Value as Json, json};

use super::front::{self, Declare, Front, FrontAdapter, Kind, PEFT_PREFIX};
use super::prefix::tokens_spec;
use super::{Adapter, Attach, Method, peft};
use crate::models::Model;
use crate::nn::{ParamStore, Space, Value};

pub const METHOD: Method = Method {
    id: "prompt",
    name: Text::fixed("Prompt tuning", "提示微调"),
    help: Text::fixed(
        "Learns a few virtual tokens in front of the text and nothing else. The smallest method of all",
        "只学习文本之前的若干虚拟词元，是最小的方法",
    ),
    params,
    peft_type: Some("PROMPT_TUNING"),
    attach,
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(base)),
    load: |dir, model| Ok(Box::new(front::load(dir, model, &KIND)?)),
    shapes: |dir, model| front::shapes(dir, model, &KIND),
};

const KIND: Kind = Kind { front: Front::prompt, config: |model, tokens| config(model, tokens, "") };

fn params() -> Vec<ParamSpec> {
    vec![
        tokens_spec(20),
        ParamSpec {
            key: "begin_with".into(),
            name: Text::fixed("Begin with", "初始文字"),
            help: Text::fixed(
                "A text whose tokens the prompt begins as, repeated or cut to the number of virtual tokens. Empty: random",
                "虚拟词元的初始文字，按虚拟词元数重复或截断。留空则随机",
            ),
            kind: ParamKind::Text { default: String::new() },
            advanced: false,
        },
    ]
}

fn text_of(settings: &Map<String, Json>) -> &str {
    settings.get("begin_with").and_then(Json::as_str).unwrap_or("")
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<FrontAdapter> {
    let front = Front::prompt(model)?;
    let tokens = settings.get("tokens").and_then(Json::as_u64).unwrap_or(20).max(1) as usize;
    let mut params = ParamStore::new(Space::Adapter);
    let encoder = Declare { params: &mut params, prefix: PEFT_PREFIX }.table(tokens, front.width(model));
    let config = config(model, tokens, text_of(settings));
    Ok(FrontAdapter { params, encoder, front, tokens, dropout: 0.0, config })
}

fn config(model: &Model, tokens: usize, text: &str) -> Map<String, Json> {
    let given = !text.is_empty();
    peft::config_of(
        "PROMPT_TUNING",
        json!({
            "num_attention_heads": model.info.heads,
            "num_layers": model.info.num_layers,
            "num_transformer_submodules": 1,
            "num_virtual_tokens": tokens,
            "prompt_tuning_init": "RANDOM",
            "prompt_tuning_init_text": if given { Json::from(text) } else { Json::Null },
            "token_dim": model.info.hidden,
            "tokenizer_name_or_path": null,
        }),
    )
}

fn attach(
    model: &mut Model,
    settings: &Map<String, Json>,
    context: &Attach,
) -> Result<Option<Box<dyn Adapter>>> {
    let mut adapter = declared(model, settings)?.begin(model, context.seed);
    let text = text_of(settings);
    if !text.is_empty() {
        let value = embedded(model, text, adapter.tokens)?;
        adapter.params.get_mut(adapter.encoder.embedding()).value = value;
    }
    Ok(Some(Box::new(adapter)))
}

/// The embedding's rows of a text's tokens, repeated or cut to `count`.
fn embedded(model: &Model, text: &str, count: usize) -> Result<Value> {
    let ids = Tokenizer::open(&model.dir)?.encode(text, false)?.ids;
    if ids.is_empty() {
        return Err(UserError::bad_input(Text::fixed("The text has no tokens", "该文字没有任何词元"))
            .at_item("method.begin_with"));
    }
    let ids: Vec<u32> = ids.iter().copied().cycle().take(count).collect();
    let positions = model.positions(&crate::models::Rows::fresh(&ids, 1), None)?;
    let pass = model.pass(&positions, crate::models::PassOptions::default());
    let site = model.sites.iter().find(|site| site.role == crate::nn::Role::Embedding);
    let site = site.ok_or_else(|| UserError::failure(Text::fixed("no embedding", "没有词嵌入")))?;
    let rows = pass.matrix(site.weight).select(0, model.ids(&ids, 1)?.flatten(0, 1));
    Ok(Value::Matrix(rows).cast(burn::tensor::FloatDType::F32))
}

//! P-tuning v2 (Liu et al. 2022, arXiv:2110.07602): prefix tuning as its authors and ChatGLM do it. ChatGLM's own
//! checkpoints are read; files are written as PEFT's, and what made the prefix beside them.

use protocol::{Result, Text};
use serde_json::{Map, Value as Json};

use super::Method;
use super::front::{self, CHATGLM_PREFIX, Declare, Front, FrontAdapter};
use super::prefix::{KIND, Shape, config, shape_specs};
use crate::models::Model;
use crate::nn::{ParamStore, Space};

pub const METHOD: Method = Method {
    id: "p-tuning-v2",
    name: Text::fixed("P-tuning v2", "P-tuning v2"),
    help: Text::fixed(
        "Prefix tuning as ChatGLM's authors use it: a long prefix in every layer and a high learning rate (2e-2)",
        "ChatGLM 作者使用的前缀微调：每层较长的前缀，配较高的学习率（2e-2）",
    ),
    params: || shape_specs(128),
    peft_type: Some("PREFIX_ENCODER"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(base)),
    load: |dir, model| Ok(Box::new(front::load(dir, model, &KIND)?)),
    shapes: |dir, model| front::shapes(dir, model, &KIND),
};

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<FrontAdapter> {
    let place = Front::prefix(model)?;
    let Shape { tokens, projection, dropout } = Shape::read(model, settings);
    let mut params = ParamStore::new(Space::Adapter);
    let mut declare = Declare { params: &mut params, prefix: CHATGLM_PREFIX };
    let width = place.width(model);
    let encoder = match projection {
        Some(inner) => {
            declare.projected("trans", tokens, [front::embedding_width(model, width), inner, width])
        }
        None => declare.table(tokens, width),
    };
    let config = config(model, tokens, projection);
    Ok(FrontAdapter { params, encoder, front: place, tokens, dropout, config })
}

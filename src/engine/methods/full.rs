//! Full fine-tuning: every parameter of the model is trained.

use std::path::Path;

use burn::tensor::FloatDType;
use protocol::{Result, Text, UserError};
use serde_json::{Map, Value};

use super::{Adapter, Attach, Method};
use crate::models::Model;

pub const METHOD: Method = Method {
    id: "full",
    name: Text::fixed("Full fine-tuning", "全量微调"),
    help: Text::fixed(
        "Trains every parameter. Learns the most and needs the most memory: 16 bytes a parameter",
        "训练全部参数。学得最多，也最占内存：每个参数 16 字节",
    ),
    params: Vec::new,
    peft_type: None,
    attach,
    load,
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

fn load(dir: &Path, _: &Model) -> Result<Box<dyn Adapter>> {
    Err(UserError::bad_input(Text::fixed(
        "A fully fine-tuned model is a model folder, not an adapter",
        "全量微调的结果是模型文件夹，而不是适配器",
    ))
    .in_file(dir))
}

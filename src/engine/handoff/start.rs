//! The first weights of the adapter, exactly those that a run here would begin with.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use protocol::{Result, Text, UserError};
use serde::Serialize;

use crate::methods::{self, Adapter, Attach, PEFT_PREFIX, PEFT_WEIGHTS};
use crate::models::Model;
use crate::nn::{Decay, Value};
use crate::plan::{Plan, open_model};
use crate::weights::open_file;

/// How a parameter learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Learns {
    /// Factor on the rate (LoRA+).
    pub lr_scale: f64,
    pub weight_decay: f64,
}

/// Writes the adapter as it begins into `dir`; `base` is the reference that its settings name. Returns how each tensor of
/// its file learns.
///
/// # Errors
/// When the weights that it begins with cannot be read, or PEFT would train other tensors than this program does.
pub fn write_adapter(plan: &Plan, dir: &Path, base: &str) -> Result<BTreeMap<String, Learns>> {
    std::fs::create_dir_all(dir).map_err(|err| {
        UserError::io(Text::fixed("make the adapter's folder", "创建适配器文件夹"), dir, &err)
    })?;
    let adapter = fresh(plan)?;
    adapter.save(dir, base)?;
    let decay = plan.config.train.weight_decay;
    let learns = adapter.params().iter().filter(|(_, param)| param.trainable).map(|(_, param)| {
        let weight_decay = if param.decay == Decay::Yes { decay } else { 0.0 };
        (format!("{PEFT_PREFIX}{}", param.name), Learns { lr_scale: param.lr_scale, weight_decay })
    });
    let learns: BTreeMap<String, Learns> = learns.collect();
    let written = open_file(&dir.join(PEFT_WEIGHTS))?;
    if written.names().any(|name| name.contains(".experts.")) {
        return Err(UserError::bad_input(Text::fixed(
            "Adapters of single experts cannot be handed over: transformers has all experts of a layer in one tensor",
            "单个专家的适配器无法移交：transformers 将每层的所有专家合为一个张量",
        ))
        .at_item("method.targets")
        .mend(Text::fixed("set method.targets to [\"q\", \"k\", \"v\", \"o\"]", "请将 method.targets 设为 [\"q\", \"k\", \"v\", \"o\"]")));
    }
    let same = |name: &str| {
        let param = adapter.params().find(name.strip_prefix(PEFT_PREFIX)?)?;
        let elements: usize = written.info(name)?.shape.iter().product();
        Some(elements == adapter.params().get(param).elements())
    };
    let is_there = |name: &str| learns.contains_key(name) && same(name) == Some(true);
    if written.names().count() == learns.len() && written.names().all(is_there) {
        return Ok(learns);
    }
    let others = written.names().filter(|name| !is_there(name)).take(5).map(str::to_owned);
    Err(UserError::bad_input(Text::fixed(
        "These settings cannot be handed over: PEFT would train other tensors than this program does",
        "这些设置无法移交：PEFT 训练的张量与本程序不同",
    ))
    .at_item("method")
    .details(others)
    .mend(Text::fixed(
        "adapt whole matrices (no parts of one, no modules trained whole, no biases); or train here",
        "请只适配完整的矩阵（不拆分矩阵、不整体训练模块、不训练偏置）；或在本机训练",
    )))
}

/// Attached to a model whose weights stay in their files, unless the method looks at them.
fn fresh(plan: &Plan) -> Result<Box<dyn Adapter>> {
    let mut folder = open_model(&plan.config)?;
    let adapter = attach(plan, folder.model_mut())?;
    let needs_weights = adapter.params().iter().any(|(_, param)| matches!(param.value, Value::Absent));
    if !needs_weights {
        return Ok(adapter);
    }
    let mut model = folder.load(&Device::flex(), plan.dtype, &mut |_, _| {})?;
    attach(plan, &mut model)
}

fn attach(plan: &Plan, model: &mut Model) -> Result<Box<dyn Adapter>> {
    let train = &plan.config.train;
    let context = Attach { seed: train.seed, learning_rate: train.learning_rate };
    methods::attach(model, &plan.config.method, &context)?.ok_or_else(|| {
        UserError::bad_input(Text::fixed("The method trains no adapter", "该方法不训练适配器"))
            .at_item("method.kind")
    })
}

//! What can be handed over: runs that PEFT and transformers train as this program does. Everything else is refused with what
//! to do instead.

use protocol::{Result, Text, UserError, text};
use serde_json::Value;

use crate::methods::{method_of, settings};
use crate::nn::{Quantization, SiteKind};
use crate::plan::Plan;

/// Methods that PEFT trains alike, from the same first weights.
pub const METHODS: [&str; 3] = ["lora", "dora", "ia3"];
/// Families whose code transformers does not have, or has for other layouts.
const OWN_CODE: [&str; 6] = ["baichuan", "chatglm", "chatglm-6b", "minicpm", "cpmant", "cpmbee"];
/// Optimizers that torch has and computes alike.
pub const OPTIMIZERS: [&str; 2] = ["adamw", "sgd"];
/// Starts of LoRA that take their part of the frozen weights for themselves.
const CHANGED_BASE: [&str; 3] = ["pissa", "pissa_niter_4", "olora"];

/// # Errors
/// When the run cannot be handed over: says why, and what to do.
pub fn refuse(plan: &Plan) -> Result<()> {
    method(plan)?;
    start(plan)?;
    family(plan)?;
    model(plan)?;
    optimizer(plan)
}

fn refused(item: &str, what: Text, mend: Text) -> Result<()> {
    Err(UserError::bad_input(what).at_item(item).mend(mend))
}

fn method(plan: &Plan) -> Result<()> {
    let kind = plan.config.method.kind.as_str();
    if METHODS.contains(&kind) {
        return Ok(());
    }
    let known = METHODS.join(", ");
    refused(
        "method.kind",
        text!(
            "Method `{kind}` cannot be handed over: PEFT has none that trains alike",
            "方法 `{kind}` 无法移交：PEFT 没有训练方式相同的方法"
        ),
        text!("choose one of {known}; or train it here", "请选择 {known} 之一；或在本机训练"),
    )
}

/// LoRA whose factors PEFT would lay out or begin otherwise.
fn start(plan: &Plan) -> Result<()> {
    let config = &plan.config.method;
    let settings = settings(method_of(&config.kind)?, config)?;
    let word = settings.get("init").and_then(Value::as_str).unwrap_or_default();
    if CHANGED_BASE.contains(&word) {
        return refused(
            "method.init",
            text!(
                "A LoRA that begins with `{word}` changes the frozen weights, which the folder does not hold",
                "以 `{word}` 初始化的 LoRA 会改变冻结的权重，而移交的文件夹中不含这些权重"
            ),
            Text::fixed("set method.init to \"default\"", "请将 method.init 设为 \"default\""),
        );
    }
    let set = |key: &str, usual: &[&str]| match settings.get(key) {
        Some(Value::String(word)) => !usual.contains(&word.as_str()),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Bool(on)) => *on,
        _ => false,
    };
    if set("modules_to_save", &[""]) || set("bias", &["none"]) || set("lora_bias", &[]) {
        return refused(
            "method",
            Text::fixed(
                "What is trained beside the matrices of LoRA (biases, whole modules) cannot be handed over",
                "LoRA 矩阵之外所训练的内容（偏置、整个模块）无法移交",
            ),
            Text::fixed(
                "set method.bias to \"none\", and leave modules_to_save and lora_bias away",
                "请将 method.bias 设为 \"none\"，并去掉 modules_to_save 与 lora_bias",
            ),
        );
    }
    if plan.config.vocabulary.is_off() && plan.extension.is_none() {
        return Ok(());
    }
    refused(
        "vocabulary",
        Text::fixed(
            "New tokens cannot be handed over: PEFT has no rows of their own for them",
            "新词元无法移交：PEFT 没有与之对应的单独词嵌入行",
        ),
        Text::fixed("train without them, or train here", "请不使用新词元，或在本机训练"),
    )
}

fn family(plan: &Plan) -> Result<()> {
    let family = plan.folder.family;
    if !OWN_CODE.contains(&family.id) {
        return Ok(());
    }
    let Text { en, zh } = family.name.clone();
    refused(
        "model.path",
        text!(
            "{en} cannot be handed over: transformers has no code for it",
            "{zh} 无法移交：transformers 没有它的代码"
        ),
        Text::fixed("train it here", "请在本机训练"),
    )
}

fn model(plan: &Plan) -> Result<()> {
    let model = &plan.config.model;
    few_bits(plan)?;
    if model.from_scratch {
        return refused(
            "model.from_scratch",
            Text::fixed("A model without weights cannot be handed over", "没有权重的模型无法移交"),
            Text::fixed("train it here", "请在本机训练"),
        );
    }
    if !model.overrides.is_empty() {
        return refused(
            "model.overrides",
            Text::fixed("Overrides of config.json cannot be handed over", "对 config.json 的覆盖无法移交"),
            Text::fixed("write them into the model's config.json", "请写入模型的 config.json"),
        );
    }
    if model.dtype == "f16" {
        return refused(
            "model.dtype",
            Text::fixed("A run in f16 cannot be handed over", "f16 训练无法移交"),
            Text::fixed(
                "set model.dtype to \"bf16\" or \"f32\"",
                "请将 model.dtype 设为 \"bf16\" 或 \"f32\"",
            ),
        );
    }
    if !plan.folder.dir.is_dir() || !plan.folder.dir.join("config.json").is_file() {
        return refused(
            "model.path",
            Text::fixed(
                "Only a model folder as transformers reads it can be handed over",
                "只能移交 transformers 可读取的模型文件夹",
            ),
            Text::fixed("export the model as a folder first (merged)", "请先将模型导出为文件夹（merged）"),
        );
    }
    Ok(())
}

/// QLoRA, where bitsandbytes packs the same matrices into the same codes.
fn few_bits(plan: &Plan) -> Result<()> {
    const ITEM: &str = "model.quantization";
    if plan.folder.config.raw().contains_key("quantization_config") {
        return refused(
            "model.path",
            Text::fixed(
                "A model whose files are in few bits already cannot be handed over",
                "文件本身已是低比特的模型无法移交",
            ),
            Text::fixed(
                "name the original model, and set model.quantization to \"nf4\"",
                "请使用原始模型，并将 model.quantization 设为 \"nf4\"",
            ),
        );
    }
    let whole = || {
        Text::fixed(
            "set model.quantization to \"none\"; FSDP and ZeRO-3 make room for the whole weights",
            "请将 model.quantization 设为 \"none\"；FSDP 和 ZeRO-3 能容纳完整权重",
        )
    };
    match Quantization::from_name(&plan.config.model.quantization)? {
        None => return Ok(()),
        Some(Quantization::Int8) => {
            return refused(
                ITEM,
                Text::fixed(
                    "A model that is kept in int8 cannot be handed over: bitsandbytes rounds the inputs of its int8 matrices, too",
                    "以 int8 保存的模型无法移交：bitsandbytes 的 int8 矩阵还会舍入其输入",
                ),
                Text::fixed("set model.quantization to \"nf4\"", "请将 model.quantization 设为 \"nf4\""),
            );
        }
        Some(Quantization::Nf4 | Quantization::Nf4Double) => {}
    }
    let model = plan.folder.model();
    if model.block_linears().any(|site| site.kind == SiteKind::Conv1d) {
        return refused(
            ITEM,
            Text::fixed(
                "This family's matrices cannot be handed over in few bits: transformers turns them before it packs them, so that \
                 other numbers share a scale",
                "该系列的矩阵无法以低比特移交：transformers 在量化前会将其转置，共享缩放因子的数不同",
            ),
            whole(),
        );
    }
    if model.block_linears().any(|site| site.path.contains(".experts.")) {
        return refused(
            ITEM,
            Text::fixed(
                "A mixture of experts cannot be handed over in few bits: transformers has all experts of a layer in one tensor, which \
                 bitsandbytes does not pack",
                "混合专家模型无法以低比特移交：transformers 将每层的所有专家合为一个张量，bitsandbytes 不会量化它",
            ),
            whole(),
        );
    }
    Ok(())
}

fn optimizer(plan: &Plan) -> Result<()> {
    let id = plan.optimizer.entry.id;
    if OPTIMIZERS.contains(&id) {
        return Ok(());
    }
    refused(
        "train.optimizer",
        text!(
            "Optimizer `{id}` cannot be handed over: torch has none that computes alike",
            "优化器 `{id}` 无法移交：torch 没有计算方式相同的优化器"
        ),
        Text::fixed("set train.optimizer to \"adamw\"", "请将 train.optimizer 设为 \"adamw\""),
    )
}

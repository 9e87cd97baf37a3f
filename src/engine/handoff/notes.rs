//! What is said to people: README in both languages, requirements, and what a report adds.

use protocol::{HandoffRequest, Text, text};

use super::{Cluster, Engine};
use crate::nn::Quantization;
use crate::plan::Plan;

const ENGLISH: &str = include_str!("files/README.md");
const CHINESE: &str = include_str!("files/README.zh.md");

/// Releases that the script was tried with.
const REQUIREMENTS: [&str; 6] = [
    "torch==2.15.0",
    "transformers==5.23.0",
    "peft==0.21.2",
    "accelerate==1.15.0",
    "safetensors==0.8.0",
    "pyarrow==26.0.1",
];

/// What packs matrices into few bits.
const FEW_BITS: [&str; 1] = ["bitsandbytes==0.50.0"];

pub fn requirements(engine: &Engine, plan: &Plan) -> String {
    let few_bits: &[&str] = if plan.folder.model().quantization.is_some() { &FEW_BITS } else { &[] };
    REQUIREMENTS.iter().chain(engine.requirements).chain(few_bits).map(|line| format!("{line}\n")).collect()
}

/// What the base is kept in, and how far that is what a run here would compute with.
fn base_in(plan: &Plan, dtype: &str) -> Text {
    let Some(kept) = plan.folder.model().quantization else {
        return Text::new(dtype.to_owned(), dtype.to_owned());
    };
    let (en, zh) = match kept {
        Quantization::Nf4Double => (
            ", whose scales are in 8 bits (where two codes are equally near, bitsandbytes may take the other one: losses \
             differed by 1e-4 in a test)",
            "，缩放因子为 8 位（两个编码同样接近时，bitsandbytes 可能取另一个：测试中损失相差 1e-4）",
        ),
        Quantization::Nf4 | Quantization::Int8 => ("", ""),
    };
    text!(
        "{dtype} (norms, embedding and head) and NF4 (the blocks' matrices, packed by bitsandbytes from their {dtype} values \
         while they are loaded{en}; it needs a GPU, a CPU is slow)",
        "{dtype}（归一化层、词嵌入与输出层）与 NF4（各层矩阵，加载时由 bitsandbytes 从 {dtype} 数值量化{zh}；需要显卡，用 CPU 会很慢）"
    )
}

/// README.md and README.zh.md.
pub fn readmes(
    engine: &Engine,
    cluster: &Cluster,
    plan: &Plan,
    reference: &str,
) -> [(&'static str, String); 2] {
    let configs: Vec<&str> = (engine.files)(cluster).into_iter().map(|(name, _)| name).collect();
    let configs = configs.into_iter().filter(|name| name.ends_with(".yaml")).collect::<Vec<_>>().join("`, `");
    let train = &plan.config.train;
    let dropout = plan.config.method.params.get("dropout").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    let values = [
        ("{name}", cluster.name.clone()),
        ("{alone}", (engine.alone)(cluster)),
        ("{together}", (engine.together)(cluster)),
        ("{configs}", configs),
        ("{base}", reference.to_owned()),
        ("{rows}", cluster.rows.to_string()),
        ("{step_rows}", cluster.step_rows.to_string()),
        ("{steps}", plan.total_steps.to_string()),
        ("{train_rows}", plan.survey.split.train.len().to_string()),
        ("{validation_rows}", plan.survey.split.validation.len().to_string()),
        ("{optimizer}", train.optimizer.clone()),
        ("{schedule}", train.scheduler.clone()),
        ("{rate}", train.learning_rate.to_string()),
        ("{clip}", cluster.clip.to_string()),
        ("{dropout}", dropout.to_string()),
        ("{version}", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let fill = |template: &str| {
        values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value))
    };
    let dtype = base_in(plan, if cluster.bf16 { "bf16" } else { "f32" });
    let filled = |template: &str, engine: &str, dtype: &str| {
        fill(template).replace("{engine}", engine).replace("{dtype}", dtype)
    };
    [
        ("README.md", filled(ENGLISH, &engine.name.en, &dtype.en)),
        ("README.zh.md", filled(CHINESE, &engine.name.zh, &dtype.zh)),
    ]
}

/// What the user should know beside what was written.
pub fn told(request: &HandoffRequest, plan: &Plan, cluster: &Cluster, reference: &str) -> Vec<Text> {
    let mut notes = Vec::new();
    if !request.copy_model {
        notes.push(text!(
            "The base model is not in the folder: there it is `{reference}`, beside the script or named with --model",
            "基础模型不在该文件夹中：在集群上为 `{reference}`，请放在脚本旁或用 --model 指定"
        ));
    }
    if plan.config.model.dtype == "auto" {
        notes.push(Text::fixed(
            "There it computes in bf16; set model.dtype to \"f32\" for f32",
            "集群上以 bf16 计算；如需 f32，请将 model.dtype 设为 \"f32\"",
        ));
    }
    if plan.folder.model().quantization.is_some() {
        notes.push(Text::fixed(
            "The blocks' matrices are packed there by bitsandbytes, as its README says: with torchrun and ZeRO-2 every card has all \
             of them, FSDP and ZeRO-3 spread them",
            "各层矩阵在集群上由 bitsandbytes 量化（见其中的 README）：torchrun 与 ZeRO-2 中每张卡都有全部矩阵，FSDP 与 ZeRO-3 将其分布到各卡",
        ));
    }
    if !plan.config.train.samples.is_empty() {
        notes.push(Text::fixed("Samples are not taken there", "集群上不会生成示例回答"));
    }
    let (all, rows) = (cluster.nodes * cluster.cards, cluster.step_rows);
    if !rows.is_multiple_of(all) {
        notes.push(text!(
            "A step's {rows} rows do not divide by {all} cards: some wait for others",
            "每步 {rows} 行不能被 {all} 张卡整除：部分卡需要等待"
        ));
    }
    notes
}

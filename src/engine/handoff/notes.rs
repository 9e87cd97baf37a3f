//! What is said to people: README in both languages, requirements, and what a report adds.

use protocol::{HandoffRequest, Text, text};

use super::{Cluster, Engine};
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

pub fn requirements(engine: &Engine) -> String {
    REQUIREMENTS.iter().chain(engine.requirements).map(|line| format!("{line}\n")).collect()
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
        ("{dtype}", if cluster.bf16 { "bf16" } else { "f32" }.to_owned()),
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
    let title = |text: &Text, chinese: bool| if chinese { text.zh.to_string() } else { text.en.to_string() };
    [
        ("README.md", fill(ENGLISH).replace("{engine}", &title(&engine.name, false))),
        ("README.zh.md", fill(CHINESE).replace("{engine}", &title(&engine.name, true))),
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

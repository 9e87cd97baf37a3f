//! LoRA's settings.

use protocol::{ParamKind, ParamSpec, Text};
use serde::Deserialize;
use serde_json::Value;

use super::init::Start;

/// Settings of a run file's `[method]`, checked.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Settings {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub targets: Value,
    pub rank_pattern: Value,
    pub alpha_pattern: Value,
    pub rslora: bool,
    pub dora: bool,
    pub loraplus_ratio: f64,
    pub bias: String,
    pub modules_to_save: Value,
    pub exclude: Value,
    pub layers: String,
    pub init: String,
    pub lora_bias: bool,
}

impl Settings {
    pub fn start(&self) -> Start {
        Start::from_word(&self.init).unwrap_or(Start::Uniform)
    }
}

pub fn params() -> Vec<ParamSpec> {
    [basics(), reach(), kinds()].concat()
}

fn spec(key: &str, name: Text, help: Text, kind: ParamKind, advanced: bool) -> ParamSpec {
    ParamSpec { key: key.into(), name, help, kind, advanced }
}

/// What most people set.
fn basics() -> Vec<ParamSpec> {
    vec![
        spec(
            "rank",
            Text::fixed("Rank", "秩"),
            Text::fixed("Width of the small matrices", "小矩阵的宽度"),
            ParamKind::Integer { default: 8, min: 1, max: 4096 },
            false,
        ),
        spec(
            "alpha",
            Text::fixed("Alpha", "缩放 alpha"),
            Text::fixed("What is learned is scaled by alpha / rank", "学到的变化按 alpha / 秩 缩放"),
            ParamKind::Number { default: 16.0, min: 1e-6, max: 1e6 },
            false,
        ),
        spec(
            "dropout",
            Text::fixed("Dropout", "随机丢弃"),
            Text::fixed("Share of the inputs left out while training", "训练时随机忽略的输入比例"),
            ParamKind::Number { default: 0.0, min: 0.0, max: 0.95 },
            false,
        ),
        spec(
            "targets",
            Text::fixed("Target modules", "目标模块"),
            Text::fixed(
                "Roles, module names or globs; q, k and v also mean the parts of a matrix that holds all three",
                "角色、模块名或通配符；q、k、v 也指合并矩阵中的对应部分",
            ),
            ParamKind::Targets { default: "auto".into() },
            false,
        ),
    ]
}

/// What is adapted.
fn reach() -> Vec<ParamSpec> {
    vec![
        spec(
            "exclude",
            Text::fixed("Left out", "排除"),
            Text::fixed("What the targets name but should stay as it is", "目标中不需要训练的部分"),
            ParamKind::Targets { default: String::new() },
            true,
        ),
        spec(
            "layers",
            Text::fixed("Layers", "层"),
            Text::fixed(
                "all, first 4, last 8, or numbers as in 0-3, 8",
                "all、first 4、last 8，或编号，如 0-3, 8",
            ),
            ParamKind::Text { default: "all".into() },
            true,
        ),
        spec(
            "rank_pattern",
            Text::fixed("Rank by module", "按模块设秩"),
            Text::fixed("Pattern → rank, where it differs", "模式 → 秩，用于个别模块"),
            ParamKind::Patterns,
            true,
        ),
        spec(
            "alpha_pattern",
            Text::fixed("Alpha by module", "按模块设 alpha"),
            Text::fixed("Pattern → alpha, where it differs", "模式 → alpha，用于个别模块"),
            ParamKind::Patterns,
            true,
        ),
        spec(
            "modules_to_save",
            Text::fixed("Modules trained whole", "整体训练的模块"),
            Text::fixed("Names of modules that are copied and trained in full", "复制后整体训练的模块名"),
            ParamKind::Targets { default: String::new() },
            true,
        ),
        spec(
            "bias",
            Text::fixed("Train biases", "训练偏置"),
            Text::fixed("none, those of the targets, or all", "不训练、只训练目标模块的、或全部"),
            ParamKind::Choice {
                default: "none".into(),
                choices: vec!["none".into(), "lora_only".into(), "all".into()],
            },
            true,
        ),
        spec(
            "lora_bias",
            Text::fixed("Bias beside B", "B 的偏置"),
            Text::fixed(
                "B learns a bias, too; for layers that have one",
                "B 同时学习偏置，用于本身有偏置的层",
            ),
            ParamKind::Switch { default: false },
            true,
        ),
    ]
}

/// How it begins, is scaled and learns.
fn kinds() -> Vec<ParamSpec> {
    vec![
        spec(
            "init",
            Text::fixed("Start", "初始化"),
            Text::fixed(
                "How the small matrices begin. pissa and olora take the main part of the weights and learn faster; the result is saved as LoRA of twice the rank",
                "小矩阵的初始值。pissa 和 olora 取权重的主要部分，学得更快；结果保存为两倍秩的 LoRA",
            ),
            ParamKind::Choice {
                default: "default".into(),
                choices: Start::WORDS.iter().map(|(word, _)| (*word).into()).collect(),
            },
            true,
        ),
        spec(
            "rslora",
            Text::fixed("Rank-stabilised", "秩稳定缩放"),
            Text::fixed("Scale by alpha / √rank: better for high ranks", "按 alpha / √秩 缩放，适合高秩"),
            ParamKind::Switch { default: false },
            true,
        ),
        spec(
            "dora",
            Text::fixed("DoRA", "DoRA"),
            Text::fixed(
                "Learns length and direction of weights apart; slower",
                "分别学习权重的长度和方向；较慢",
            ),
            ParamKind::Switch { default: false },
            true,
        ),
        spec(
            "loraplus_ratio",
            Text::fixed("LoRA+ ratio", "LoRA+ 倍率"),
            Text::fixed(
                "Learning rate of B over that of A; 1 is plain LoRA",
                "B 与 A 的学习率之比；1 为普通 LoRA",
            ),
            ParamKind::Number { default: 1.0, min: 1e-3, max: 1e3 },
            true,
        ),
    ]
}

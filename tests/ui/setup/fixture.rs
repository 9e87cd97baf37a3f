//! A made-up Qwen of 24 layers, a catalogue like the engine's, and an engine that answers estimates by its rules.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::config::RunConfig;
use protocol::{
    Catalog, Command, Descriptor, DeviceKind, DeviceReport, Estimate, Event, LinearReport, MemoryForecast,
    ModelReport, ParamKind, ParamSpec, Preset, RequestId, TargetReport, Text, UserError,
};
use serde_json::Value;
use ui::testing::FakeEngine;

pub const LAYERS: u64 = 24;

const MATRICES: [(&str, &str, [u64; 2]); 7] = [
    ("self_attn.q_proj", "q", [896, 896]),
    ("self_attn.k_proj", "k", [128, 896]),
    ("self_attn.v_proj", "v", [128, 896]),
    ("self_attn.o_proj", "o", [896, 896]),
    ("mlp.gate_proj", "gate", [4864, 896]),
    ("mlp.up_proj", "up", [4864, 896]),
    ("mlp.down_proj", "down", [896, 4864]),
];

pub fn report(layers: u64) -> ModelReport {
    let embedding = [151_936, 896];
    let linear = |path: String, role: &str, shape, layer| LinearReport {
        path,
        shape,
        role: role.into(),
        layer,
        slices: Vec::new(),
    };
    let mut linears = vec![linear("model.embed_tokens".into(), "embed", embedding, None)];
    for layer in 0..layers {
        for (name, role, shape) in MATRICES {
            linears.push(linear(format!("model.layers.{layer}.{name}"), role, shape, Some(layer)));
        }
    }
    ModelReport {
        path: "/models/Qwen2.5-0.5B-Instruct".into(),
        family: "qwen2".into(),
        class: "Qwen2ForCausalLM".into(),
        variant: None,
        parameters: 494_032_768,
        file_bytes: 988_097_824,
        dtypes: BTreeMap::from([("bf16".into(), 290)]),
        layers,
        hidden_size: 896,
        vocab_size: 151_936,
        context_length: 32_768,
        tied_head: true,
        linears,
        default_targets: ["q", "k", "v", "o", "gate", "up", "down"].map(String::from).to_vec(),
        tokenizer: Some("tokenizer.json, 151665 tokens".into()),
        template: Some("tokenizer_config.json".into()),
        template_reason: None,
        licence_files: vec!["LICENSE".into()],
        notes: Vec::new(),
    }
}

pub fn spec(key: &str, en: &'static str, zh: &'static str, kind: ParamKind, advanced: bool) -> ParamSpec {
    ParamSpec {
        key: key.into(),
        name: Text::fixed(en, zh),
        help: Text::fixed("What it does", "说明"),
        kind,
        advanced,
    }
}

fn descriptor(id: &str, name: Text, help: Text, params: Vec<ParamSpec>) -> Descriptor {
    Descriptor { id: id.into(), name, help, params }
}

pub fn catalog() -> Catalog {
    let lora = vec![
        spec("rank", "Rank", "秩", ParamKind::Integer { default: 8, min: 1, max: 4096 }, false),
        spec("alpha", "Alpha", "缩放 alpha", ParamKind::Number { default: 16.0, min: 1e-6, max: 1e6 }, false),
        spec(
            "dropout",
            "Dropout",
            "随机丢弃",
            ParamKind::Number { default: 0.0, min: 0.0, max: 0.95 },
            false,
        ),
        spec("targets", "Target modules", "目标模块", ParamKind::Targets { default: "auto".into() }, false),
        spec("rank_pattern", "Rank by module", "按模块设秩", ParamKind::Patterns, true),
        spec("alpha_pattern", "Alpha by module", "按模块设 alpha", ParamKind::Patterns, true),
        spec("rslora", "Rank-stabilised", "秩稳定缩放", ParamKind::Switch { default: false }, true),
        spec(
            "bias",
            "Train biases",
            "训练偏置",
            ParamKind::Choice {
                default: "none".into(),
                choices: ["none", "lora_only", "all"].map(String::from).to_vec(),
            },
            true,
        ),
        spec(
            "modules_to_save",
            "Modules trained whole",
            "整体训练的模块",
            ParamKind::Targets { default: String::new() },
            true,
        ),
        spec("comment", "Comment", "备注", ParamKind::Text { default: String::new() }, true),
    ];
    let schedule = |id: &str, en, zh| {
        descriptor(id, Text::fixed(en, zh), Text::fixed("How it falls", "如何下降"), Vec::new())
    };
    Catalog {
        families: vec![descriptor("qwen2", Text::fixed("Qwen2", "Qwen2"), Text::fixed("", ""), Vec::new())],
        methods: vec![
            descriptor(
                "full",
                Text::fixed("Full fine-tuning", "全量微调"),
                Text::fixed(
                    "Trains every parameter. Learns the most and needs the most memory: 16 bytes a parameter",
                    "训练全部参数。学得最多，也最占内存：每个参数 16 字节",
                ),
                Vec::new(),
            ),
            descriptor(
                "lora",
                Text::fixed("LoRA", "LoRA"),
                Text::fixed(
                    "Freezes the model and learns two small matrices beside each chosen one. The usual choice",
                    "冻结模型，在每个选中的矩阵旁学习两个小矩阵。通常选它",
                ),
                lora,
            ),
        ],
        schedules: vec![schedule("cosine", "Cosine", "余弦"), schedule("linear", "Linear", "线性")],
        optimizers: vec![schedule("adamw", "AdamW", "AdamW")],
        recipes: vec![Preset {
            id: "gentle".into(),
            name: Text::fixed("Gentle", "温和"),
            help: Text::fixed("A low rate for small data", "小数据集使用较低学习率"),
            source: "[method]\nkind = \"lora\"\nrank = 4\n[train]\nlearning_rate = 1e-5\n".into(),
        }],
        ..Catalog::default()
    }
}

pub fn ready(note: Option<Text>) -> Event {
    let device = DeviceReport {
        kind: DeviceKind::Cpu,
        index: 0,
        name: "CPU (2 cores)".into(),
        memory_bytes: 24 << 30,
        note,
    };
    Event::Ready { catalog: Box::new(catalog()), device, devices: Vec::new() }
}

/// What the engine's rules make of a word, told in another way than the window's code.
fn hits(word: &str, linear: &LinearReport) -> bool {
    match word {
        "auto" | "all-linear" => linear.layer.is_some(),
        _ if linear.role == word => true,
        _ if word.contains('*') => {
            let mut rest = linear.path.as_str();
            let parts: Vec<&str> = word.split('*').collect();
            let Some(after) = rest.strip_prefix(parts[0]) else { return false };
            rest = after;
            for part in &parts[1..parts.len() - 1] {
                match rest.find(part) {
                    Some(at) => rest = &rest[at + part.len()..],
                    None => return false,
                }
            }
            rest.ends_with(parts[parts.len() - 1])
        }
        _ => linear.path == word || linear.path.ends_with(&format!(".{word}")),
    }
}

fn pattern(config: &RunConfig, table: &str, linear: &LinearReport) -> Option<f64> {
    let table = config.method.params.get(table)?.as_object()?;
    let hit = table.iter().filter(|(word, _)| hits(word, linear)).max_by_key(|(word, _)| word.len());
    hit?.1.as_f64()
}

pub fn estimate(config: &RunConfig, report: &ModelReport, steps: Option<u64>) -> Estimate {
    let param = |key: &str, default: Value| config.method.params.get(key).cloned().unwrap_or(default);
    let targets = param("targets", "auto".into());
    let words: Vec<String> = match &targets {
        Value::String(word) => vec![word.clone()],
        list => list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    let full = config.method.kind == "full";
    let chosen = report.linears.iter().filter(|linear| !full && words.iter().any(|word| hits(word, linear)));
    let targets: Vec<TargetReport> = chosen
        .map(|linear| {
            let rank = pattern(config, "rank_pattern", linear)
                .or(param("rank", 8.into()).as_f64())
                .unwrap_or(0.0) as u64;
            let alpha = pattern(config, "alpha_pattern", linear)
                .or(param("alpha", 16.into()).as_f64())
                .unwrap_or(0.0);
            let parameters = rank * (linear.shape[0] + linear.shape[1]);
            TargetReport { path: linear.path.clone(), rank, alpha, parameters }
        })
        .collect();
    let trainable =
        if full { report.parameters } else { targets.iter().map(|target| target.parameters).sum() };
    let mut problems = Vec::new();
    if targets.is_empty() && !full {
        let none = Text::fixed("No matrix of this model matches", "该模型中没有与此匹配的矩阵");
        problems.push(UserError::bad_input(none).at_item("method.targets"));
    }
    let (weights, activations) = (report.parameters * 2, 700 << 20);
    let forecast = MemoryForecast {
        weights,
        trainable: trainable * 4,
        gradients: trainable * 4,
        optimizer: trainable * 8,
        activations,
        head: 300 << 20,
        total: weights + trainable * 16 + activations + (300 << 20),
        available: 20 << 30,
        fits: true,
        inputs: activations / 2,
        graphs: activations / 2,
        ..MemoryForecast::default()
    };
    let steps = steps.unwrap_or(300);
    let warm = 0.05;
    let rate = |part: f64| {
        let factor = if part < warm {
            part / warm
        } else {
            0.5 * (1.0 + (std::f64::consts::PI * (part - warm) / (1.0 - warm)).cos())
        };
        config.train.learning_rate * factor
    };
    Estimate {
        parameters: report.parameters,
        trainable,
        adapter_bytes: trainable * 4,
        forecast,
        targets,
        steps,
        learning_rates: (0..256).map(|k| rate(f64::from(k) / 255.0)).collect(),
        problems,
    }
}

/// Answers inspections and estimates for a model of so many layers.
pub fn engine(layers: u64) -> FakeEngine {
    let report = report(layers);
    FakeEngine::new(move |command| match command {
        Command::ListRuns { request, .. } => {
            vec![Event::Runs { request: *request, dir: PathBuf::from("/runs"), runs: Vec::new() }]
        }
        Command::Inspect { request, .. } => vec![inspected(*request, report.clone())],
        Command::Estimate { request, config, steps, .. } => {
            vec![Event::Estimated {
                request: *request,
                estimate: Box::new(estimate(config, &report, *steps)),
            }]
        }
        _ => Vec::new(),
    })
}

pub fn inspected(request: RequestId, report: ModelReport) -> Event {
    Event::Inspected { request, report: Box::new(report) }
}

//! `bench`: training speed and memory of a model folder, or of a made-up model with random weights.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use protocol::config::MethodConfig;
use protocol::{BenchReport, BenchRequest, BenchShape, Command, Event, Result, Text};
use serde_json::{Map, Value};

use super::client::{Client, View};
use super::flags::{OverrideFlags, model_ref};
use super::format;
use super::screen::Screen;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["model", "shape"]))]
pub struct Flags {
    /// Model folder in Hugging Face's layout, or hf:org/name@revision
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// A made-up model in the shape of a published one
    #[arg(long, value_enum)]
    pub shape: Option<Shape>,
    #[command(flatten)]
    pub sizes: Sizes,
    /// Rows a step
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub batch_size: u64,
    /// Tokens a row
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub length: u64,
    /// Steps that are measured
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub steps: u64,
    /// Steps before the measured ones
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub warmup: u64,
    /// What is trained
    #[arg(long, default_value = "lora", value_parser = ["lora", "full"])]
    pub method: String,
    /// Rank of the LoRA
    #[arg(long, value_name = "R", default_value_t = 8)]
    pub rank: u64,
    /// Layers of the LoRA: all-linear, auto, or roles separated by commas
    #[arg(long, default_value = "all-linear")]
    pub targets: String,
    /// Compute in this type (auto: bf16 on CUDA, f32 on the CPU)
    #[arg(long, default_value = "auto", value_parser = ["auto", "f32", "bf16", "f16"])]
    pub dtype: String,
}

/// Shapes of published models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    Tiny,
    #[value(name = "60m")]
    Sixty,
    #[value(name = "qwen2.5-0.5b")]
    Qwen,
    #[value(name = "llama-3.2-1b")]
    Llama1b,
    #[value(name = "llama-3.1-8b")]
    Llama8b,
}

impl Shape {
    fn sizes(self) -> BenchShape {
        let [hidden_size, intermediate_size, layers, heads, kv_heads, vocab_size] = match self {
            Self::Tiny => [128, 352, 4, 4, 2, 2048],
            Self::Sixty => [512, 1536, 14, 8, 4, 32_000],
            Self::Qwen => [896, 4864, 24, 14, 2, 151_936],
            Self::Llama1b => [2048, 8192, 16, 32, 8, 128_256],
            Self::Llama8b => [4096, 14_336, 32, 32, 8, 128_256],
        };
        BenchShape { hidden_size, intermediate_size, layers, heads, kv_heads, vocab_size }
    }
}

/// Numbers that replace those of `--shape`.
#[derive(Debug, Default, Args)]
pub struct Sizes {
    /// Replace the shape's hidden size
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub hidden_size: Option<u64>,
    /// Replace the shape's MLP size
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub intermediate_size: Option<u64>,
    /// Replace the shape's number of blocks
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub layers: Option<u64>,
    /// Replace the shape's number of attention heads
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub heads: Option<u64>,
    /// Replace the shape's number of key/value heads
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub kv_heads: Option<u64>,
    /// Replace the shape's vocabulary size
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub vocab_size: Option<u64>,
}

impl Sizes {
    fn applied_to(&self, shape: BenchShape) -> BenchShape {
        BenchShape {
            hidden_size: self.hidden_size.unwrap_or(shape.hidden_size),
            intermediate_size: self.intermediate_size.unwrap_or(shape.intermediate_size),
            layers: self.layers.unwrap_or(shape.layers),
            heads: self.heads.unwrap_or(shape.heads),
            kv_heads: self.kv_heads.unwrap_or(shape.kv_heads),
            vocab_size: self.vocab_size.unwrap_or(shape.vocab_size),
        }
    }
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let method = method(&flags);
    let model = match &flags.model {
        Some(path) => Some(model_ref(path, &[], flags.dtype.clone(), OverrideFlags::default())?),
        None => None,
    };
    let bench = BenchRequest {
        model,
        shape: flags.shape.map(|shape| flags.sizes.applied_to(shape.sizes())),
        dtype: flags.dtype,
        method,
        batch_size: flags.batch_size,
        length: flags.length,
        steps: flags.steps,
        warmup: flags.warmup,
    };
    client.request(&mut Figures, screen, |request| Command::Bench { request, bench })
}

/// The method as a run file would say it.
fn method(flags: &Flags) -> MethodConfig {
    let mut params = Map::new();
    if flags.method == "lora" {
        let targets = match flags.targets.as_str() {
            word @ ("auto" | "all-linear") => Value::from(word),
            list => list.split(',').map(str::trim).filter(|role| !role.is_empty()).collect(),
        };
        params.insert("rank".into(), flags.rank.into());
        params.insert("targets".into(), targets);
    }
    MethodConfig { kind: flags.method.clone(), init_from: PathBuf::new(), params }
}

struct Figures;

impl View for Figures {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Benched { report, .. } = event {
            let drawn = figures(report, screen);
            screen.line(&drawn);
        }
    }
}

fn figures(report: &BenchReport, screen: &Screen) -> String {
    let flops = report.tokens_per_s * report.model_flops_per_token;
    let of_all = |seconds: f64| {
        let all: f64 = report.phases.iter().map(|(_, seconds)| seconds).sum();
        100.0 * seconds / all.max(f64::EPSILON)
    };
    let facts = [
        (Text::fixed("device", "设备"), format!("{}, {}", report.device, report.dtype)),
        (Text::fixed("parameters", "参数量"), format::parameters(report.parameters)),
        (Text::fixed("trained", "可训练参数"), format::parameters(report.trainable_parameters)),
        (Text::fixed("tokens/s", "词元/秒"), format!("{:.1}", report.tokens_per_s)),
        (Text::fixed("model TFLOP/s", "模型算力 TFLOP/s"), format!("{:.3}", flops / 1e12)),
        (Text::fixed("s/step, median", "每步秒数（中位数）"), median(&report.seconds_per_step)),
        (Text::fixed("s to first step", "首步用时（秒）"), format!("{:.2}", report.seconds_to_first_step)),
        (Text::fixed("peak memory", "内存峰值"), format::bytes(report.peak_memory_bytes)),
        (
            Text::fixed("last loss", "末步损失"),
            report.losses.last().map_or("–".into(), |loss| format!("{loss:.6}")),
        ),
    ];
    let named = facts.into_iter().map(|(name, value)| vec![screen.pick(&name), value]);
    let phases = report.phases.iter().map(|(name, seconds)| {
        vec![
            format!("  {}", screen.pick(&phase(name))),
            format!("{seconds:.4} s ({:.0} %)", of_all(*seconds)),
        ]
    });
    format::facts(named.chain(phases).collect())
}

/// The name of a part of a step.
fn phase(id: &str) -> Text {
    match id {
        "data" => Text::fixed("rows", "读取数据"),
        "forward" => Text::fixed("forward", "前向"),
        "head" => Text::fixed("head and loss", "输出层与损失"),
        "backward" => Text::fixed("backward", "反向"),
        "optimizer" => Text::fixed("optimizer", "优化器"),
        other => Text::new(other, other),
    }
}

fn median(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).map_or_else(|| "–".into(), |middle| format!("{middle:.4}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(arguments: &[&str]) -> Flags {
        Line::try_parse_from(std::iter::once(&"bench").chain(arguments)).unwrap().flags
    }

    #[test]
    fn sizes_replace_those_of_the_shape() {
        let flags = parse(&["--shape", "llama-3.2-1b", "--layers", "2"]);
        let shape = flags.sizes.applied_to(flags.shape.unwrap().sizes());
        assert_eq!((shape.layers, shape.hidden_size), (2, 2048));
    }

    #[test]
    fn the_method_is_said_as_in_a_run_file() {
        let lora = method(&parse(&["--shape", "tiny", "--targets", "q, v", "--rank", "4"]));
        assert_eq!(
            serde_json::to_value(&lora.params).unwrap(),
            serde_json::json!({"rank": 4, "targets": ["q", "v"]})
        );
        assert!(method(&parse(&["--shape", "tiny", "--method", "full"])).params.is_empty());
    }
}

//! `export`: writes a folder that other programs load, and checks it against the live model.

use std::path::PathBuf;

use clap::Args;
use protocol::{
    Command, Event, ExportReport, ExportRequest, ExportTarget, LogitDifference, MergeInto, MergeReport,
    ModelRef, Result, Text, VerifyReport, text,
};

use super::client::{Client, View};
use super::flags::{OverrideFlags, absolute, model_ref};
use super::screen::Screen;
use super::{format, values};

#[derive(Debug, Args)]
pub struct Flags {
    /// Model folder in Hugging Face's layout, hf:org/name@revision, or a GGUF file
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Adapter folder in PEFT's layout; may be given again where several adapters are of use
    #[arg(long, value_name = "DIR")]
    pub adapter: Vec<PathBuf>,
    /// Factors of the adapters in the merged model; a negative one takes a task away
    #[arg(long, value_name = "W,…", value_delimiter = ',', allow_negative_numbers = true)]
    pub weights: Vec<f64>,
    /// What to write: merged (a whole model), adapter, gguf (for llama.cpp and Ollama), opendelta (for CPM-Bee), or
    /// chatglm (P-tuning v2 for THUDM's scripts)
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// Type of the written weights; q8_0 for gguf only
    #[arg(long, default_value = "keep", value_parser = ["keep", "f32", "f16", "bf16", "q8_0"])]
    pub dtype: String,
    /// Folder to write; must not hold anything yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Weights that an adapter of a quantised model is merged into: original (more precise), or dequantised (what it
    /// was trained on)
    #[arg(long, default_value = "original", value_parser = ["original", "dequantised"])]
    pub merge_into: String,
    /// How the model's matrices were kept when the adapter was trained (default: as the adapter remembers)
    #[arg(long, default_value = "none", value_parser = ["none", "nf4", "nf4-double", "int8"])]
    pub quantization: String,
    /// Load what was written and compare it with the live model
    #[arg(long)]
    pub verify: bool,
    /// Rows to compare on, as for `score` (default: the run's own validation rows)
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub rows: Option<PathBuf>,
    /// Largest file to write
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = values::size)]
    pub shard_size: u64,
    #[command(flatten)]
    pub overrides: OverrideFlags,
}

/// Exit code 1 when the export does not behave as the live model.
pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let export = ExportRequest {
        model: ModelRef {
            weights: flags.weights,
            quantization: flags.quantization,
            ..model_ref(&flags.model, &flags.adapter, "auto".into(), flags.overrides)?
        },
        target: ExportTarget(flags.to),
        dtype: flags.dtype,
        out: absolute(&flags.out)?,
        merge_into: MergeInto::from_name(&flags.merge_into).unwrap_or_default(),
        verify: flags.verify,
        rows: flags.rows.as_deref().map(absolute).transpose()?,
        shard_bytes: flags.shard_size,
    };
    client.request(&mut Report, screen, |request| Command::Export { request, export })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Exported { report, .. } = event {
            screen.line(&report.dir.display().to_string());
            let words = written(report, screen);
            screen.say(&words);
            for note in &report.notes {
                let words = screen.pick(note);
                screen.say(&words);
            }
            if let Some(verify) = &report.verify {
                let words = verified(verify, screen);
                screen.line(&words);
            }
            if let Some(merge) = &report.merge {
                let lines = merges(merge, screen);
                screen.line(&lines.join("\n"));
            }
        }
    }
}

/// Both ways to merge, by how far each is from what was trained.
fn merges(merge: &MergeReport, screen: &Screen) -> [String; 3] {
    let (kind, rows, tokens) = (&merge.quantization, merge.rows, format::count(merge.tokens));
    let head = text!(
        "Against the {kind} model as it was trained, on {rows} rows, {tokens} tokens:",
        "与训练时的 {kind} 模型相比（{rows} 行，{tokens} 个词元）："
    );
    let line = |into: MergeInto, difference: &LogitDifference| {
        let (max, mean) = (difference.max, difference.mean);
        let (mut en, mut zh) = (into.name().to_owned(), into.name().to_owned());
        if into == merge.into {
            (en, zh) = (format!("{en} (written)"), format!("{zh}（已写入）"));
        }
        if into == merge.nearer() {
            (en, zh) = (format!("{en} (nearer)"), format!("{zh}（更接近）"));
        }
        screen.pick(&Text::new(
            format!("  {en}: logits differ by {max:.3e} at most and {mean:.3e} on average"),
            format!("  {zh}：logits 最大差 {max:.3e}，平均差 {mean:.3e}"),
        ))
    };
    [
        screen.pick(&head),
        line(MergeInto::Original, &merge.original),
        line(MergeInto::Dequantised, &merge.dequantised),
    ]
}

fn written(report: &ExportReport, screen: &Screen) -> String {
    let (files, bytes, took) = (report.files.len(), format::bytes(report.bytes), report.seconds);
    screen
        .pick(&text!("{files} files, {bytes}, in {took:.1} s", "{files} 个文件，{bytes}，用时 {took:.1} 秒"))
}

fn verified(verify: &VerifyReport, screen: &Screen) -> String {
    let (rows, tokens) = (verify.rows, format::count(verify.tokens));
    let (max, mean) = (verify.max_abs_logit_difference, verify.mean_abs_logit_difference);
    let (allowed, equal, total) = (verify.allowed_difference, verify.greedy_equal, verify.greedy_total);
    let figures = screen.pick(&text!(
        "{rows} rows, {tokens} tokens: logits differ by {max:.3e} at most and {mean:.3e} on average \
         (allowed {allowed:.3e}); {equal} of {total} greedy answers are the same",
        "{rows} 行，{tokens} 个词元：logits 最大差 {max:.3e}，平均差 {mean:.3e}（允许 {allowed:.3e}）；\
         {total} 个贪心回答中有 {equal} 个相同"
    ));
    let judgement = match verify.passed {
        true => text!("✓ The export behaves as the live model.", "✓ 导出结果与当前模型一致。"),
        false => text!("✗ THE EXPORT DOES NOT BEHAVE AS THE LIVE MODEL.", "✗ 导出结果与当前模型不一致。"),
    };
    format!("{figures}\n{}", screen.pick(&judgement))
}

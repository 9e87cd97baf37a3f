//! `eval`: a model against a set of questions, and the tables of earlier evaluations.

use std::path::PathBuf;

use clap::Args;
use protocol::{
    Command, Event, Measured, ModelRef, Result, SuiteLevel, SuiteMetric, SuiteReport, SuiteRequest, SuiteRow,
    Text, text,
};
use serde_json::{Map, Value};

use super::client::{Client, View};
use super::flags::{OverrideFlags, QuantizationFlag, absolute, model_ref};
use super::screen::Screen;
use super::{format, values};

#[derive(Debug, Args)]
pub struct Flags {
    /// perplexity, mmlu, ceval, cmmlu, truthfulqa, blimp, gsm8k, accuracy, bleu, rouge or sql
    #[arg(long, value_name = "SUITE", required_unless_present = "list")]
    pub suite: Option<String>,
    /// The questions: a folder or file in the suite's published layout, or any dataset where it is about one's own
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub data: Option<PathBuf>,
    /// Model folder in Hugging Face's layout, or hf:org/name@revision
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub model: Option<PathBuf>,
    /// Adapter folder in PEFT's layout; may be given again where several adapters are of use
    #[arg(long, value_name = "DIR")]
    pub adapter: Vec<PathBuf>,
    /// Factors of the adapters, when all of them act together; a negative one takes a task away
    #[arg(long, value_name = "W,…", value_delimiter = ',', allow_negative_numbers = true)]
    pub weights: Vec<f64>,
    /// Work the adapters into the loaded matrices: faster answers, nothing is written
    #[arg(long)]
    pub merged: bool,
    /// Ask the model without its adapters, too, and tell the difference
    #[arg(long, requires = "adapter")]
    pub compare: bool,
    /// Questions with their answers in front; the same as --set shots=N
    #[arg(long, value_name = "N")]
    pub shots: Option<u64>,
    /// Questions of each subject at most; 0: all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: u64,
    /// A setting of the suite; the value is JSON, or else text; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::override_pair)]
    pub set: Vec<(String, Value)>,
    /// Tokens that go through the model at once; 0: as many as serve
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub batch_tokens: u64,
    /// Compute in this type (auto: bf16 on CUDA, f32 on the CPU)
    #[arg(long, default_value = "auto", value_parser = ["auto", "f32", "bf16", "f16"])]
    pub dtype: String,
    #[command(flatten)]
    pub quantization: QuantizationFlag,
    #[command(flatten)]
    pub overrides: OverrideFlags,
    /// Folder for report.json and items.jsonl; an unfinished evaluation in it goes on
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Show earlier evaluations below this folder (default: where runs go)
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub list: Option<Option<PathBuf>>,
    /// Write what is shown as a table, too: .csv or .md
    #[arg(id = "shown_table", long = "table", value_name = "FILE")]
    pub table: Option<PathBuf>,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let table = flags.table.as_deref().map(absolute).transpose()?;
    let mut shown = Reports::default();
    let code = match &flags.list {
        Some(dir) => {
            let dir = dir.as_deref().map(absolute).transpose()?;
            client.request(&mut shown, screen, |request| Command::ListEvaluations { request, dir })?
        }
        None => {
            let evaluate = Box::new(flags.resolve()?);
            client.request(&mut shown, screen, |request| Command::Evaluate { request, evaluate })?
        }
    };
    let Some(out) = table else { return Ok(code) };
    let dirs = shown.dirs;
    client.request(&mut Written, screen, |request| Command::WriteEvaluations { request, dirs, out })
}

impl Flags {
    fn resolve(self) -> Result<SuiteRequest> {
        let mut settings: Map<String, Value> = self.set.into_iter().collect();
        if let Some(shots) = self.shots {
            settings.insert("shots".into(), shots.into());
        }
        let model = model_ref(&self.model.unwrap_or_default(), &self.adapter, self.dtype, self.overrides)?;
        Ok(SuiteRequest {
            suite: self.suite.unwrap_or_default(),
            data: absolute(&self.data.unwrap_or_default())?,
            model: ModelRef {
                quantization: self.quantization.quantization,
                weights: self.weights,
                merged: self.merged,
                ..model
            },
            compare: self.compare,
            settings,
            limit: self.limit,
            batch_tokens: self.batch_tokens,
            out: self.out.as_deref().map(absolute).transpose()?,
        })
    }
}

/// Reports as tables.
#[derive(Default)]
struct Reports {
    /// Where those that were shown are kept.
    dirs: Vec<PathBuf>,
}

impl View for Reports {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        self.note(event);
        match event {
            Event::Evaluated { report, .. } => show(report, screen),
            Event::Evaluations { dir, reports, .. } => {
                if reports.is_empty() {
                    let dir = dir.display();
                    screen.tell(&text!("No evaluation in {dir}", "{dir} 中没有评测"));
                }
                for report in reports {
                    heading(report, screen);
                    figures(&report.rows[..report.rows.len().min(1)], screen);
                }
            }
            _ => {}
        }
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        self.note(event);
        screen.json(event);
    }
}

impl Reports {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Evaluated { report, .. } => self.dirs.push(report.dir.clone()),
            Event::Evaluations { reports, .. } => {
                self.dirs.extend(reports.iter().map(|report| report.dir.clone()));
            }
            _ => {}
        }
    }
}

/// Says where a table was written.
struct Written;

impl View for Written {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::EvaluationsWritten { path, .. } = event {
            let path = path.display();
            screen.tell(&text!("Written: {path}", "已写入：{path}"));
        }
    }
}

fn show(report: &SuiteReport, screen: &mut Screen) {
    figures(&report.rows, screen);
    for note in &report.notes {
        screen.tell(note);
    }
    let (dir, took) = (report.dir.display(), format::clock(Some(report.seconds)));
    screen.tell(&text!(
        "In brackets: 95 % confidence intervals. {took}, kept in {dir}",
        "方括号内为 95% 置信区间。用时 {took}，保存于 {dir}"
    ));
}

fn heading(report: &SuiteReport, screen: &mut Screen) {
    let adapters = report.adapters.iter().map(|dir| format!(" + {}", dir.display())).collect::<String>();
    let (when, model) = (&report.when, report.model.display());
    screen.line(&format!("{when}  {model}{adapters}"));
}

/// One of a metric's figures.
type Figure = fn(&SuiteMetric) -> Option<Measured>;

/// A line for each figure of each row.
fn figures(rows: &[SuiteRow], screen: &mut Screen) {
    let any = |of: Figure| rows.iter().flat_map(|row| &row.metrics).any(|metric| of(metric).is_some());
    let columns: [(Text, Figure); 3] = [
        (Text::fixed("base", "原模型"), |metric| metric.base),
        (Text::fixed("tuned", "微调后"), |metric| metric.tuned),
        (Text::fixed("difference", "差"), |metric| metric.difference),
    ];
    let columns: Vec<_> = columns.into_iter().filter(|(_, of)| any(*of)).collect();
    let fixed = [Text::fixed("name", "名称"), Text::fixed("items", "题数"), Text::fixed("figure", "指标")];
    let heads: Vec<String> =
        fixed.iter().chain(columns.iter().map(|(head, _)| head)).map(|head| screen.pick(head)).collect();
    let mut lines = Vec::new();
    for row in rows {
        let indent = match row.level {
            SuiteLevel::Total => "",
            SuiteLevel::Group => "  ",
            SuiteLevel::Subject => "    ",
        };
        for (index, metric) in row.metrics.iter().enumerate() {
            let name =
                if index == 0 { format!("{indent}{}", format::printable(&row.name)) } else { String::new() };
            let items = if index == 0 { format::count(row.items) } else { String::new() };
            let mut line = vec![name, items, metric.name.clone()];
            line.extend(columns.iter().map(|(_, of)| of(metric).map(measured).unwrap_or_default()));
            lines.push(line);
        }
    }
    screen.line(&format::table(&heads, lines, &[1]));
}

fn measured(Measured { value, low, high }: Measured) -> String {
    if low.is_finite() && high.is_finite() {
        format!("{value:.4} [{low:.4}, {high:.4}]")
    } else {
        format!("{value:.4}")
    }
}

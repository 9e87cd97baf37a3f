//! `check RUN.toml`: the verdict on the whole dataset and the memory forecast.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, Finding, Histogram, MemoryForecast, Result, Severity, Text, Verdict, text};

use super::client::{Client, View};
use super::failure::offer;
use super::screen::Screen;
use super::{format, run_file};

#[derive(Debug, Args)]
pub struct Flags {
    /// Run file
    #[arg(value_name = "RUN.toml")]
    pub run: PathBuf,
}

/// Exit code 2 when the dataset is refused.
pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let run = run_file::load(&flags.run)?;
    client.request(&mut Report, screen, |request| Command::Check {
        request,
        config: run.config,
        base: run.base,
    })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Checked { verdict, .. } = event {
            for part in report(verdict, screen) {
                screen.line(&part);
                screen.line("");
            }
            let (mark, words) = judgement(verdict);
            let words = format!("{mark} {}", screen.pick(&words));
            screen.line(&words);
        }
    }
}

fn report(verdict: &Verdict, screen: &Screen) -> Vec<String> {
    let mut parts = vec![sources(verdict, screen), figures(verdict, screen), histogram(&verdict.lengths)];
    parts.extend(verdict.forecast.as_ref().map(|forecast| memory(forecast, screen)));
    parts.extend(verdict.findings.iter().map(|finding| describe(finding, screen)));
    parts.retain(|part| !part.is_empty());
    parts
}

fn judgement(verdict: &Verdict) -> (&'static str, Text) {
    match verdict.ok {
        true => ("✓", Text::fixed("This run can be started.", "可以开始训练。")),
        false => ("✗", Text::fixed("This run would be refused.", "此次训练将被拒绝。")),
    }
}

fn sources(verdict: &Verdict, screen: &Screen) -> String {
    let heads = [
        Text::fixed("file", "文件"),
        Text::fixed("format", "格式"),
        Text::fixed("rows", "行数"),
        Text::fixed("size", "大小"),
        Text::fixed("drawn", "抽取"),
        Text::fixed("share of tokens", "词元占比"),
        Text::fixed("why this format", "判定依据"),
    ];
    let rows = verdict.sources.iter().map(|source| {
        vec![
            format::printable(&source.file.display().to_string()),
            format!("{} / {}", source.container, source.format),
            format::count(source.rows),
            format::bytes(source.bytes),
            source.share.map_or_else(|| "–".into(), |_| format!("× {}", source.weight)),
            source.share.map_or_else(|| "–".into(), |share| format!("{:.1} %", share * 100.0)),
            format::printable(&screen.pick(&source.reason)),
        ]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[2, 3, 4, 5])
}

fn figures(verdict: &Verdict, screen: &Screen) -> String {
    let template = format::with_reason(verdict.template.as_deref(), verdict.template_reason.as_ref(), screen);
    let template = template.unwrap_or_else(|| "–".into());
    let facts = [
        (Text::fixed("rows", "行数"), format::count(verdict.rows)),
        (Text::fixed("trained on", "用于训练"), format::count(verdict.usable_rows)),
        (Text::fixed("held back for validation", "留作验证"), format::count(verdict.validation_rows)),
        (Text::fixed("tokens", "词元数"), format::count(verdict.tokens)),
        (Text::fixed("tokens learned", "参与学习的词元"), format::count(verdict.learned_tokens)),
        (Text::fixed("longest row", "最长的行"), format::count(verdict.longest)),
        (Text::fixed("cut at", "截断长度"), format::count(verdict.max_length)),
        (Text::fixed("template", "模板"), template),
        (Text::fixed("optimizer steps", "优化步数"), format::count(verdict.steps)),
    ];
    let padding =
        verdict.padding.map(|padding| (Text::fixed("padding", "填充"), screen.pick(&padding.words())));
    format::facts(
        facts.into_iter().chain(padding).map(|(name, value)| vec![screen.pick(&name), value]).collect(),
    )
}

/// One line a bin: its lengths, a bar, its count.
fn histogram(lengths: &Histogram) -> String {
    const WIDTH: f64 = 40.0;
    let tallest = lengths.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bins = lengths.edges.windows(2).zip(&lengths.counts);
    let lines = bins.map(|(edges, count)| {
        // A bin with rows in it is never drawn empty.
        let bar = "█".repeat((*count as f64 / tallest * WIDTH).ceil() as usize);
        let last = edges[1].saturating_sub(1);
        format!("{:>7} – {last:<7} {bar} {}", edges[0], format::count(*count))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn memory(forecast: &MemoryForecast, screen: &Screen) -> String {
    let parts = [
        (Text::fixed("weights", "权重"), forecast.weights),
        (Text::fixed("trainable parameters", "可训练参数"), forecast.trainable),
        (Text::fixed("gradients", "梯度"), forecast.gradients),
        (Text::fixed("optimizer state", "优化器状态"), forecast.optimizer),
        (Text::fixed("block inputs", "模块输入"), forecast.inputs),
        (
            Text::fixed("one block's graph, or all that are kept", "一个模块的计算图，或所有保留的计算图"),
            forecast.graphs,
        ),
        (Text::fixed("output head, before them", "输出层（在其之前）"), forecast.head),
        (Text::fixed("key-value cache, when asked", "键值缓存（问答时）"), forecast.kv_cache),
        (Text::fixed("evaluation, in place of these", "评估（代替以上各项）"), forecast.evaluation),
        (Text::fixed("memory needed, at most", "内存需求（峰值）"), forecast.total),
        (Text::fixed("weights left in the model's files", "留在模型文件中的权重"), forecast.streamed),
        (Text::fixed("memory there", "可用内存"), forecast.available),
    ];
    // What the device has may be unknown.
    let known = parts.into_iter().filter(|(_, bytes)| *bytes > 0);
    let facts =
        format::facts(known.map(|(name, value)| vec![screen.pick(&name), format::bytes(value)]).collect());
    let plan = forecast.plan.iter().map(|line| screen.pick(line));
    let facts = std::iter::once(facts).chain(plan).collect::<Vec<_>>().join("\n");
    match forecast.fits {
        true => facts,
        false => {
            let tight = Text::fixed("! This will not fit.", "! 内存不足。");
            format!("{facts}\n{}", screen.pick(&tight))
        }
    }
}

fn describe(finding: &Finding, screen: &Screen) -> String {
    let (mark, style) = match finding.severity {
        Severity::Info => ("·", console::Style::new()),
        Severity::Warning => ("!", console::Style::new().yellow()),
        Severity::Error => ("✗", console::Style::new().red()),
    };
    let mut lines = vec![style.apply_to(format!("{mark} {}", screen.pick(&finding.text))).to_string()];
    if !finding.rows.is_empty() {
        let rows = format::rows(&finding.rows, finding.count);
        lines.push(format!("    {}", screen.pick(&text!("rows {rows}", "行 {rows}"))));
    }
    if let Some(mend) = &finding.mend {
        lines.push(format!("    → {}", screen.pick(mend)));
    }
    lines.extend(finding.remedies.iter().map(|remedy| format!("    ⇒ {}", offer(remedy, screen.language()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_with_one_row_is_seen() {
        let drawn = histogram(&Histogram { edges: vec![0, 10, 20, 30], counts: vec![1000, 0, 1] });
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[0].matches('█').count(), 40);
        assert_eq!(lines[1].matches('█').count(), 0);
        assert_eq!(lines[2].matches('█').count(), 1);
        assert!(lines[2].contains("20 – 29"), "{drawn}");
        assert_eq!(histogram(&Histogram::default()), "");
    }
}

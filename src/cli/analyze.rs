//! `analyze RUN.toml`: what is in a dataset, and a file of the rows worth keeping.

use std::path::PathBuf;

use clap::Args;
use protocol::{
    Analysis, AnalysisChecks, AnalysisRequest, Command, Event, FilterReport, FilterRequest, Frequent,
    IfdPrompt, IfdReport, NearDuplicates, Overlap, Result, Text, TokenRole, text,
};

use super::client::{Client, View};
use super::flags::absolute;
use super::screen::Screen;
use super::{format, run_file};

/// Lines of a list that are printed; with `--json` all are.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct Flags {
    /// Run file
    #[arg(value_name = "RUN.toml")]
    pub run: PathBuf,
    /// Look for near-duplicates: rows that share this much of what they say (Jaccard similarity)
    #[arg(long, value_name = "SIMILARITY", num_args = 0..=1, default_missing_value = "0.8")]
    pub near: Option<f64>,
    /// Look for training rows in the validation rows
    #[arg(long)]
    pub leaks: bool,
    /// Look for training rows in evaluation sets, files or folders
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub against: Vec<PathBuf>,
    /// Score by the model how much each instruction helps it to the answer (IFD)
    #[arg(long)]
    pub ifd: bool,
    /// The text around the instruction when IFD is scored; template: the prompt that the run file trains with
    #[arg(long, value_name = "PROMPT", default_value = "alpaca", value_parser = IfdPrompt::ALL.map(IfdPrompt::name))]
    pub ifd_prompt: String,
    /// Choose a subset of so many rows that are unlike one another for the model
    #[arg(long, value_name = "N")]
    pub diverse: Option<u64>,
    /// Write the training rows without those that the checks above found, and why beside it
    #[arg(long, value_name = "OUT.jsonl")]
    pub keep: Option<PathBuf>,
    /// Languages that --keep keeps, by their codes, such as eng,cmn
    #[arg(long, value_name = "CODES", value_delimiter = ',', requires = "keep")]
    pub languages: Vec<String>,
    /// Share of the rows with the highest IFD (up to 1) that --keep keeps
    #[arg(long, value_name = "SHARE", requires = "keep")]
    pub ifd_share: Option<f64>,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let run = run_file::load(&flags.run)?;
    let contamination = flags.against.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?;
    let filter = flags.keep.as_deref().map(absolute).transpose()?.map(|out| FilterRequest {
        out,
        near_duplicates: flags.near.is_some(),
        leaks: flags.leaks,
        contaminated: !contamination.is_empty(),
        languages: flags.languages,
        ifd_share: flags.ifd_share,
        diverse: flags.diverse.is_some(),
    });
    let checks = AnalysisChecks {
        near_duplicates: flags.near,
        leaks: flags.leaks,
        contamination,
        ifd: flags.ifd || flags.ifd_share.is_some(),
        ifd_prompt: IfdPrompt::from_name(&flags.ifd_prompt).unwrap_or_default(),
        diverse: flags.diverse,
    };
    let analysis = Box::new(AnalysisRequest { config: run.config, base: run.base, checks, filter });
    client.request(&mut Report, screen, |request| Command::Analyze { request, analysis })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Analyzed { analysis, .. } = event {
            let parts = report(analysis, screen);
            screen.line(&parts.join("\n\n"));
        }
    }
}

fn report(analysis: &Analysis, screen: &Screen) -> Vec<String> {
    let mut parts = vec![
        figures(analysis, screen),
        languages(analysis, screen),
        lengths(analysis, screen),
        frequent(&Text::fixed("how answers begin", "回答的开头"), &analysis.openings, screen),
        frequent(&Text::fixed("how answers end", "回答的结尾"), &analysis.endings, screen),
    ];
    if let Some(groups) = &analysis.near_duplicates {
        parts.push(near_duplicates(groups, analysis.near_duplicate_rows, screen));
    }
    if let Some(leaks) = &analysis.leaks {
        let count = format::count(analysis.leaked_rows);
        let head =
            text!("{count} training rows stand in the validation rows", "{count} 行训练数据出现在验证数据中");
        parts.push(overlaps(&head, leaks, screen));
    }
    if let Some(found) = &analysis.contamination {
        let count = format::count(analysis.contaminated_rows);
        let head = text!(
            "{count} training rows share 13 words or characters in a row with a question of the evaluation sets",
            "{count} 行训练数据与评测集的题目有连续 13 个词（字）相同"
        );
        parts.push(overlaps(&head, found, screen));
    }
    parts.extend(analysis.ifd.as_ref().map(|report| ifd(report, screen)));
    parts.extend(analysis.diverse.as_ref().map(|rows| diverse(rows, screen)));
    parts.extend(analysis.filtered.as_ref().map(|report| filtered(report, screen)));
    parts.extend(analysis.notes.iter().map(|note| format!("! {}", screen.pick(note))));
    parts.retain(|part| !part.is_empty());
    parts
}

fn figures(analysis: &Analysis, screen: &Screen) -> String {
    let facts = [
        (Text::fixed("rows", "行数"), analysis.rows),
        (Text::fixed("that cannot be used", "无法使用的行"), analysis.unusable),
    ];
    format::facts(
        facts.into_iter().map(|(name, value)| vec![screen.pick(&name), format::count(value)]).collect(),
    )
}

fn languages(analysis: &Analysis, screen: &Screen) -> String {
    let heads = [
        Text::fixed("language", "语言"),
        Text::fixed("code", "代码"),
        Text::fixed("rows", "行数"),
        Text::fixed("share", "占比"),
    ];
    let all: u64 = analysis.languages.iter().map(|share| share.rows).sum();
    let rows = analysis.languages.iter().map(|share| {
        let part = share.rows as f64 * 100.0 / all.max(1) as f64;
        vec![screen.pick(&share.name), share.code.clone(), format::count(share.rows), format!("{part:.1} %")]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[2, 3])
}

fn lengths(analysis: &Analysis, screen: &Screen) -> String {
    let heads = [
        Text::fixed("tokens by", "词元来源"),
        Text::fixed("turns", "轮数"),
        Text::fixed("tokens", "词元数"),
        Text::fixed("mean", "平均"),
        Text::fixed("longest", "最长"),
    ];
    let rows = analysis.lengths.iter().map(|lengths| {
        let mean = lengths.tokens as f64 / lengths.turns.max(1) as f64;
        vec![
            screen.pick(&role(lengths.role)),
            format::count(lengths.turns),
            format::count(lengths.tokens),
            format!("{mean:.1}"),
            format::count(lengths.longest),
        ]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[1, 2, 3, 4])
}

fn role(role: TokenRole) -> Text {
    match role {
        TokenRole::Template => Text::fixed("the template", "模板"),
        TokenRole::System => Text::fixed("system messages", "系统消息"),
        TokenRole::User => Text::fixed("the user", "用户"),
        TokenRole::Assistant => Text::fixed("the assistant", "助手"),
        TokenRole::Tool => Text::fixed("tools", "工具"),
        TokenRole::Text => Text::fixed("plain text", "纯文本"),
    }
}

fn frequent(head: &Text, found: &[Frequent], screen: &Screen) -> String {
    if found.is_empty() {
        return String::new();
    }
    let heads = [Text::fixed("times", "次数"), head.clone(), Text::fixed("rows", "行")];
    let rows = found.iter().take(SHOWN).map(|one| {
        vec![format::count(one.count), format::printable(&one.text), format::rows(&one.rows, one.count)]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[0])
}

fn near_duplicates(groups: &[NearDuplicates], rows: u64, screen: &Screen) -> String {
    let count = format::count(rows);
    let mut lines =
        vec![screen.pick(&text!(
            "{count} rows are nearly the same as an earlier one",
            "{count} 行与之前的行近似重复"
        ))];
    lines.extend(groups.iter().take(SHOWN).map(|group| {
        let (rows, similarity) = (format::rows(&group.rows, group.count), group.similarity);
        let text = format::printable(&group.text);
        screen.pick(&text!(
            "  rows {rows}: at least {similarity:.3}  {text}",
            "  行 {rows}：至少 {similarity:.3}  {text}"
        ))
    }));
    lines.extend(more(groups.len(), screen));
    lines.join("\n")
}

fn overlaps(head: &Text, found: &[Overlap], screen: &Screen) -> String {
    let mut lines = vec![screen.pick(head)];
    lines.extend(found.iter().take(SHOWN).map(|one| {
        let (row, file, file_row) =
            (one.row, format::printable(&one.file.display().to_string()), one.file_row);
        let (similarity, text) = (one.similarity, format::printable(&one.text));
        screen.pick(&text!(
            "  row {row}: {similarity:.3} of row {file_row} in {file}  {text}",
            "  行 {row}：与 {file} 第 {file_row} 行 {similarity:.3}  {text}"
        ))
    }));
    lines.extend(more(found.len(), screen));
    lines.join("\n")
}

fn more(all: usize, screen: &Screen) -> Option<String> {
    let rest = all.checked_sub(SHOWN).filter(|rest| *rest > 0)?;
    Some(
        screen
            .pick(&text!("  … and {rest} more, which --json prints", "  ……另有 {rest} 条，可用 --json 查看")),
    )
}

fn ifd(report: &IfdReport, screen: &Screen) -> String {
    let mut scores: Vec<f64> = report.scores.iter().map(|score| score.ifd).collect();
    scores.sort_by(f64::total_cmp);
    let above = scores.iter().filter(|ifd| **ifd > 1.0).count() as u64;
    let quantile = |share: f64| {
        let at = ((scores.len().saturating_sub(1)) as f64 * share).round() as usize;
        scores.get(at).map_or_else(|| "–".to_owned(), |ifd| format!("{ifd:.4}"))
    };
    let facts = [
        (Text::fixed("rows with an IFD", "有 IFD 分数的行"), format::count(scores.len() as u64)),
        (Text::fixed("without", "没有分数的行"), format::count(report.unscored)),
        (Text::fixed("above 1: the instruction does not help", "大于 1：指令没有帮助"), format::count(above)),
        (Text::fixed("IFD: lowest tenth below", "IFD：最低十分之一低于"), quantile(0.1)),
        (Text::fixed("median", "中位数"), quantile(0.5)),
        (Text::fixed("highest tenth above", "最高十分之一高于"), quantile(0.9)),
    ];
    format::facts(facts.into_iter().map(|(name, value)| vec![screen.pick(&name), value]).collect())
}

fn diverse(rows: &[u64], screen: &Screen) -> String {
    let (count, first) = (format::count(rows.len() as u64), format::rows(rows, rows.len() as u64));
    screen.pick(&text!(
        "{count} diverse rows, the first chosen: {first}",
        "挑选出 {count} 行多样性数据，依次为：{first}"
    ))
}

fn filtered(report: &FilterReport, screen: &Screen) -> String {
    let kept = format::count(report.kept);
    let (out, reasons) = (report.out.display(), report.reasons.display());
    let mut lines = vec![screen.pick(&text!("{kept} rows kept in {out}", "保留 {kept} 行，写入 {out}"))];
    lines.extend(report.dropped.iter().map(|(reason, count)| {
        let (count, Text { en, zh }) = (format::count(*count), reason);
        screen.pick(&text!("  {count} left out: {en}", "  排除 {count} 行：{zh}"))
    }));
    lines.push(screen.pick(&text!("  why, row by row: {reasons}", "  逐行原因见：{reasons}")));
    lines.join("\n")
}

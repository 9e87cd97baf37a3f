//! `convert INPUT… --to FORMAT --out FILE.jsonl`: a dataset in another format, as JSON lines; with `--rows` a look at
//! the first rows before and after.

use std::path::PathBuf;

use clap::Args;
use protocol::config::DataConfig;
use protocol::{Command, ConvertReport, ConvertRequest, ConvertedRow, Event, Result, RunConfig, Text, text};

use super::client::{Client, View};
use super::flags::absolute;
use super::screen::Screen;
use super::{format, values};

#[derive(Debug, Args)]
pub struct Flags {
    /// Files to convert: csv, json, jsonl, parquet or txt
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Format to write, such as alpaca, sharegpt, messages or cpm-bee
    #[arg(long = "to", value_name = "FORMAT")]
    pub to_format: String,
    /// JSON lines file to write
    #[arg(long = "out", value_name = "FILE.jsonl", required_unless_present = "preview_rows")]
    pub out_file: Option<PathBuf>,
    /// Format that the files are in (auto: found out)
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: String,
    /// Which column or expression plays a part, as in [data.columns]; may be given again
    #[arg(long, value_name = "PART=COLUMN", num_args = 1.., value_parser = values::column)]
    pub columns: Vec<(String, String)>,
    /// Show this many rows before and after, and write nothing
    #[arg(long = "rows", value_name = "N", conflicts_with = "out_file")]
    pub preview_rows: Option<u64>,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let train = flags.inputs.iter().map(|file| absolute(file)).collect::<Result<Vec<_>>>()?;
    let base = train.first().and_then(|file| file.parent()).map(PathBuf::from).unwrap_or_default();
    let columns = flags.columns.into_iter().collect();
    let data = DataConfig { train, format: flags.format, columns, ..DataConfig::default() };
    let config = Box::new(RunConfig { data, ..RunConfig::default() });
    let convert = Box::new(ConvertRequest { config, base, to: flags.to_format });
    match (flags.preview_rows, flags.out_file) {
        (None, Some(out)) => {
            let out = absolute(&out)?;
            client.request(&mut Report, screen, |request| Command::Convert { request, convert, out })
        }
        (count, _) => client.request(&mut Report, screen, |request| Command::PreviewConversion {
            request,
            convert,
            first: 0,
            count: count.unwrap_or_default(),
        }),
    }
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Conversion { rows, .. } => rows.iter().for_each(|row| show(row, screen)),
            Event::Converted { report, .. } => tell(report, screen),
            _ => {}
        }
    }
}

fn show(row: &ConvertedRow, screen: &mut Screen) {
    let number = row.row;
    let heading = screen.pick(&text!("row {number}", "第 {number} 行"));
    let after = match &row.error {
        Some(why) => {
            let why = screen.pick(why);
            screen.pick(&text!("left out: {why}", "将略过：{why}"))
        }
        None => row.after.clone(),
    };
    let (before, after) = (format::printable(&row.before), format::printable(&after));
    screen.line(&format!("{}\n{before}\n→\n{after}\n", console::style(heading).bold()));
}

fn tell(report: &ConvertReport, screen: &mut Screen) {
    let facts = [
        (Text::fixed("file", "文件"), report.out.display().to_string()),
        (Text::fixed("rows", "行数"), format::count(report.rows)),
        (Text::fixed("left out", "略过"), format::count(report.left_out)),
    ];
    let facts = facts.into_iter().map(|(name, value)| vec![screen.pick(&name), value]).collect();
    screen.line(&format::facts(facts));
    for note in &report.notes {
        let note = format!("! {}", screen.pick(note));
        screen.line(&note);
    }
    if report.left_out > 0 {
        let rows: Vec<_> = report.left_out_rows.iter().map(u64::to_string).collect();
        let more = if report.left_out > rows.len() as u64 { ", …" } else { "" };
        let rows = rows.join(", ");
        let line = screen.pick(&text!("Rows left out: {rows}{more}", "略过的行：{rows}{more}"));
        screen.line(&line);
    }
}

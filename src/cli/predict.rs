//! `predict`: an answer for every row of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use protocol::{
    Command, Confusion, Event, PredictPlan, PredictReport, PredictRequest, PredictedRow, Result, Text, text,
};

use super::client::{Client, View};
use super::flags::{ModelFlags, SamplingFlags, absolute};
use super::screen::Screen;
use super::{format, values};

/// Rows without an answer of which the reason is shown.
const REASONS: u64 = 10;

#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// Rows to answer: csv, json, jsonl, txt or parquet, also compressed
    #[arg(id = "table", long = "input", value_name = "FILE")]
    pub input: PathBuf,
    /// Where the answers go: csv, json or jsonl, by its name
    #[arg(id = "answers", long = "output", value_name = "FILE")]
    pub output: PathBuf,
    /// What each row asks, such as "{{title}} {{abstract}}", or FIELD=TEMPLATE for a field of the format; may be given
    /// again (default: as in training)
    #[arg(
        id = "question", long = "prompt", value_name = "TEMPLATE", allow_hyphen_values = true,
        value_parser = values::field_of_prompt
    )]
    pub prompt: Vec<(String, String)>,
    /// Dataset format of the rows (default: as in training, else what they look like)
    #[arg(id = "read_as", long = "format", value_name = "FORMAT")]
    pub format: Option<String>,
    /// Chat template: a preset or a file (default: as in training)
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Columns of the output in their order: NAME, NAME=COLUMN, NAME=answer or NAME={{ expression }}
    #[arg(id = "written", long = "columns", value_name = "NAME,…", value_parser = values::output_columns)]
    pub columns: Option<values::OutputColumns>,
    /// Answer with the likeliest of these texts
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub choices: Vec<String>,
    /// Column of the right answer: tells accuracy, precision, recall and F1
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Tokens that go through the model at once; 0: as many as serve
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub batch_tokens: u64,
    /// Go on behind the rows that the output has already
    #[arg(id = "go_on", long = "resume")]
    pub resume: bool,
    #[command(flatten)]
    pub sampling: SamplingFlags,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let request = flags.resolve()?;
    let mut plan = Plan::default();
    let planned = request.clone();
    client
        .request(&mut plan, screen, |request| Command::PlanPredict { request, predict: Box::new(planned) })?;
    let mut answers = Answers { known: plan.0.map(|plan| plan.warnings).unwrap_or_default(), failed: 0 };
    client.request(&mut answers, screen, |id| Command::Predict { request: id, predict: Box::new(request) })
}

impl Flags {
    fn resolve(mut self) -> Result<PredictRequest> {
        // The same file gives the same answers, unless one wishes otherwise.
        self.sampling.temperature.get_or_insert(0.0);
        Ok(PredictRequest {
            model: self.model.resolve()?,
            input: absolute(&self.input)?,
            format: self.format.unwrap_or_default(),
            columns: self.prompt.into_iter().collect::<BTreeMap<_, _>>(),
            template: self.template.unwrap_or_default(),
            output: absolute(&self.output)?,
            output_columns: self.columns.map(|columns| columns.0).unwrap_or_default(),
            choices: self.choices,
            label: self.label.unwrap_or_default(),
            sampling: self.sampling.into(),
            batch_tokens: self.batch_tokens,
            resume: self.resume,
        })
    }
}

/// What is said before the model is loaded.
#[derive(Default)]
struct Plan(Option<PredictPlan>);

impl View for Plan {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        let Event::PredictPlanned { plan, .. } = event else { return };
        for warning in &plan.warnings {
            screen.tell(warning);
        }
        if let Some(prompt) = plan.prompts.first().filter(|prompt| prompt.error.is_none()) {
            let (tokens, text) = (prompt.tokens, format::printable(&prompt.text));
            screen.tell(&text!(
                "Row 1 asks ({tokens} tokens):\n{text}",
                "第 1 行的提示词（{tokens} 个词元）：\n{text}"
            ));
        }
        self.0 = Some(plan.as_ref().clone());
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        screen.json(event);
        if let Event::PredictPlanned { plan, .. } = event {
            self.0 = Some(plan.as_ref().clone());
        }
    }
}

/// The work, and what came of it.
struct Answers {
    /// Warnings that were shown.
    known: Vec<Text>,
    failed: u64,
}

impl View for Answers {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Predicted { rows, .. } => rows.iter().for_each(|row| self.failure(row, screen)),
            Event::PredictionEnded { report, .. } => self.report(report, screen),
            _ => {}
        }
    }

    /// The file is what was asked for.
    fn outlives_stdout(&self) -> bool {
        true
    }
}

impl Answers {
    fn failure(&mut self, row: &PredictedRow, screen: &Screen) {
        let Some(error) = &row.error else { return };
        self.failed += 1;
        if self.failed <= REASONS {
            let (number, en, zh) = (row.row, &error.en, &error.zh);
            screen.tell(&Text::new(
                format!("Row {number} has no answer: {en}"),
                format!("第 {number} 行没有回答：{zh}"),
            ));
        }
    }

    fn report(&self, report: &PredictReport, screen: &mut Screen) {
        for note in report.notes.iter().filter(|note| !self.known.contains(note)) {
            screen.tell(note);
        }
        let sum = screen.pick(&summary(report));
        screen.line(&sum);
        for score in &report.scores {
            let (name, value) = (&score.name, score.value);
            screen.line(&format!("{name:<16} {value:.4}"));
        }
        if let Some(confusion) = &report.confusion {
            let drawn = table(confusion, screen);
            screen.line(&drawn);
        }
    }
}

fn summary(report: &PredictReport) -> Text {
    let (rows, failed) = (format::count(report.rows), format::count(report.failed));
    let fresh = report.rows - report.resumed.min(report.rows);
    let (resumed, seconds) = (format::count(report.resumed), report.seconds);
    let per_row = fresh as f64 / seconds.max(f64::EPSILON);
    let speed = report.tokens as f64 / seconds.max(f64::EPSILON);
    let file = report.output.display();
    let (end, zh_end) = match report.complete {
        true => ("", ""),
        false => (" (stopped: --resume goes on)", "（已停止：可用 --resume 继续）"),
    };
    Text::new(
        format!(
            "{rows} rows in {file}, {resumed} of them from before, {failed} without an answer; {seconds:.1} s, {per_row:.1} rows/s, {speed:.0} tokens/s{end}"
        ),
        format!(
            "{file} 共 {rows} 行，其中先前已有 {resumed} 行，{failed} 行没有回答；用时 {seconds:.1} 秒，{per_row:.1} 行/秒，{speed:.0} 词元/秒{zh_end}"
        ),
    )
}

/// Labels in rows, answers in columns.
fn table(confusion: &Confusion, screen: &Screen) -> String {
    let corner = screen.pick(&Text::fixed("label \\ answer", "标签 \\ 回答"));
    let other = screen.pick(&Text::fixed("other", "其他"));
    let heads: Vec<String> =
        [corner].into_iter().chain(confusion.labels.iter().cloned()).chain([other]).collect();
    let numbers: Vec<usize> = (1..heads.len()).collect();
    let row = |(label, counts): (&String, &Vec<u64>)| {
        [label.clone()].into_iter().chain(counts.iter().map(u64::to_string)).collect()
    };
    format::table(&heads, confusion.labels.iter().zip(&confusion.counts).map(row).collect(), &numbers)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use protocol::OutputColumn;

    use super::*;
    use crate::cli::{Cli, Task};

    fn request(more: &[&str]) -> PredictRequest {
        let fixed = ["emberwright", "predict", "--model", "m", "--input", "a.csv", "--output", "b.csv"];
        let cli = Cli::try_parse_from(fixed.iter().chain(more)).unwrap();
        let Some(Task::Predict(flags)) = cli.command else { panic!("another task") };
        flags.resolve().unwrap()
    }

    #[test]
    fn flags_say_what_is_asked_and_written() {
        let plain = request(&["--prompt", "{{title}} = {{abstract}}"]);
        assert_eq!(plain.columns["prompt"], "{{title}} = {{abstract}}");
        assert_eq!(plain.sampling.temperature, 0.0);
        let fields = request(&["--prompt", "instruction={{ 'a=b' }}", "--prompt", "input=title"]);
        assert_eq!(fields.columns["instruction"], "{{ 'a=b' }}");
        assert_eq!(fields.columns["input"], "title");
        let columns =
            request(&["--columns", "uuid,Keywords=answer,label={{ answer or 'a,b' }}", "--choices", "0,1"]);
        let column = |name: &str, value: &str| OutputColumn { name: name.into(), value: value.into() };
        let wanted =
            [column("uuid", "uuid"), column("Keywords", "answer"), column("label", "{{ answer or 'a,b' }}")];
        assert_eq!(columns.output_columns, wanted);
        assert_eq!(columns.choices, ["0", "1"]);
    }
}

//! `score`.

use std::io::Write as _;

use protocol::{Control, Event, RequestId, Result, ScoreRequest, Text, UserError};
use serde_json::json;

use crate::files::AtomicFile;
use crate::generate::{BatchLimit, RowScore, Scoring};
use crate::score::read_rows;
use crate::session::Session;
use crate::sink::Sink;

/// Log-probabilities of every row of a file, into another file.
pub fn score(
    request: RequestId,
    wanted: &ScoreRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let rows = read_rows(&wanted.input, &wanted.model)?;
    let chosen = session.chosen.clone();
    let first = (!wanted.model.adapters.is_empty()).then_some(0);
    let loaded = session.speak(&wanted.model, first, &mut |_, _| {})?;
    let model = &loaded.model;
    let mut output = AtomicFile::create(&wanted.output)?;
    let limit = BatchLimit::new(model, &chosen, 0);
    let scoring = Scoring { model, adapter: loaded.adapter(), limit, stopped: &|| control.stop_wanted() };
    let total = rows.len() as u64;
    let mut told = |done| sink.progress(request, Text::fixed("scoring", "评分"), done, total, None);
    let scores = scoring.examples(&rows, &mut told).map_err(|refused| match refused.row {
        Some(row) => refused.error.in_file(&wanted.input).at_row(row as u64 + 1),
        None => refused.error,
    })?;
    let scores =
        scores.ok_or_else(|| UserError::failure(Text::fixed("Scoring was stopped", "评分已中止")))?;
    for (row, score) in rows.iter().zip(&scores) {
        output.file().write_all(line(&row.ids, score).as_bytes()).map_err(|err| {
            UserError::io(Text::fixed("write the scores", "写入评分"), &wanted.output, &err)
        })?;
    }
    output.commit()?;
    let tokens = scores.iter().map(|score| score.given().count() as u64).sum();
    let sum: f64 = scores.iter().flat_map(RowScore::given).sum();
    let mean = sum / (tokens as f64).max(1.0);
    sink.emit(Event::Scored { request, rows: total, tokens, mean_logprob: mean, perplexity: (-mean).exp() });
    Ok(())
}

fn line(ids: &[u32], score: &RowScore) -> String {
    let first = std::iter::once(serde_json::Value::Null).take(ids.len().min(1));
    // What is no number is written as null.
    let logprobs: Vec<serde_json::Value> =
        first.clone().chain(score.logprobs.iter().map(|p| json!(p))).collect();
    let best = |id: &u32| if *id == u32::MAX { json!(null) } else { json!(id) };
    let argmax: Vec<serde_json::Value> = first.chain(score.argmax.iter().map(best)).collect();
    let sum: f64 = score.given().sum();
    let mut line = json!({ "ids": ids, "logprobs": logprobs, "argmax": argmax, "sum": sum }).to_string();
    line.push('\n');
    line
}

//! `score`.

use std::io::Write as _;

use data::Example;
use protocol::{Control, Event, RequestId, Result, ScoreRequest, Text, UserError};
use serde_json::json;

use crate::files::AtomicFile;
use crate::generate::{RowScore, score_examples};
use crate::models::{Model, Rows};
use crate::nn::AdapterView;
use crate::score::read_rows;
use crate::session::Session;
use crate::sink::Sink;

/// Tokens that go through the model at once.
const BATCH_TOKENS: usize = 4096;

/// Log-probabilities of every row of a file, into another file.
pub fn score(
    request: RequestId,
    wanted: &ScoreRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let rows = read_rows(&wanted.input, &wanted.model)?;
    let first = (!wanted.model.adapters.is_empty()).then_some(0);
    let loaded = session.speak(&wanted.model, first, &mut |_, _| {})?;
    let adapter = loaded.adapter();
    let mut output = AtomicFile::create(&wanted.output)?;
    let (mut done, mut tokens, mut sum) = (0, 0u64, 0f64);
    while done < rows.len() {
        if control.stop_wanted() {
            return Err(UserError::failure(Text::fixed("Scoring was stopped", "评分已中止")));
        }
        let count = batch_rows(&rows[done..]);
        let batch = &rows[done..done + count];
        let scores = score_examples(&loaded.model, adapter, batch).map_err(|err| {
            match guilty_row(&loaded.model, adapter, batch) {
                Some(row) => err.in_file(&wanted.input).at_row((done + row) as u64 + 1),
                None => err,
            }
        })?;
        for (row, score) in batch.iter().zip(&scores) {
            let line = line(&row.ids, score);
            output.file().write_all(line.as_bytes()).map_err(|err| {
                UserError::io(Text::fixed("write the scores", "写入评分"), &wanted.output, &err)
            })?;
            tokens += score.given().count() as u64;
            sum += score.given().sum::<f64>();
        }
        done += count;
        sink.progress(request, Text::fixed("scoring", "评分"), done as u64, rows.len() as u64, None);
    }
    output.commit()?;
    let mean = sum / tokens.max(1) as f64;
    let rows = rows.len() as u64;
    sink.emit(Event::Scored { request, rows, tokens, mean_logprob: mean, perplexity: (-mean).exp() });
    Ok(())
}

/// The first row of a failed batch that the model cannot take.
fn guilty_row(model: &Model, adapter: Option<&dyn AdapterView>, batch: &[Example]) -> Option<usize> {
    let taken = |ids: &[u32]| model.ids(ids, 1).and_then(|_| model.positions(&Rows::fresh(ids, 1), adapter));
    batch.iter().position(|row| taken(&row.ids).is_err())
}

/// How many of the next rows fit into one batch, padded to their longest.
fn batch_rows(rows: &[Example]) -> usize {
    let mut longest = 0;
    let mut count = 0;
    for row in rows {
        longest = longest.max(row.ids.len());
        if count > 0 && longest * (count + 1) > BATCH_TOKENS {
            break;
        }
        count += 1;
    }
    count
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

//! Rows of a score input: `{"ids": […]}` or `{"prompt": …, "completion": …}`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use data::{Encode as _, EncodeOptions, Encoder, Example, IGNORE, Record};
use protocol::{ModelRef, Result, Text, UserError, text};
use serde::Deserialize;

use crate::tokens::tokenizer_with;

/// A line longer than this is no row.
const MAX_LINE: usize = 64 << 20;

#[derive(Deserialize)]
struct Row {
    ids: Option<Vec<u32>>,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    completion: String,
}

/// Every row, in order: all tokens of it are scored, or for a model that reads dicts those of the answer.
///
/// # Errors
/// When the file cannot be read or a row has neither form; names the row.
pub fn read_rows(file: &Path, model: &ModelRef) -> Result<Vec<Example>> {
    let opened = File::open(file)
        .map_err(|err| UserError::io(Text::fixed("read the rows", "读取数据"), file, &err))?;
    let mut encoder = None;
    let mut rows = Vec::new();
    for (index, line) in BufReader::new(opened).lines().enumerate() {
        let number = index as u64 + 1;
        let line = line
            .map_err(|err| UserError::io(Text::fixed("read a row", "读取一行"), file, &err).at_row(number))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        rows.push(row(line, model, &mut encoder).map_err(|err| err.in_file(file).at_row(number))?);
    }
    Ok(rows)
}

fn row(line: &str, model: &ModelRef, encoder: &mut Option<Encoder>) -> Result<Example> {
    if line.len() > MAX_LINE {
        return Err(UserError::bad_input(Text::fixed("The row is too long", "该行过长")));
    }
    let row: Row = serde_json::from_str(line).map_err(|err| {
        UserError::bad_input(text!("The row cannot be read: {err}", "无法读取该行：{err}")).mend(Text::fixed(
            "write {\"ids\": […]} or {\"prompt\": …, \"completion\": …}",
            "请写成 {\"ids\": […]} 或 {\"prompt\": …, \"completion\": …}",
        ))
    })?;
    if let Some(ids) = row.ids {
        return Ok(scored(ids));
    }
    if row.prompt.is_empty() && row.completion.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "The row has neither ids nor a prompt",
            "该行既无 ids 也无 prompt",
        )));
    }
    let encoder = match encoder {
        Some(encoder) => encoder,
        None => encoder.insert(plain_encoder(model)?),
    };
    let tokenizer = encoder.tokenizer();
    if tokenizer.cpm_bee().is_some() {
        return encoder.encode(&Record::Completion { prompt: row.prompt, completion: row.completion });
    }
    let mut ids = tokenizer.encode_prompt(&row.prompt)?;
    ids.extend(tokenizer.encode(&row.completion, false)?.ids);
    Ok(scored(ids))
}

fn plain_encoder(model: &ModelRef) -> Result<Encoder> {
    let options = EncodeOptions::default();
    Encoder::new(Arc::new(tokenizer_with(&model.path, model.adapters.first())?), None, options)
}

/// The continuation's tokens are to be scored, behind a context.
pub(crate) fn continued(context: &[u32], continuation: &[u32]) -> Example {
    let mut example = scored(context.iter().chain(continuation).copied().collect());
    example.labels[..context.len()].fill(IGNORE);
    example
}

/// All tokens are to be scored; an id beyond the labels' range is beyond every vocabulary, too.
pub(crate) fn scored(ids: Vec<u32>) -> Example {
    let labels = ids.iter().map(|id| i32::try_from(*id).unwrap_or(IGNORE)).collect();
    Example { ids, labels, ..Example::default() }
}

//! Rows of a score input: `{"ids": […]}` or `{"prompt": …, "completion": …}`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use data::Tokenizer;
use protocol::{Result, Text, UserError, text};
use serde::Deserialize;

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

/// The ids of every row, in order.
///
/// # Errors
/// When the file cannot be read or a row has neither form; names the row.
pub fn read_ids(file: &Path, model: &Path) -> Result<Vec<Vec<u32>>> {
    let opened = File::open(file)
        .map_err(|err| UserError::io(Text::fixed("read the rows", "读取数据"), file, &err))?;
    let mut tokenizer = None;
    let mut rows = Vec::new();
    for (index, line) in BufReader::new(opened).lines().enumerate() {
        let number = index as u64 + 1;
        let line = line
            .map_err(|err| UserError::io(Text::fixed("read a row", "读取一行"), file, &err).at_row(number))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        rows.push(row_ids(line, model, &mut tokenizer).map_err(|err| err.in_file(file).at_row(number))?);
    }
    Ok(rows)
}

fn row_ids(line: &str, model: &Path, tokenizer: &mut Option<Tokenizer>) -> Result<Vec<u32>> {
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
        return Ok(ids);
    }
    if row.prompt.is_empty() && row.completion.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "The row has neither ids nor a prompt",
            "该行既无 ids 也无 prompt",
        )));
    }
    let tokenizer = match tokenizer {
        Some(tokenizer) => tokenizer,
        None => tokenizer.insert(Tokenizer::open(model)?),
    };
    let mut ids = tokenizer.encode_prompt(&row.prompt)?;
    ids.extend(tokenizer.encode(&row.completion, false)?.ids);
    Ok(ids)
}

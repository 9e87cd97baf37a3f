//! The texts in files of any container, whatever their columns are called.

use std::path::Path;

use protocol::{Result, Text};
use serde_json::Value;

use crate::progress::{Progress, check_cancelled};
use crate::select::files_of;
use crate::sources::{self, RowValue};

/// Hands `take` every text of a file, or of a folder's files, until it wants no more. Returns the rows that could not
/// be read.
///
/// # Errors
/// When a file cannot be opened, or the user stopped.
pub(super) fn each_text(
    path: &Path,
    progress: &dyn Progress,
    take: &mut dyn FnMut(&str) -> bool,
) -> Result<u64> {
    let mut bad = 0;
    for file in files_of(path)? {
        let (unread, more) = each_text_of(&file, progress, take)?;
        bad += unread;
        if !more {
            break;
        }
    }
    Ok(bad)
}

/// Rows that could not be read, and whether more is wanted.
fn each_text_of(
    file: &Path,
    progress: &dyn Progress,
    take: &mut dyn FnMut(&str) -> bool,
) -> Result<(u64, bool)> {
    let rows = sources::open(file, progress)?;
    let stage = Text::fixed("reading texts", "读取文本");
    let mut bad = 0;
    for row in 0..rows.len() {
        if row % 256 == 0 {
            check_cancelled(progress)?;
            progress.report(&stage, row as u64, rows.len() as u64);
        }
        let more = match rows.get(row).map(|row| row.value) {
            Ok(RowValue::Text(text)) => take(&text),
            Ok(RowValue::Object(fields)) => fields.values().all(|value| texts_in(value, take)),
            Err(_) => {
                bad += 1;
                true
            }
        };
        if !more {
            return Ok((bad, false));
        }
    }
    Ok((bad, true))
}

/// Without recursion: how deep rows are nested is not bounded.
fn texts_in(value: &Value, take: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut open = vec![value];
    let mut more = true;
    while let Some(value) = open.pop().filter(|_| more) {
        match value {
            Value::String(text) => more = take(text),
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(fields) => open.extend(fields.values().rev()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    more
}

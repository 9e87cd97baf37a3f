//! Which format a file is in, with the reason; or a refusal that says what it looks like, what keys it
//! has, and what would be read.

use std::collections::BTreeMap;

use protocol::config::nearest;
use protocol::{Result, Text, UserError, text};

use super::{Detection, FORMATS, Format, columns, columns_map::names_of, unsupported};
use crate::sources::{Row, RowSource};

/// Rows looked at: half from the beginning, half spread over the file.
const SAMPLED: usize = 64;

/// Some rows of a file, read.
pub struct Sample {
    rows: Vec<Row>,
}

impl Sample {
    /// Reads the sample; rows that cannot be read are passed over.
    ///
    /// # Errors
    /// When no sampled row can be read, that of the first.
    pub fn take(source: &dyn RowSource) -> Result<Self> {
        let count = source.len();
        let first = count.min(SAMPLED / 2);
        let spread = (count - first).min(SAMPLED - first);
        let later = (0..spread).map(|turn| first + turn * (count - first) / spread.max(1));
        let mut rows = Vec::new();
        let mut failure = None;
        for index in (0..first).chain(later) {
            match source.get(index) {
                Ok(row) => rows.push(row),
                Err(err) => failure = failure.or(Some(err)),
            }
        }
        match failure {
            Some(err) if rows.is_empty() => Err(err),
            _ => Ok(Self { rows }),
        }
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// The format of a file and why it was chosen.
pub struct Choice {
    pub format: &'static Format,
    pub reason: Text,
}

/// Chooses the format: the named one, the one that the column map fits, or by the rows.
///
/// # Errors
/// When the name is unknown, no sampled row can be read, or no format fits.
pub fn choose(wanted: &str, map: &BTreeMap<String, String>, source: &dyn RowSource) -> Result<Choice> {
    if wanted != "auto" {
        let reason = Text::fixed("named in the run file", "由运行文件指定");
        return Ok(Choice { format: named(wanted)?, reason });
    }
    if source.is_empty() {
        let reason = Text::fixed("the file has no rows to tell by", "文件没有任何行，无从判断");
        return Ok(Choice { format: &columns::FORMAT, reason });
    }
    if !map.is_empty() {
        return Ok(by_map(map));
    }
    let sample = Sample::take(source)?;
    if let Some(kind) = unsupported::recognise(&sample) {
        return Err(refusal(&sample, source, Some(kind)));
    }
    let found = FORMATS.iter().filter_map(|format| Some((*format, (format.detect)(&sample)?)));
    match found.max_by_key(|(_, detection)| detection.score) {
        Some((format, Detection { reason, .. })) => Ok(Choice { format, reason }),
        None => Err(refusal(&sample, source, None)),
    }
}

fn named(wanted: &str) -> Result<&'static Format> {
    Format::find(wanted).ok_or_else(|| {
        let ids: Vec<_> = FORMATS.iter().map(|format| format.id).collect();
        let list = ids.join(", ");
        let error = UserError::bad_input(text!(
            "There is no dataset format `{wanted}`; known are auto, {list}",
            "没有名为 `{wanted}` 的数据格式；可用：auto, {list}"
        ))
        .at_item("data.format");
        match nearest(wanted, ids) {
            Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
            None => error,
        }
    })
}

/// The format that reads all mapped fields: `columns` if it does, else the first one. A key that none
/// reads is then refused in the name of `columns`.
fn by_map(map: &BTreeMap<String, String>) -> Choice {
    let fits =
        |format: &&&'static Format| map.keys().all(|key| format.fields.iter().any(|field| field.key == key));
    let format = [&columns::FORMAT].iter().chain(FORMATS).find(fits).copied().unwrap_or(&columns::FORMAT);
    let keys = map.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Choice { format, reason: text!("the run file maps {keys}", "运行文件映射了 {keys}") }
}

fn refusal(sample: &Sample, source: &dyn RowSource, looks_like: Option<Text>) -> UserError {
    let names = sample.rows().first().map(names_of).unwrap_or_default();
    let what = match looks_like {
        Some(Text { en, zh }) => text!(
            "The file looks like {en}, which cannot be trained on yet; its rows have {names}",
            "该文件看起来是{zh}，目前还不能用于训练；其字段为 {names}"
        ),
        None => text!("No dataset format fits rows with {names}", "没有数据格式适合含有 {names} 的行"),
    };
    UserError::bad_input(what)
        .details(FORMATS.iter().map(|format| format!("{}: {}", format.id, format.help)))
        .mend(Text::fixed(
            "say which columns are what: data.format = \"columns\" with data.columns = { prompt = \"…\", response = \"…\" }",
            "请指明各列的含义：data.format = \"columns\"，data.columns = { prompt = \"…\", response = \"…\" }",
        ))
        .in_file(&**source.file().path())
}

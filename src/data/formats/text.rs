//! Text: a `text` field, or the documents of a plain text file. Every token is learned.

use protocol::{Result, Text, text};
use serde_json::Value;

use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::Record;
use crate::sources::{Row, RowValue};

const TEXT: Field =
    Field { key: "text", columns: &["text", "content"], help: Text::fixed("The document", "文档内容") };

pub static FORMAT: Format = Format {
    id: super::TEXT,
    name: Text::fixed("Plain text", "纯文本"),
    help: Text::fixed(
        "text, or the documents of a .txt file; every token is learned",
        "text 字段，或 .txt 文件中的文档；学习每个词元",
    ),
    fields: &[TEXT],
    detect,
    read,
    write: Some(write),
    judged: None,
};

fn detect(sample: &Sample) -> Option<Detection> {
    let rows = sample.rows();
    if !rows.is_empty() && rows.iter().all(|row| matches!(row.value, RowValue::Text(_))) {
        let count = rows.len();
        let reason =
            text!("a plain text file ({count} documents sampled)", "纯文本文件（抽样 {count} 个文档）");
        return Some(Detection { score: 10_010, reason });
    }
    sample.detection(10, ("a `text` or `content` field", "`text` 或 `content` 字段"), |row| {
        TEXT.columns.iter().any(|column| row.get(*column).is_some_and(Value::is_string))
    })
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    match &row.value {
        RowValue::Text(text) => Ok(Record::Text(text.clone())),
        RowValue::Object(_) => Ok(Record::Text(context.required(row, &TEXT)?)),
    }
}

fn write(record: &Record) -> Result<Written, Text> {
    let text = match record {
        Record::Text(text) => text.clone(),
        Record::Completion { prompt, completion } => format!("{prompt}{completion}"),
        Record::Conversation { .. } | Record::Dict(_) | Record::Tokens { .. } => {
            return Err(Text::fixed(
                "only texts and completions can be written as plain text",
                "只有文本与续写可以写成纯文本",
            ));
        }
    };
    Ok(Written::of([(TEXT.key, text.into())]))
}

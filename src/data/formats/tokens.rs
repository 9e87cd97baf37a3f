//! Tokens: `input_ids`, and `labels` where not every token is learned (-100: not learned, not shifted).
//! Positions that an `attention_mask` leaves out are dropped: padding is the batch's business.

use protocol::{Result, Text, text};
use serde_json::Value;

use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::{IGNORE, Record};
use crate::sources::Row;

const INPUT_IDS: Field = Field {
    key: "input_ids",
    columns: &["input_ids", "ids"],
    help: Text::fixed("Token ids: a list of whole numbers", "词元编号：整数列表"),
};
const LABELS: Field = Field {
    key: "labels",
    columns: &["labels"],
    help: Text::fixed(
        "What is learned at each position, or -100; without it every token is",
        "各位置要学习的词元，-100 表示不学习；缺省时学习全部",
    ),
};
const MASK: Field = Field {
    key: "attention_mask",
    columns: &["attention_mask"],
    help: Text::fixed("0 where a position is padding", "填充位置为 0"),
};

pub static FORMAT: Format = Format {
    id: "tokens",
    name: Text::fixed("Tokens", "词元"),
    help: Text::fixed("input_ids and labels, already tokenised", "已分词的 input_ids 与 labels"),
    fields: &[INPUT_IDS, LABELS, MASK],
    detect,
    read,
    write: Some(write),
    judged: None,
};

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(60, ("`input_ids`", "`input_ids`"), |row| row.contains_key("input_ids"))
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let Some(ids) = numbers(row, context, &INPUT_IDS)? else {
        return Err(row.error(Text::fixed("The row has no `input_ids`", "该行没有 `input_ids`")));
    };
    let labels = numbers(row, context, &LABELS)?.unwrap_or_else(|| ids.clone());
    let mask = numbers(row, context, &MASK)?.unwrap_or_else(|| vec![1; ids.len()]);
    if labels.len() != ids.len() || mask.len() != ids.len() {
        let (ids, labels, mask) = (ids.len(), labels.len(), mask.len());
        return Err(row.error(text!(
            "The lists differ in length: {ids} input_ids, {labels} labels, {mask} in the attention mask",
            "各列表长度不一致：input_ids {ids} 个，labels {labels} 个，attention_mask {mask} 个"
        )));
    }
    if ids.is_empty() {
        return Err(row.error(Text::fixed("`input_ids` is empty", "`input_ids` 为空")));
    }
    let mut record = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
    for ((id, label), kept) in ids.into_iter().zip(labels).zip(mask) {
        if kept != 0 {
            // The largest label is a token id.
            let label =
                if label == i64::from(IGNORE) { Ok(IGNORE) } else { checked::<i32>(row, &LABELS, label) };
            record.0.push(checked::<u32>(row, &INPUT_IDS, id)?);
            record.1.push(label?);
        }
    }
    Ok(Record::Tokens { input_ids: record.0, labels: record.1 })
}

/// A token id: not negative, and within the type.
fn checked<T: TryFrom<i64>>(row: &Row, field: &Field, value: i64) -> Result<T> {
    let key = field.key;
    let in_range = if value < 0 || value > i64::from(i32::MAX) { None } else { T::try_from(value).ok() };
    in_range.ok_or_else(|| {
        row.error(text!("`{key}` holds {value}, which is no token id", "`{key}` 中的 {value} 不是词元编号"))
    })
}

fn numbers(row: &Row, context: &FormatContext, field: &Field) -> Result<Option<Vec<i64>>> {
    let key = field.key;
    let shape = || row.error(text!("`{key}` must be a list of whole numbers", "`{key}` 应为整数列表"));
    let value = match context.value(row, field)? {
        None => return Ok(None),
        // Tables hold lists as JSON text.
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| shape())?,
        Some(value) => value,
    };
    let list = value.as_array().ok_or_else(shape)?;
    list.iter().map(|number| number.as_i64().ok_or_else(shape)).collect::<Result<Vec<_>>>().map(Some)
}

fn write(record: &Record) -> Result<Written, Text> {
    match record {
        Record::Tokens { input_ids, labels } => {
            let (ids, labels) = (input_ids.clone(), labels.clone());
            Ok(Written::of([(INPUT_IDS.key, ids.into()), (LABELS.key, labels.into())]))
        }
        _ => Err(Text::fixed("only tokens can be written as tokens", "只有词元可以写成词元格式")),
    }
}

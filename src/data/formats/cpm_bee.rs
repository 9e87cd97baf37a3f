//! CPM-Bee's dicts: texts and further dicts under keys of one's own, and what is to be answered under
//! `<ans>`, which may be a dict itself. A table becomes dicts by an expression that writes one as JSON.

use protocol::{Result, Text, UserError, text};
use serde_json::Value;

use super::turns::TOOL_CALLS;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::bee::{ANSWER, check, conversation, text_pair};
use crate::record::{Message, Record, Role};
use crate::sources::{Row, kind_of};

const DICT: Field = Field {
    key: "dict",
    columns: &[],
    help: Text::fixed(
        "The whole dict as JSON, by an expression; without it the row itself is the dict",
        "用表达式写出的整个字典（JSON）；缺省时行本身就是字典",
    ),
};

pub static FORMAT: Format = Format {
    id: "cpm-bee",
    name: Text::fixed("CPM-Bee", "CPM-Bee"),
    help: Text::fixed(
        "keys of your own with texts or further objects, and what is learned under `<ans>`; <mask_0>, <option_0> and <sep> are special, `<<` is a plain `<`",
        "自定义的键，值为文本或对象，要学习的内容放在 `<ans>` 下；<mask_0>、<option_0>、<sep> 为特殊词元，普通的 `<` 写作 `<<`",
    ),
    fields: &[DICT],
    detect,
    read,
    write: Some(write),
    judged: None,
};

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(90, ("`<ans>`", "`<ans>`"), |row| row.contains_key(ANSWER))
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let Some(fields) = row.fields() else {
        return Err(row.error(Text::fixed("A plain text file has no keys", "纯文本文件没有键")));
    };
    let data = match context.text(row, &DICT)? {
        None => fields.clone(),
        Some(written) => match serde_json::from_str(&written) {
            Ok(Value::Object(data)) => data,
            other => return Err(no_dict(row, other)),
        },
    };
    check(data).map(Record::Dict)
}

fn no_dict(row: &Row, made: std::result::Result<Value, serde_json::Error>) -> UserError {
    let what = match made {
        Ok(value) => kind_of(&value).to_owned(),
        Err(err) => err.to_string(),
    };
    row.error(text!("`dict` must be a JSON object: {what}", "`dict` 应为 JSON 对象：{what}"))
        .at_item("data.columns.dict")
        .mend(Text::fixed(
            "write values as {{ column | tojson }}, which quotes them",
            "请用 {{ 列名 | tojson }} 写出值，它会加上引号",
        ))
}

/// What was said before stands under `input`, parted by `<sep>`.
fn write(record: &Record) -> Result<Written, Text> {
    let fields = match record {
        Record::Dict(data) => data.clone(),
        Record::Conversation { messages, tools } => {
            let with_tools =
                |message: &Message| message.role == Role::Tool || message.extra.contains_key(TOOL_CALLS);
            if tools.is_some() || messages.iter().any(with_tools) {
                return Err(Text::fixed("a dict has no place for tools", "字典中没有工具的位置"));
            }
            if messages.last().is_none_or(|last| last.role != Role::Assistant) {
                return Err(Text::fixed("the last message is no answer", "最后一条消息不是回答"));
            }
            conversation(messages)
        }
        Record::Completion { prompt, completion } => text_pair(Some(prompt), completion),
        Record::Text(text) => text_pair(None, text),
        Record::Tokens { .. } => return Err(Text::fixed("tokens are no words", "词元不是文字")),
    };
    Ok(Written { fields, notes: Vec::new() })
}

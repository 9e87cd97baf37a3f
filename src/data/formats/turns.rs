//! What the conversation formats share: roles, the parts of a message, tools, earlier turns.

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value, json};

use super::{Field, FormatContext};
use crate::record::{Message, Record, Role};
use crate::sources::{Row, kind_of};

pub const SYSTEM: Field = Field {
    key: "system",
    columns: &["system", "system_prompt"],
    help: Text::fixed("What the assistant is told before the conversation", "对话开始前给助手的设定"),
};

pub const TOOLS: Field = Field {
    key: "tools",
    columns: &["tools", "functions"],
    help: Text::fixed("Tools the assistant may call: a JSON list", "助手可调用的工具：JSON 列表"),
};

pub const HISTORY: Field = Field {
    key: "history",
    columns: &["history"],
    help: Text::fixed("Earlier turns: a list of [question, answer]", "此前的对话轮次：[问, 答] 列表"),
};

/// Where a message keeps what tools its speaker calls.
pub const TOOL_CALLS: &str = "tool_calls";

pub fn message(role: Role, content: impl Into<String>) -> Message {
    Message { role, content: content.into(), extra: Map::new() }
}

/// A conversation from its messages, with the row's tools, and its system text in front unless the
/// messages bring their own.
///
/// # Errors
/// When there is no message.
pub fn conversation(row: &Row, context: &FormatContext, mut messages: Vec<Message>) -> Result<Record> {
    if messages.is_empty() {
        return Err(row.error(Text::fixed("The conversation is empty", "对话为空")));
    }
    if let Some(first) = messages.iter_mut().find(|message| message.role == Role::User) {
        first.content = context.prefixed(std::mem::take(&mut first.content));
    }
    let has_system = messages.iter().any(|message| message.role == Role::System);
    if let Some(system) = context.text(row, &SYSTEM)?.filter(|text| !text.is_empty() && !has_system) {
        messages.insert(0, message(Role::System, system));
    }
    let tools = match context.value(row, &TOOLS)? {
        Some(value) => tools(value).map_err(|err| row.place(err))?,
        None => None,
    };
    Ok(Record::Conversation { messages, tools })
}

/// Tool descriptions as templates want them: a list of `{"type": "function", "function": {…}}`. They may
/// come as JSON inside a string, and bare.
fn tools(value: Value) -> Result<Option<Value>> {
    let value = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => serde_json::from_str(&text).map_err(|err| {
            let reason = err.to_string();
            UserError::bad_input(text!(
                "`tools` is not valid JSON: {reason}",
                "`tools` 不是有效的 JSON：{reason}"
            ))
        })?,
        other => other,
    };
    match value {
        Value::Array(items) if items.is_empty() => Ok(None),
        Value::Null => Ok(None),
        Value::Array(items) => Ok(Some(items.into_iter().map(wrap_tool).collect())),
        one @ Value::Object(_) => Ok(Some(Value::Array(vec![wrap_tool(one)]))),
        other => {
            let kind = kind_of(&other);
            Err(UserError::bad_input(text!(
                "`tools` must be a list, and is {kind}",
                "`tools` 应为列表，实际为 {kind}"
            )))
        }
    }
}

fn wrap_tool(tool: Value) -> Value {
    let bare = tool.get("name").is_some() && tool.get("function").is_none() && tool.get("type").is_none();
    if bare { json!({"type": "function", "function": tool}) } else { tool }
}

/// Calls from the text of a function-call turn: one JSON object with a name, or a list of such. None if
/// the text is something else; it then is the assistant's own words.
pub fn tool_calls(text: &str) -> Option<Value> {
    let calls = match serde_json::from_str(text).ok()? {
        Value::Array(calls) if !calls.is_empty() => calls,
        one @ Value::Object(_) => vec![one],
        _ => return None,
    };
    calls.into_iter().map(tool_call).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn tool_call(mut call: Value) -> Option<Value> {
    if call.get("function").is_some() {
        return Some(call);
    }
    call.get("name")?.as_str()?;
    read_arguments(&mut call);
    Some(json!({"type": "function", "function": call}))
}

/// Arguments that are JSON inside a string, as the chat APIs send them, become an object: templates write arguments
/// out as JSON, and would quote a string once more.
pub fn read_arguments(call: &mut Value) {
    if let Some(given) = call.get_mut("arguments")
        && let Some(Ok(arguments @ Value::Object(_))) = given.as_str().map(serde_json::from_str)
    {
        *given = arguments;
    }
}

/// An assistant's turn that calls tools.
pub fn calling(text: &str) -> Message {
    match tool_calls(text) {
        Some(calls) => {
            let mut turn = message(Role::Assistant, "");
            turn.extra.insert(TOOL_CALLS.into(), calls);
            turn
        }
        None => message(Role::Assistant, text),
    }
}

/// Earlier turns as `[[question, answer], …]`.
pub fn history(row: &Row, context: &FormatContext) -> Result<Vec<Message>> {
    let shape = || {
        row.error(Text::fixed(
            "`history` must be a list of [question, answer] pairs of text",
            "`history` 应为 [问, 答] 文本对的列表",
        ))
    };
    let value = match context.value(row, &HISTORY)? {
        None => return Ok(Vec::new()),
        // Tables hold lists as JSON text.
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| shape())?,
        Some(value) => value,
    };
    let mut messages = Vec::new();
    for pair in value.as_array().ok_or_else(shape)? {
        match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(question), Value::String(answer)]) => {
                messages.push(message(Role::User, question));
                messages.push(message(Role::Assistant, answer));
            }
            _ => return Err(shape()),
        }
    }
    Ok(messages)
}

/// The list of turns under a field; tables hold it as JSON text.
pub fn turns(row: &Row, context: &FormatContext, field: &Field) -> Result<Vec<Map<String, Value>>> {
    let key = field.key;
    let shape = || row.error(text!("`{key}` must be a list of objects", "`{key}` 应为对象的列表"));
    let value = match context.value(row, field)? {
        None => {
            let names = super::columns_map::names_of(row);
            return Err(row.error(text!(
                "The row has no `{key}`; it has {names}",
                "该行没有 `{key}`；现有字段：{names}"
            )));
        }
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| shape())?,
        Some(value) => value,
    };
    let Value::Array(turns) = value else { return Err(shape()) };
    turns
        .into_iter()
        .map(|turn| match turn {
            Value::Object(turn) => Ok(turn),
            _ => Err(shape()),
        })
        .collect()
}

/// The first turn of a conversation that a sampled row may hold under one of `columns`.
pub fn first_turn<'a>(fields: &'a Map<String, Value>, columns: &[&str]) -> Option<&'a Map<String, Value>> {
    columns.iter().find_map(|column| fields.get(*column)?.as_array()?.first()?.as_object())
}

pub fn unknown_role(row: &Row, name: &str, turn: usize, known: &str) -> UserError {
    row.error(text!(
        "Turn {turn} is by `{name}`, a role nobody knows; known are {known}",
        "第 {turn} 轮的角色 `{name}` 无法识别；可用角色：{known}"
    ))
}

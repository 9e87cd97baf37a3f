//! Messages: a list of `{"role", "content"}` as the chat APIs have it. Content may be a list of parts; other
//! keys of a message (`tool_calls`, `name`, `loss_weight`, …) are kept for the template.

use protocol::{Result, Text, text};
use serde_json::{Map, Value};

use super::turns::{
    SYSTEM, TOOL_CALLS, TOOLS, conversation, first_turn, message, read_arguments, tool_calls, turns,
    unknown_role,
};
use super::writing::spoken;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::{Message, Record, Role};
use crate::sources::{Row, kind_of};

const MESSAGES: Field = Field {
    key: "messages",
    columns: &["messages", "conversation", "conversations"],
    help: Text::fixed("The messages: a list of {role, content}", "消息：{role, content} 列表"),
};

pub static FORMAT: Format = Format {
    id: "messages",
    name: Text::fixed("Messages", "消息列表"),
    help: Text::fixed("messages with role and content", "messages 列表，每条含 role 与 content"),
    fields: &[MESSAGES, SYSTEM, TOOLS],
    detect,
    read,
    write: Some(write),
    judged: None,
};

const KNOWN: &str = "system, developer, user, assistant, tool";

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(50, ("messages with `role` and `content`", "带 `role` 与 `content` 的消息"), |row| {
        first_turn(row, MESSAGES.columns).is_some_and(|turn| turn.contains_key("role"))
    })
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let turns = turns(row, context, &MESSAGES)?;
    let messages = turns.into_iter().enumerate().map(|(index, turn)| read_message(row, turn, index + 1));
    conversation(row, context, messages.collect::<Result<_>>()?)
}

/// A message `{"role", "content"}`; what else it has is kept.
pub(super) fn read_message(row: &Row, mut turn: Map<String, Value>, number: usize) -> Result<Message> {
    let Some(name) = turn.get("role").and_then(Value::as_str).map(str::to_ascii_lowercase) else {
        return Err(row.error(text!("Message {number} has no `role`", "第 {number} 条消息没有 `role`")));
    };
    let role = match name.as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "model" | "bot" => Role::Assistant,
        "tool" | "function" | "observation" | "ipython" => Role::Tool,
        _ => return Err(unknown_role(row, &name, number, KNOWN)),
    };
    let mut made = message(role, "");
    match turn.shift_remove("content") {
        // An assistant that only calls tools says nothing.
        None | Some(Value::Null) if role == Role::Assistant => {}
        Some(Value::String(content)) => made.content = content,
        Some(Value::Array(parts)) => {
            for part in &parts {
                add_part(&mut made, part).map_err(|what| row.error(at_message(&what, number)))?;
            }
        }
        other => {
            let kind = kind_of(&other.unwrap_or_default());
            let what = text!(
                "`content` must be text or a list of parts, and is {kind}",
                "`content` 应为文本或分段列表，实际为 {kind}"
            );
            return Err(row.error(at_message(&what, number)));
        }
    }
    turn.shift_remove("role");
    if let Some(Value::Array(calls)) = turn.get_mut(TOOL_CALLS) {
        calls.iter_mut().filter_map(|call| call.get_mut("function")).for_each(read_arguments);
    }
    made.extra.extend(turn);
    Ok(made)
}

/// Adds a part of a message: `{"type": "text", "text": …}` (or `"value"`), reasoning, or a tool call.
fn add_part(message: &mut Message, part: &Value) -> Result<(), Text> {
    let body = || ["text", "value", "content", "reasoning"].iter().find_map(|key| part.get(key)?.as_str());
    let kind = part.get("type").and_then(Value::as_str);
    match (kind, part.as_str()) {
        (_, Some(text)) => message.content.push_str(text),
        (Some("text") | None, _) if body().is_some() => message.content.push_str(body().unwrap_or_default()),
        (Some("reasoning" | "thinking"), _) if body().is_some() => {
            append(&mut message.extra, "reasoning_content", body().unwrap_or_default());
        }
        (Some("tool_call"), _) if body().and_then(tool_calls).is_some() => {
            let calls = body().and_then(tool_calls).unwrap_or_default();
            let all = message.extra.entry(TOOL_CALLS).or_insert_with(|| Value::Array(Vec::new()));
            if let (Value::Array(all), Value::Array(calls)) = (all, calls) {
                all.extend(calls);
            }
        }
        (kind, _) => {
            let kind = kind.unwrap_or("?");
            return Err(text!("a part of type `{kind}` cannot be read", "无法读取类型为 `{kind}` 的分段"));
        }
    }
    Ok(())
}

fn append(extra: &mut Map<String, Value>, key: &str, text: &str) {
    match extra.get_mut(key) {
        Some(Value::String(so_far)) => so_far.push_str(text),
        _ => {
            extra.insert(key.to_owned(), Value::String(text.to_owned()));
        }
    }
}

fn at_message(what: &Text, number: usize) -> Text {
    let Text { en, zh } = what;
    text!("Message {number}: {en}", "第 {number} 条消息：{zh}")
}

fn write(record: &Record) -> Result<Written, Text> {
    let spoken = spoken(record)?;
    let mut fields = Map::new();
    fields.insert(MESSAGES.key.into(), spoken.messages.iter().map(write_message).collect());
    if let Some(tools) = &spoken.tools {
        fields.insert(TOOLS.key.into(), tools.clone());
    }
    Ok(spoken.written(fields))
}

fn write_message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut written = Map::new();
    written.insert("role".into(), role.into());
    written.insert("content".into(), message.content.clone().into());
    written.extend(message.extra.clone());
    Value::Object(written)
}

//! ShareGPT: `conversations`, a list of turns with `from` and `value`; also turns `{"human", "assistant"}`.

use protocol::{Result, Text};
use serde_json::{Map, Value};

use super::turns::{
    SYSTEM, TOOL_CALLS, TOOLS, calling, conversation, first_turn, message, turns, unknown_role,
};
use super::writing::spoken;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::{Message, Record, Role};
use crate::sources::Row;

const CONVERSATIONS: Field = Field {
    key: "conversations",
    columns: &["conversations", "conversation", "messages"],
    help: Text::fixed("The turns: a list of {from, value}", "对话轮次：{from, value} 列表"),
};

pub static FORMAT: Format = Format {
    id: "sharegpt",
    name: Text::fixed("ShareGPT", "ShareGPT"),
    help: Text::fixed("conversations with from and value", "conversations 列表，每轮含 from 与 value"),
    fields: &[CONVERSATIONS, SYSTEM, TOOLS],
    detect,
    read,
    write: Some(write),
    judged: None,
};

const KNOWN: &str =
    "human, user, gpt, assistant, bot, model, chatglm, system, function_call, observation, tool";

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(50, ("turns with `from` and `value`", "带 `from` 与 `value` 的对话轮次"), |row| {
        first_turn(row, CONVERSATIONS.columns)
            .is_some_and(|turn| (turn.contains_key("from") && turn.contains_key("value")) || is_pair(turn))
    })
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let mut messages = Vec::new();
    for (index, turn) in turns(row, context, &CONVERSATIONS)?.into_iter().enumerate() {
        if is_pair(&turn) {
            messages.push(message(Role::User, text(row, &turn, "human", index)?));
            messages.push(message(Role::Assistant, text(row, &turn, "assistant", index)?));
        } else {
            messages.push(read_turn(row, turn, index)?);
        }
    }
    conversation(row, context, messages)
}

/// A turn `{"from", "value"}`; what else it has is kept.
pub(super) fn read_turn(row: &Row, mut turn: Map<String, Value>, index: usize) -> Result<Message> {
    let (from, value) = (text(row, &turn, "from", index)?, text(row, &turn, "value", index)?);
    let mut message = match from.to_ascii_lowercase().as_str() {
        "human" | "user" | "prompter" | "question" => message(Role::User, value),
        "gpt" | "assistant" | "bot" | "model" | "chatgpt" | "chatglm" | "bard" | "bing" | "answer" => {
            message(Role::Assistant, value)
        }
        "system" => message(Role::System, value),
        "function_call" | "tool_call" => calling(&value),
        "observation" | "tool" | "function" | "tool_response" | "function_response" => {
            message(Role::Tool, value)
        }
        _ => return Err(unknown_role(row, &from, index + 1, KNOWN)),
    };
    turn.retain(|key, _| key != "from" && key != "value");
    message.extra.extend(turn);
    Ok(message)
}

fn is_pair(turn: &Map<String, Value>) -> bool {
    turn.contains_key("human") && turn.contains_key("assistant")
}

fn text(row: &Row, turn: &Map<String, Value>, key: &str, index: usize) -> Result<String> {
    turn.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        let number = index + 1;
        row.error(protocol::text!(
            "Turn {number} has no text under `{key}`",
            "第 {number} 轮的 `{key}` 没有文本"
        ))
    })
}

fn write(record: &Record) -> Result<Written, Text> {
    let spoken = spoken(record)?;
    let (system, messages) = spoken.system();
    let turns = messages.iter().map(write_turn).collect::<Result<Vec<_>, _>>()?;
    let mut fields = Map::new();
    fields.insert(CONVERSATIONS.key.into(), turns.into());
    if let Some(system) = system {
        fields.insert(SYSTEM.key.into(), system.into());
    }
    if let Some(tools) = &spoken.tools {
        // As text, so that tables can hold it too.
        fields.insert(TOOLS.key.into(), tools.to_string().into());
    }
    Ok(spoken.written(fields))
}

fn write_turn(message: &Message) -> Result<Value, Text> {
    let mut extra = message.extra.clone();
    let calls = extra.shift_remove(TOOL_CALLS).filter(|_| message.role == Role::Assistant);
    let (from, value) = match (message.role, calls) {
        (Role::System, _) => ("system", message.content.clone()),
        (Role::User, _) => ("human", message.content.clone()),
        (Role::Tool, _) => ("observation", message.content.clone()),
        (Role::Assistant, None) => ("gpt", message.content.clone()),
        (Role::Assistant, Some(calls)) if message.content.is_empty() => {
            ("function_call", calls_as_text(calls))
        }
        (Role::Assistant, Some(_)) => {
            return Err(Text::fixed(
                "a turn that both speaks and calls tools has no place in ShareGPT",
                "ShareGPT 无法表示既说话又调用工具的轮次",
            ));
        }
    };
    let mut turn = Map::new();
    turn.insert("from".into(), from.into());
    turn.insert("value".into(), value.into());
    turn.extend(extra);
    Ok(Value::Object(turn))
}

/// Name and arguments of a call; a list of several. A call that has more (an id) is written whole.
fn calls_as_text(calls: Value) -> String {
    let bare = |call: Value| match call {
        Value::Object(mut call)
            if call.len() == 2 && call.get("type").is_some_and(|kind| kind == "function") =>
        {
            call.shift_remove("function").unwrap_or_default()
        }
        other => other,
    };
    let calls = match calls {
        Value::Array(calls) => calls,
        one => vec![one],
    };
    let mut calls: Vec<_> = calls.into_iter().map(bare).collect();
    match calls.len() {
        1 => calls.remove(0).to_string(),
        _ => Value::Array(calls).to_string(),
    }
}

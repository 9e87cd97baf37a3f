//! ShareGPT: `conversations`, a list of turns with `from` and `value`; also turns `{"human", "assistant"}`.

use protocol::{Result, Text};
use serde_json::{Map, Value};

use super::turns::{SYSTEM, TOOLS, calling, conversation, first_turn, message, turns, unknown_role};
use super::{Detection, Field, Format, FormatContext, Sample};
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

fn read_turn(row: &Row, mut turn: Map<String, Value>, index: usize) -> Result<Message> {
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

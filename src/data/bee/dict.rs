//! The dicts that rows are: what may stand in them, and which dict a conversation or a text becomes.

use protocol::{Result, Text, UserError, text};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

use crate::random::{generator, shuffle};
use crate::record::{Draw, Message, Role};
use crate::sources::kind_of;
use crate::tokenizer::escape;

/// The key below which everything is to be answered.
pub(crate) const ANSWER: &str = "<ans>";
const INPUT: &str = "input";
const PROMPT: &str = "prompt";
/// Deeper dicts are refused: relations end at 7 steps, and recursion must end somewhere.
const DEEPEST: usize = 64;

/// Looks a dict through: values are texts (numbers and truth values are written out), or dicts.
///
/// # Errors
/// Names the key of what cannot stand there, or that there is no answer.
pub(crate) fn check(data: Map<String, Value>) -> Result<Map<String, Value>> {
    if !data.contains_key(ANSWER) {
        let keys: Vec<_> = data.keys().take(12).map(|key| format!("`{key}`")).collect();
        let keys = keys.join(", ");
        return Err(UserError::bad_input(text!(
            "The row has no `<ans>`; it has {keys}",
            "该行没有 `<ans>`；现有字段：{keys}"
        ))
        .mend(Text::fixed(
            "put what is to be answered under the key `<ans>`",
            "请将要回答的内容放在键 `<ans>` 下",
        )));
    }
    values(data, 1)
}

fn values(data: Map<String, Value>, depth: usize) -> Result<Map<String, Value>> {
    if depth > DEEPEST {
        return Err(UserError::bad_input(text!(
            "The row is nested deeper than {DEEPEST} levels",
            "该行的嵌套超过 {DEEPEST} 层"
        )));
    }
    data.into_iter().map(|(key, value)| Ok((key.clone(), checked(&key, value, depth)?))).collect()
}

fn checked(key: &str, value: Value, depth: usize) -> Result<Value> {
    match value {
        Value::String(_) => Ok(value),
        Value::Number(_) | Value::Bool(_) => Ok(Value::String(value.to_string())),
        Value::Object(inner) => Ok(Value::Object(values(inner, depth + 1)?)),
        Value::Null | Value::Array(_) => {
            let kind = kind_of(&value);
            Err(UserError::bad_input(text!(
                "`{key}` must be text or an object, and is {kind}",
                "`{key}` 应为文本或对象，实际为 {kind}"
            )))
        }
    }
}

/// The dict with the answers of each level in another order, as the reference reads it each time in training:
/// which answer comes first is not to be learned.
pub(crate) fn shuffled(mut data: Map<String, Value>, draw: Draw) -> Map<String, Value> {
    let mut rng = generator(draw.seed, "answers", (draw.epoch << 32) | u64::from(draw.example));
    if let Some(answer) = data.get_mut(ANSWER) {
        shuffle_below(answer, &mut rng);
    }
    data
}

fn shuffle_below(value: &mut Value, rng: &mut ChaCha8Rng) {
    let Value::Object(inner) = value else { return };
    let mut entries: Vec<_> = std::mem::take(inner).into_iter().map(Some).collect();
    let mut order: Vec<u32> = (0..).take(entries.len()).collect();
    shuffle(rng, &mut order);
    for at in order {
        if let Some((key, mut value)) = entries[at as usize].take() {
            shuffle_below(&mut value, rng);
            inner.insert(key, value);
        }
    }
}

/// The dict of a conversation: what was said before stands in `input`, parted by `<sep>`; system messages
/// in `prompt`; the answer to the last question is asked for.
pub(crate) fn conversation(messages: &[Message]) -> Map<String, Value> {
    let (last, before) = match messages.split_last() {
        Some((last, before)) if last.role == Role::Assistant => (last.content.as_str(), before),
        _ => ("", messages),
    };
    let said = |system: bool| -> Vec<String> {
        let of = |message: &&Message| (message.role == Role::System) == system;
        before.iter().filter(of).map(|message| escape(&message.content).into_owned()).collect()
    };
    let mut data = Map::new();
    data.insert(INPUT.into(), said(false).join("<sep>").into());
    let prompt = said(true).join("\n");
    if !prompt.is_empty() {
        data.insert(PROMPT.into(), prompt.into());
    }
    data.insert(ANSWER.into(), escape(last).into_owned().into());
    data
}

/// The dict of a question (none for text alone) and its answer.
pub(crate) fn text_pair(question: Option<&str>, answer: &str) -> Map<String, Value> {
    let mut data = Map::new();
    if let Some(question) = question {
        data.insert(INPUT.into(), escape(question).into_owned().into());
    }
    data.insert(ANSWER.into(), escape(answer).into_owned().into());
    data
}

/// A dict as question and answer, for models that read plain text: every key but `<ans>` on a line of its
/// own, and of a nested answer its JSON.
pub(crate) fn flat(data: &Map<String, Value>) -> (String, String) {
    let written = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = |(key, value): (&String, &Value)| format!("{key}: {}", written(value));
    let others: Vec<_> = data.iter().filter(|(key, _)| *key != ANSWER).collect();
    let question = match others.as_slice() {
        [(_, only)] => written(only),
        several => several.iter().copied().map(line).collect::<Vec<_>>().join("\n"),
    };
    (question, data.get(ANSWER).map(written).unwrap_or_default())
}

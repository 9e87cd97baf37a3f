//! Changes of JSON values.

use serde_json::{Number, Value};

use crate::harness::Dice;

/// Values nested so deeply that a parser which recurses ends.
const DEEP: usize = 100_000;
/// Nesting that parsers accept, and what comes after them may not.
const NESTED: usize = 120;

pub const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "18446744073709551616",
    "9007199254740993",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\\",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\u{feff}",
    "[0]",
    "\"weight_map\":",
    "\"../x\"",
    "\n",
    "\"content\":",
    "\"role\":\"assistant\"",
    "\"messages\":[",
];

/// Whether there was something to change.
pub fn change(content: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let Ok(mut value) = serde_json::from_slice::<Value>(content) else { return false };
    if dice.once_in(25) {
        return change_text(content, &value, dice);
    }
    let nodes = count(&value);
    let lent = nth(&mut value, &mut dice.below(nodes)).cloned().unwrap_or_default();
    if let Some(node) = nth(&mut value, &mut dice.below(nodes)) {
        edit(node, lent, dice);
    }
    *content = value.to_string().into_bytes();
    true
}

/// What a tree of values cannot hold: keys twice, endless nesting, numbers with too many digits.
fn change_text(content: &mut Vec<u8>, value: &Value, dice: &mut Dice) -> bool {
    let text = value.to_string();
    let entries = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    *content = match (dice.below(5), entries) {
        (0, Some(entries)) => format!("{{{entries},{entries}}}"),
        (1, _) => format!("{}{text}", "[".repeat(DEEP)),
        (2, _) => format!("{}{text}{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)),
        (3, _) => text.replacen(|c: char| c.is_ascii_digit(), &"9".repeat(400), 1),
        _ => format!("{text}{text}"),
    }
    .into_bytes();
    true
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(entries) => entries.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The node at a place in the order of the text.
fn nth<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, place)),
        Value::Object(entries) => entries.values_mut().find_map(|item| nth(item, place)),
        _ => None,
    }
}

fn edit(node: &mut Value, lent: Value, dice: &mut Dice) {
    match (node, dice.below(4)) {
        (Value::Number(number), 0..=2) => *number = other_number(number, dice),
        (Value::Array(items), 0..=2) if !items.is_empty() => edit_list(items, lent, dice),
        (Value::Object(entries), 0..=2) if !entries.is_empty() => {
            let key = entries.keys().nth(dice.below(entries.len())).cloned().unwrap_or_default();
            let mut value = entries.get(&key).cloned().unwrap_or_default();
            match dice.below(4) {
                0 => drop(entries.shift_remove(&key)),
                1 => drop(entries.insert(text(dice), value)),
                2 => {
                    let other = entries.keys().nth(dice.below(entries.len())).cloned().unwrap_or_default();
                    entries.insert(other, value);
                }
                _ => {
                    edit(&mut value, lent, dice);
                    entries.insert(key, value);
                }
            }
        }
        (node, 3) => *node = lent,
        (node, _) => *node = scalar(dice),
    }
}

fn edit_list(items: &mut Vec<Value>, lent: Value, dice: &mut Dice) {
    let (at, other) = (dice.below(items.len()), dice.below(items.len()));
    match dice.below(5) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[other].clone()),
        2 => items.swap(at, other),
        3 => items.insert(at, lent),
        _ => {
            let many = 1 << dice.below(8);
            let item = items[at].clone();
            items.extend(std::iter::repeat_n(item, many));
        }
    }
}

fn other_number(number: &Number, dice: &mut Dice) -> Number {
    match (number.as_u64(), dice.below(5)) {
        (Some(whole), 0..=3) => dice.near(whole).into(),
        _ => {
            let near = number.as_f64().unwrap_or(1.0);
            let extremes =
                [-near, 0.0, -0.0, 0.5, near * 1e30, 1e308, -1e308, 1e-320, f64::EPSILON, near + 0.5];
            Number::from_f64(*dice.pick(&extremes)).unwrap_or_else(|| 0.into())
        }
    }
}

fn scalar(dice: &mut Dice) -> Value {
    match dice.below(9) {
        0 => Value::Null,
        1 => Value::Bool(dice.once_in(2)),
        2 => dice.extreme().into(),
        3 => (-(dice.extreme() as i64 >> 1)).into(),
        4 => Value::String(text(dice)),
        5 => Value::Array(Vec::new()),
        6 => Value::Object(serde_json::Map::new()),
        7 => (0..dice.below(NESTED)).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        _ => Number::from_f64(f64::from_bits(dice.bits())).map_or(Value::Null, Value::Number),
    }
}

fn text(dice: &mut Dice) -> String {
    const TEXTS: [&str; 14] = [
        "",
        "a",
        "..",
        "../x",
        "/",
        "\0",
        "\u{feff}",
        "\u{10ffff}",
        "é",
        "[",
        "(?=",
        "(a*)*$",
        "F32",
        "default",
    ];
    match dice.below(TEXTS.len() + 1) {
        0 => "a".repeat(1 << dice.below(16)),
        n => TEXTS[n - 1].to_owned(),
    }
}

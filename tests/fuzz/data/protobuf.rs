//! Changes of protocol buffers by fields: lengths in front of what was changed stay right, unless they are the change.

use super::formats::TEXT;
use crate::harness::Dice;
use crate::harness::mutate::bytes;

#[derive(Clone, Debug)]
struct Field {
    number: u64,
    kind: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    /// Of kind 1 or 5.
    Raw(Vec<u8>),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for at in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take(bytes: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part.to_vec())
}

/// The fields of a message; what cannot be read is left out.
fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let Some(tag) = varint(&mut bytes) else { break };
        let value = match tag & 7 {
            0 => varint(&mut bytes).map(Value::Varint),
            1 => take(&mut bytes, 8).map(Value::Raw),
            5 => take(&mut bytes, 4).map(Value::Raw),
            2 => varint(&mut bytes)
                .and_then(|length| take(&mut bytes, usize::try_from(length).ok()?))
                .map(Value::Bytes),
            _ => None,
        };
        let Some(value) = value else { break };
        found.push(Field { number: tag >> 3, kind: tag & 7, value });
    }
    found
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn written(fields: &[Field], dice: &mut Dice) -> Vec<u8> {
    let lie = dice.once_in(15).then(|| dice.below(fields.len()));
    let mut out = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        put_varint(&mut out, field.number << 3 | field.kind);
        match &field.value {
            Value::Varint(number) => put_varint(&mut out, *number),
            Value::Raw(raw) => out.extend(raw),
            Value::Bytes(bytes) => {
                let length = bytes.len() as u64;
                put_varint(&mut out, if lie == Some(at) { dice.near(length) } else { length });
                out.extend(bytes);
            }
        }
    }
    out
}

/// Whether there was something to change.
pub fn change(content: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let mut found = fields(content);
    if found.is_empty() {
        return false;
    }
    // The settings lie behind thousands of pieces.
    let rare: Vec<usize> = (0..found.len()).filter(|at| found[*at].number != 1).collect();
    let at = if rare.is_empty() || dice.once_in(2) { dice.below(found.len()) } else { *dice.pick(&rare) };
    let inside = matches!(found[at].value, Value::Bytes(_)) && !dice.once_in(4);
    if inside && let Value::Bytes(message) = &mut found[at].value {
        let mut inner = fields(message);
        if !inner.is_empty() {
            let place = dice.below(inner.len());
            edit(&mut inner, place, dice);
            *message = written(&inner, dice);
        }
    } else {
        edit(&mut found, at, dice);
    }
    *content = written(&found, dice);
    true
}

fn edit(fields: &mut Vec<Field>, at: usize, dice: &mut Dice) {
    let other = dice.below(fields.len());
    match dice.below(9) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, fields[other].clone()),
        2 => fields.swap(at, other),
        3 => fields[at].number = dice.near(fields[at].number) & 0x1FFF_FFFF,
        4 => fields[at].kind = dice.below(8) as u64,
        5 => fields[at].value = fields[other].value.clone(),
        _ => match &mut fields[at].value {
            Value::Varint(number) => *number = dice.near(*number),
            Value::Raw(raw) => {
                let bits =
                    dice.pick(&[0u32, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F7F_FFFF, 1, 0x8000_0000]);
                raw.iter_mut().zip(bits.to_le_bytes()).for_each(|(byte, new)| *byte = new);
            }
            Value::Bytes(bytes) => bytes::change(bytes, &[], TEXT, dice),
        },
    }
}

//! Changes of pickles by instructions: what follows stays readable.

use std::ops::Range;

use crate::harness::Dice;

/// What stands behind an instruction's byte.
enum Argument {
    Fixed(usize),
    /// A length of so many bytes, and as many bytes as it says.
    Counted(usize),
    Lines(usize),
}

fn argument(opcode: u8) -> Argument {
    match opcode {
        0x80 | b'K' | b'q' | b'h' | 0x82 => Argument::Fixed(1),
        b'M' | 0x83 => Argument::Fixed(2),
        b'J' | b'r' | b'j' | 0x84 => Argument::Fixed(4),
        0x95 | b'G' => Argument::Fixed(8),
        0x8a | b'U' | b'C' | 0x8c => Argument::Counted(1),
        0x8b | b'X' | b'B' | b'T' => Argument::Counted(4),
        0x8d | 0x8e | 0x96 => Argument::Counted(8),
        b'c' | b'i' => Argument::Lines(2),
        b'I' | b'L' | b'F' | b'S' | b'V' | b'p' | b'g' | b'P' => Argument::Lines(1),
        _ => Argument::Fixed(0),
    }
}

/// Where the instructions of the pickles lie that the bytes begin with: one, or those of a legacy file.
fn instructions(bytes: &[u8]) -> Vec<Range<usize>> {
    const PICKLES: usize = 5;
    let (mut found, mut at, mut stops) = (Vec::new(), 0, 0);
    while at < bytes.len() && stops < PICKLES {
        let rest = &bytes[at + 1..];
        let length = match argument(bytes[at]) {
            Argument::Fixed(length) => Some(length),
            Argument::Counted(width) => rest.get(..width).and_then(|raw| {
                let mut full = [0; 8];
                full[..width].copy_from_slice(raw);
                usize::try_from(u64::from_le_bytes(full)).ok()?.checked_add(width)
            }),
            Argument::Lines(count) => {
                let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                ends.map(|(at, _)| at + 1).nth(count - 1)
            }
        };
        let Some(end) =
            length.and_then(|length| (at + 1).checked_add(length)).filter(|end| *end <= bytes.len())
        else {
            break;
        };
        found.push(at..end);
        // Behind STOP the next pickle begins with its protocol, or there is none.
        stops += usize::from(bytes[at] == b'.');
        at = end;
        if bytes.get(at - 1) == Some(&b'.') && bytes.get(at) != Some(&0x80) {
            break;
        }
    }
    found
}

/// Whether there was something to change.
pub fn change(bytes: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let found = instructions(bytes);
    if found.is_empty() {
        return false;
    }
    let one = dice.pick(&found).clone();
    let other = bytes[dice.pick(&found).clone()].to_vec();
    match dice.below(8) {
        0 => drop(bytes.drain(one)),
        1 => insert(bytes, one.start, &other),
        2 => drop(bytes.splice(one, other)),
        3 => insert(bytes, one.start, &bare(dice)),
        4 => drop(bytes.splice(one, bare(dice))),
        5 => {
            let run = dice.run(found.len());
            let part = found[run].iter().flat_map(|range| bytes[range.clone()].to_vec()).collect::<Vec<_>>();
            let times = 1 << dice.below(if part.len() < 64 { 10 } else { 3 });
            insert(bytes, one.start, &part.repeat(times));
        }
        6 => bytes[one.start] = twin(bytes[one.start], dice),
        _ => integer(bytes, &found, dice),
    }
    true
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// An instruction without an argument, or one that makes a number.
fn bare(dice: &mut Dice) -> Vec<u8> {
    const BARE: &[u8] = b"})](.Ntusae\x85\x86\x87RbQ\x88\x89\x93\x94\x81\x8f012ldo";
    if dice.once_in(3) { long(dice.extreme()) } else { vec![*dice.pick(BARE)] }
}

fn long(number: u64) -> Vec<u8> {
    [&[0x8a, 8][..], &number.to_le_bytes()].concat()
}

/// An instruction with an argument of the same form.
fn twin(opcode: u8, dice: &mut Dice) -> u8 {
    let same: &[u8] = match opcode {
        b'K' | b'q' | b'h' => b"Kqh",
        b'J' | b'r' | b'j' => b"Jrj",
        b'X' | b'T' | b'B' | 0x8b => b"XTB\x8b",
        b'U' | b'C' | 0x8c | 0x8a => b"UC\x8c\x8a",
        _ => b")]}N\x85\x86tsuae\x88",
    };
    *dice.pick(same)
}

/// A number that the pickle pushes becomes another.
fn integer(bytes: &mut Vec<u8>, found: &[Range<usize>], dice: &mut Dice) {
    let numbers: Vec<&Range<usize>> =
        found.iter().filter(|range| matches!(bytes[range.start], b'K' | b'M' | b'J' | 0x8a)).collect();
    if numbers.is_empty() {
        return;
    }
    let range = (*dice.pick(&numbers)).clone();
    let skip = if bytes[range.start] == 0x8a { 2 } else { 1 };
    let mut full = [0; 8];
    let raw = &bytes[(range.start + skip).min(range.end)..range.end];
    full[..raw.len().min(8)].copy_from_slice(&raw[..raw.len().min(8)]);
    let number = long(dice.near(u64::from_le_bytes(full)));
    bytes.splice(range, number);
}

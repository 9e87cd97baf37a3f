//! Changes that know no format.

use crate::harness::Dice;

/// Longest run that is repeated often.
const SHORT: usize = 64;

pub fn change(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], dice: &mut Dice) {
    let run = dice.run(bytes.len());
    let at = dice.below(bytes.len() + 1);
    match dice.below(14) {
        0 => flip(bytes, dice),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.bits() as u8),
        2 => drop(bytes.drain(run)),
        3 => repeat(bytes, dice),
        4 => insert(bytes, at, &random(dice)),
        5..=7 => integer(bytes, dice),
        8 => {
            let part = bytes[run].to_vec();
            insert(bytes, at, &part);
        }
        9 => bytes.truncate(at),
        10 if !words.is_empty() => insert(bytes, at, dice.pick(words).as_bytes()),
        11 if !words.is_empty() => {
            let word = dice.pick(words).as_bytes();
            bytes.splice(run, word.iter().copied());
        }
        12 => {
            let lent = dice.run(other.len());
            bytes.splice(run, other[lent].iter().copied());
        }
        _ => {
            // The first part of one and the last of the other.
            bytes.truncate(at);
            bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
    }
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << dice.below(8);
    }
}

fn random(dice: &mut Dice) -> Vec<u8> {
    let length = 1 + dice.below(16);
    let same = dice.once_in(2).then(|| dice.bits() as u8);
    (0..length).map(|_| same.unwrap_or_else(|| dice.bits() as u8)).collect()
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

fn repeat(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let run = dice.run(bytes.len().min(SHORT));
    let start = dice.below(bytes.len() - run.len() + 1);
    let part = bytes[start..start + run.len()].to_vec();
    let times = 1 << dice.below(10);
    insert(bytes, start, &part.repeat(times));
}

/// An integer of 1, 2, 4 or 8 bytes, in either order, becomes another.
fn integer(bytes: &mut [u8], dice: &mut Dice) {
    let width = 1 << dice.below(4);
    if bytes.len() < width {
        return;
    }
    let at = dice.below(bytes.len() - width + 1);
    let place = &mut bytes[at..at + width];
    let mut full = [0; 8];
    full[..width].copy_from_slice(place);
    let number = dice.near(u64::from_le_bytes(full)).to_le_bytes();
    place.copy_from_slice(&number[..width]);
    if dice.once_in(8) {
        place.reverse();
    }
}

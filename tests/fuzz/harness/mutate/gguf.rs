//! Changes of GGUF files by entries: the data stay where the head says, unless that is the change.

use std::ops::Range;

use crate::harness::Dice;

const ALIGNMENT: usize = 32;

pub const WORDS: &[&str] = &[
    "GGUF",
    "general.architecture",
    "general.alignment",
    "llama",
    "llama.block_count",
    "split.count",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.model",
    "blk.0.",
    ".weight",
    "token_embd.weight",
];

/// A head taken apart.
struct Head {
    version: [u8; 4],
    entries: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Range<usize>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self, length: usize) -> Option<()> {
        self.at = self.at.checked_add(length).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn number(&mut self, width: usize) -> Option<u64> {
        let start = self.at;
        self.skip(width)?;
        let mut full = [0; 8];
        full[..width].copy_from_slice(&self.bytes[start..self.at]);
        Some(u64::from_le_bytes(full))
    }

    fn text(&mut self) -> Option<()> {
        let length = self.number(8)?;
        self.skip(usize::try_from(length).ok()?)
    }

    fn value(&mut self, kind: u64) -> Option<()> {
        match kind {
            0 | 1 | 7 => self.skip(1),
            2 | 3 => self.skip(2),
            4..=6 => self.skip(4),
            8 => self.text(),
            9 => {
                let kind = self.number(4)?;
                let count = self.number(8)?;
                (0..count).try_for_each(|_| self.value(kind))
            }
            10..=12 => self.skip(8),
            _ => None,
        }
    }

    fn tensor(&mut self) -> Option<()> {
        self.text()?;
        let dimensions = self.number(4)?;
        self.skip(usize::try_from(dimensions).ok()?.checked_mul(8)?.checked_add(12)?)
    }
}

fn head(bytes: &[u8]) -> Option<Head> {
    let mut reader = Reader { bytes, at: 4 };
    let version = bytes.get(4..8)?.try_into().ok()?;
    reader.skip(4)?;
    let (tensors, entries) = (reader.number(8)?, reader.number(8)?);
    let mut cut = |count: u64, read: fn(&mut Reader<'_>) -> Option<()>| -> Option<Vec<Vec<u8>>> {
        (0..count)
            .map(|_| {
                let start = reader.at;
                read(&mut reader)?;
                Some(bytes[start..reader.at].to_vec())
            })
            .collect()
    };
    let entries = cut(entries, |reader| {
        reader.text()?;
        let kind = reader.number(4)?;
        reader.value(kind)
    })?;
    let tensors = cut(tensors, |reader| reader.tensor())?;
    let start = reader.at.next_multiple_of(ALIGNMENT).min(bytes.len());
    Some(Head { version, entries, tensors, data: start..bytes.len() })
}

/// Whether there was something to change.
pub fn change(bytes: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let Some(mut head) = head(bytes) else { return false };
    let list = if dice.once_in(3) { &mut head.tensors } else { &mut head.entries };
    if list.is_empty() {
        return false;
    }
    let (at, other) = (dice.below(list.len()), dice.below(list.len()));
    match dice.below(10) {
        0 => drop(list.remove(at)),
        1 => list.insert(at, list[other].clone()),
        2 => list.swap(at, other),
        _ => change_one(&mut list[at], dice),
    }
    let data = bytes[head.data.clone()].to_vec();
    let mut count = |list: &[Vec<u8>]| {
        let count = list.len() as u64;
        if dice.once_in(40) { dice.near(count) } else { count }
    };
    let counts = [count(&head.tensors), count(&head.entries)].map(u64::to_le_bytes).concat();
    let mut out =
        [&b"GGUF"[..], &head.version, &counts, &head.entries.concat(), &head.tensors.concat()].concat();
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out.extend(data);
    *bytes = out;
    true
}

/// Changes one entry behind its name, as a rule: type, count, dimensions, offset, numbers.
fn change_one(entry: &mut Vec<u8>, dice: &mut Dice) {
    let name = entry.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    let behind = (8 + name).min(entry.len());
    let mut rest = if dice.once_in(5) { std::mem::take(entry) } else { entry.split_off(behind) };
    // The first four bytes are a type or a number of dimensions: both are small.
    if dice.once_in(4) && rest.len() >= 4 {
        rest[0] = dice.below(14) as u8;
    } else {
        let width = if rest.len() >= 8 && dice.once_in(2) { 8 } else { 4.min(rest.len()) };
        let at = dice.below((rest.len() - width) / 4 + 1) * 4;
        let mut full = [0; 8];
        full[..width].copy_from_slice(&rest[at..at + width]);
        let number = dice.near(u64::from_le_bytes(full)).to_le_bytes();
        rest[at..at + width].copy_from_slice(&number[..width]);
    }
    entry.extend(rest);
}

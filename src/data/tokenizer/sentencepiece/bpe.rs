//! Byte-pair encoding by SentencePiece's rule: of all neighbours whose joined text is a piece, those with the best
//! score are joined first, the leftmost among equals. The tokenizers crate orders pairs instead, so that
//! pieces of one score (vocabularies merged from two) come out otherwise.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::neighbours::Neighbours;
use super::proto::{Piece, PieceKind};
use super::trie::Trie;

/// A piece of a string: its id (None: there is none), and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub id: Option<u32>,
    pub start: u32,
    pub end: u32,
}

#[derive(Debug)]
pub(super) struct Bpe {
    /// Pieces that texts are joined to, their scores, and whether they are but steps on the way.
    pieces: HashMap<Box<str>, Entry>,
    /// Pieces that are never parted or joined.
    user_defined: Trie,
    /// Characters that stand side by side in some piece: no piece reaches across others.
    neighbours: Neighbours,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u32,
    score: f32,
    unused: bool,
}

/// A part of the string; joined parts leave the left one, longer, and the right one, empty.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: u32,
    end: u32,
    before: u32,
    after: u32,
    fixed: bool,
}

const NOWHERE: u32 = u32::MAX;

/// Two neighbours that can be joined.
#[derive(Clone, Copy, Debug)]
struct Pair {
    score: f32,
    left: u32,
    right: u32,
    /// Bytes of both: another number tells that one of them has changed since.
    length: u32,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl Bpe {
    pub fn new(pieces: &[Piece]) -> Self {
        use PieceKind::{Normal, Unused, UserDefined};
        let of_text = |piece: &Piece| matches!(piece.kind, Normal | Unused | UserDefined);
        let texts = || pieces.iter().zip(0..).filter(|(piece, _)| of_text(piece));
        let entry = |(piece, id): (&Piece, u32)| {
            // Zero and minus zero are one score.
            let score = piece.score + 0.0;
            (piece.text.as_str().into(), Entry { id, score, unused: piece.kind == Unused })
        };
        let defined = texts().filter(|(piece, _)| piece.kind == UserDefined);
        Self {
            user_defined: Trie::new(defined.map(|(piece, id)| (piece.text.as_str(), id))),
            neighbours: Neighbours::of(texts().map(|(piece, _)| piece.text.as_str())),
            pieces: texts().map(entry).collect(),
        }
    }

    /// Hands `take` the parts of a string that are encoded by themselves, in order: no piece reaches from one into
    /// the next.
    pub fn words<'a, E>(
        &self,
        text: &'a str,
        mut take: impl FnMut(&'a str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        let mut before = None;
        for (at, character) in text.char_indices() {
            if before.is_some_and(|before| !self.neighbours.may_hold(before, character)) {
                take(&text[start..at])?;
                start = at;
            }
            before = Some(character);
        }
        if start < text.len() { take(&text[start..]) } else { Ok(()) }
    }

    /// Parts of the string with their ids, in order.
    pub fn encode(&self, text: &str) -> Vec<Found> {
        if let Some(whole) = self.single(text) {
            return vec![whole];
        }
        let mut symbols = self.symbols(text);
        let mut agenda = BinaryHeap::with_capacity(symbols.len());
        for right in 1..symbols.len() as u32 {
            agenda.extend(self.pair(text, &symbols, right - 1, right));
        }
        // How pieces that are but steps on the way came about.
        let mut steps = HashMap::new();
        while let Some(Pair { left, right, length, .. }) = agenda.pop() {
            let (first, second) = (symbols[left as usize], symbols[right as usize]);
            let empty = first.start == first.end || second.start == second.end;
            if empty || second.end - first.start != length || first.after != right {
                continue;
            }
            let joined = (first.start, second.end);
            if self.entry(text, joined).is_some_and(|entry| entry.unused) {
                steps.insert(joined, first.end);
            }
            symbols[left as usize].end = second.end;
            symbols[left as usize].after = second.after;
            symbols[right as usize].start = second.end;
            if second.after != NOWHERE {
                symbols[second.after as usize].before = left;
                agenda.extend(self.pair(text, &symbols, left, second.after));
            }
            if first.before != NOWHERE {
                agenda.extend(self.pair(text, &symbols, first.before, left));
            }
        }
        let mut found = Vec::new();
        for symbol in symbols.iter().filter(|symbol| symbol.start < symbol.end) {
            self.give(text, (symbol.start, symbol.end), &steps, &mut found);
        }
        found
    }

    /// The whole string as one character.
    fn single(&self, text: &str) -> Option<Found> {
        let mut characters = text.chars();
        (characters.next().is_some() && characters.next().is_none()).then(|| {
            let range = (0, text.len() as u32);
            let entry = self.entry(text, range).filter(|entry| !entry.unused);
            Found { id: entry.map(|entry| entry.id), start: range.0, end: range.1 }
        })
    }

    fn symbols(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let defined = self.user_defined.longest(&text.as_bytes()[at..]);
            let length = defined.map_or(character.len_utf8(), |(length, _)| length);
            let number = symbols.len() as u32;
            symbols.push(Symbol {
                start: at as u32,
                end: (at + length) as u32,
                before: number.checked_sub(1).unwrap_or(NOWHERE),
                after: number + 1,
                fixed: defined.is_some(),
            });
            at += length;
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NOWHERE;
        }
        symbols
    }

    fn entry(&self, text: &str, (start, end): (u32, u32)) -> Option<&Entry> {
        self.pieces.get(&text[start as usize..end as usize])
    }

    fn pair(&self, text: &str, symbols: &[Symbol], left: u32, right: u32) -> Option<Pair> {
        let (first, second) = (symbols[left as usize], symbols[right as usize]);
        if first.fixed || second.fixed {
            return None;
        }
        let score = self.entry(text, (first.start, second.end))?.score;
        Some(Pair { score, left, right, length: second.end - first.start })
    }

    /// A part as pieces: one that is but a step is taken apart again.
    fn give(&self, text: &str, part: (u32, u32), steps: &HashMap<(u32, u32), u32>, found: &mut Vec<Found>) {
        let mut open = vec![part];
        while let Some((start, end)) = open.pop() {
            let entry = self.entry(text, (start, end));
            match (entry.filter(|entry| entry.unused), steps.get(&(start, end))) {
                (Some(_), Some(border)) => open.extend([(*border, end), (start, *border)]),
                (Some(_), None) => found.push(Found { id: None, start, end }),
                (None, _) => found.push(Found { id: entry.map(|entry| entry.id), start, end }),
            }
        }
    }
}

//! Byte-pair encoding's loop: counts of pairs are kept up to date word by word, so that a merge costs only the words
//! it is in. Equal counts are decided by the order of the characters, so that equal texts give equal pieces.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::words::Words;

/// In characters, as SentencePiece's `max_sentencepiece_length`.
const LONGEST: usize = 16;
/// In place of a character that is too rare: nothing is joined with it.
const RARE: u32 = u32::MAX;

type Pair = (u32, u32);

/// Pieces so far, and the words in them.
pub(super) struct Merges {
    symbols: Vec<String>,
    ids: HashMap<String, u32>,
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, Found>,
    /// May hold counts of the past, which are then left out.
    best: BinaryHeap<(u64, Reverse<Pair>)>,
}

/// How often a pair stands in all texts, and the words it may stand in.
#[derive(Default)]
struct Found {
    count: u64,
    words: HashSet<u32>,
}

impl Merges {
    /// Also gives the characters that are used, most frequent first.
    pub fn new(words: Words, coverage: f64) -> (Self, Vec<(char, u64)>) {
        let mut words: Vec<(Box<str>, u64)> = words.counts.into_iter().collect();
        words.sort_unstable();
        let characters = covering(&words, coverage);
        let mut alphabet: Vec<char> = characters.iter().map(|(c, _)| *c).collect();
        alphabet.sort_unstable();
        let symbols: Vec<String> = alphabet.iter().map(char::to_string).collect();
        let ids: HashMap<String, u32> = symbols.iter().cloned().zip(0..).collect();
        let place: HashMap<char, u32> = alphabet.into_iter().zip(0..).collect();
        let spell = |word: &str| word.chars().map(|c| place.get(&c).copied().unwrap_or(RARE)).collect();
        let words = words.into_iter().map(|(word, count)| (spell(&word), count)).collect();
        let mut merges = Self { symbols, ids, words, pairs: HashMap::new(), best: BinaryHeap::new() };
        for at in 0..merges.words.len() {
            merges.count(at as u32, true);
        }
        let all = merges.pairs.iter().map(|(pair, found)| (found.count, Reverse(*pair)));
        merges.best = all.collect();
        (merges, characters)
    }

    /// The next piece and how often its pair was seen; None when nothing is left to join.
    pub fn next(&mut self) -> Option<(String, u64)> {
        loop {
            let (count, Reverse(pair)) = self.best.pop()?;
            let Some(found) = self.pairs.get(&pair).filter(|found| found.count == count && count > 0) else {
                continue;
            };
            let words: Vec<u32> = found.words.iter().copied().collect();
            let piece = self.joined(pair);
            let id = self.id_of(&piece);
            self.merge(pair, id, words);
            return Some((piece, count));
        }
    }

    fn joined(&self, (left, right): Pair) -> String {
        format!("{}{}", self.symbols[left as usize], self.symbols[right as usize])
    }

    /// Two ways to one text are one piece.
    fn id_of(&mut self, piece: &str) -> u32 {
        let next = self.symbols.len() as u32;
        let id = *self.ids.entry(piece.to_owned()).or_insert(next);
        if id == next {
            self.symbols.push(piece.to_owned());
        }
        id
    }

    fn merge(&mut self, pair: Pair, id: u32, mut words: Vec<u32>) {
        words.sort_unstable();
        let mut changed = HashSet::new();
        for at in words {
            changed.extend(self.count(at, false));
            join(&mut self.words[at as usize].0, pair, id);
            changed.extend(self.count(at, true));
        }
        changed.remove(&pair);
        self.pairs.remove(&pair);
        for pair in changed {
            if let Some(found) = self.pairs.get(&pair).filter(|found| found.count > 0) {
                self.best.push((found.count, Reverse(pair)));
            }
        }
    }

    /// Adds a word's pairs to the counts, or takes them away; returns them.
    fn count(&mut self, at: u32, add: bool) -> Vec<Pair> {
        let (word, count) = &self.words[at as usize];
        let pairs: Vec<Pair> = word.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let count = *count;
        let wanted: Vec<Pair> = pairs.into_iter().filter(|pair| self.may_join(*pair)).collect();
        for pair in &wanted {
            let found = self.pairs.entry(*pair).or_default();
            if add {
                found.count += count;
                found.words.insert(at);
            } else {
                found.count = found.count.saturating_sub(count);
                found.words.remove(&at);
            }
        }
        wanted
    }

    fn may_join(&self, (left, right): Pair) -> bool {
        let length = |id: u32| self.symbols[id as usize].chars().count();
        left != RARE && right != RARE && length(left) + length(right) <= LONGEST
    }
}

/// Every occurrence of a pair becomes one symbol, from the left.
fn join(word: &mut Vec<u32>, (left, right): Pair, id: u32) {
    let mut joined = Vec::with_capacity(word.len());
    let mut at = 0;
    while let Some(symbol) = word.get(at) {
        if *symbol == left && word.get(at + 1) == Some(&right) {
            joined.push(id);
            at += 2;
        } else {
            joined.push(*symbol);
            at += 1;
        }
    }
    *word = joined;
}

/// The most frequent characters that make up `coverage` of the texts, most frequent first.
fn covering(words: &[(Box<str>, u64)], coverage: f64) -> Vec<(char, u64)> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_default() += count;
        }
    }
    let total: u64 = counts.values().sum();
    let mut characters: Vec<(char, u64)> = counts.into_iter().collect();
    characters.sort_by_key(|(_, count)| Reverse(*count));
    let mut seen = 0;
    characters.retain(|(_, count)| {
        let wanted = (seen as f64) < coverage * total as f64;
        seen += count;
        wanted
    });
    characters
}

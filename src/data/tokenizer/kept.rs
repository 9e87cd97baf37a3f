//! Words seen before and their tokens.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

/// Longer words are not kept; they hardly come again.
const LONGEST: usize = 64;
/// Words kept by each thread, some 5 MB; beyond this all are forgotten.
const MOST: usize = 1 << 15;

/// As many caches as threads were here at once.
#[derive(Debug)]
pub(super) struct Kept<P>(Mutex<Vec<Cache<P>>>);

#[derive(Debug)]
pub(super) struct Cache<P> {
    words: HashMap<Box<str>, Range<usize>>,
    pieces: Vec<P>,
    /// Pieces of kept words; behind them lie those of one that is not kept.
    kept: usize,
}

impl<P> Default for Kept<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P> Default for Cache<P> {
    fn default() -> Self {
        Self { words: HashMap::new(), pieces: Vec::new(), kept: 0 }
    }
}

impl<P> Kept<P> {
    /// Lends a cache; None after a thread that had the lock has panicked.
    pub fn with<T>(&self, work: impl FnOnce(&mut Cache<P>) -> T) -> Option<T> {
        let mut cache = self.0.lock().ok()?.pop().unwrap_or_default();
        let made = work(&mut cache);
        self.0.lock().ok()?.push(cache);
        Some(made)
    }
}

impl<P> Cache<P> {
    /// The pieces of a word, made if it was not seen before.
    pub fn of<I: IntoIterator<Item = P>, E>(
        &mut self,
        word: &str,
        make: impl FnOnce() -> Result<I, E>,
    ) -> Result<&[P], E> {
        if let Some(range) = self.words.get(word) {
            return Ok(&self.pieces[range.clone()]);
        }
        if self.words.len() >= MOST {
            *self = Self::default();
        }
        self.pieces.truncate(self.kept);
        self.pieces.extend(make()?);
        let range = self.kept..self.pieces.len();
        if word.len() <= LONGEST {
            self.kept = range.end;
            self.words.insert(word.into(), range.clone());
        }
        Ok(&self.pieces[range])
    }
}

//! Which rows are nearly the same: those that stand in for others, and the rows that each of them stands for.

use std::collections::HashMap;

use super::minhash::{Bands, HASHES, Sketch, jaccard};
use super::units::spread;

/// Rows of a band's chain that one row is compared with at most.
const CHAIN: usize = 256;
/// Shingles that are kept for comparisons, 8 bytes each; the sets of later rows are read again when they are needed.
const KEPT: usize = 8 << 20;
const NOBODY: u32 = u32::MAX;
/// Of a row that is like nothing.
const NONE: Sketch = [0; HASHES];

/// What a row is compared by. Its order of bytes tells nothing.
pub struct Print {
    /// Ascending, without doubles.
    pub shingles: Vec<u64>,
    pub sketch: Sketch,
}

impl Print {
    /// 128 bits that rows with the same shingles share.
    pub fn fingerprint(&self) -> u128 {
        let halves = self.shingles.iter().fold((1u64, 2u64), |(low, high), shingle| {
            (spread(low ^ shingle), spread(high.rotate_left(31) ^ shingle))
        });
        u128::from(halves.0) << 64 | u128::from(halves.1)
    }
}

/// Where the shingles of a row that was seen come from when they are not kept any more.
pub type Again<'a> = dyn Fn(u32) -> Vec<u64> + Sync + 'a;

/// Rows that can be found by their likeness. Memory: the sketches of all rows, 128 bytes each, and for every band between
/// 8 and 12 bytes a row, whatever the rows are.
pub struct Index {
    threshold: f64,
    bands: Bands,
    /// Of every row, findable or not.
    sketches: Vec<Sketch>,
    /// For each band, the newest row of each chain, and for each row the one before it in its chain.
    heads: Vec<Vec<u32>>,
    before: Vec<Vec<u32>>,
    kept: Kept,
    same: HashMap<u128, u32>,
    /// Rows that were not compared with all that might be near.
    cut_short: u64,
}

/// The shingles of the first rows.
#[derive(Default)]
struct Kept {
    shingles: Vec<u64>,
    places: HashMap<u32, (u32, u32)>,
}

/// A row that is like another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    pub row: u32,
    /// The one that it is like.
    pub of: u32,
    /// Jaccard similarity of their shingles.
    pub similarity: f64,
}

impl Index {
    /// For `rows` rows, of which all or some will be findable.
    pub fn new(threshold: f64, rows: usize) -> Self {
        let bands = Bands::new(threshold);
        let chains = rows.max(1).next_power_of_two();
        Self {
            threshold,
            bands,
            sketches: Vec::with_capacity(rows),
            heads: vec![vec![NOBODY; chains]; bands.count],
            before: vec![vec![NOBODY; rows]; bands.count],
            kept: Kept::default(),
            same: HashMap::new(),
            cut_short: 0,
        }
    }

    /// Takes the next row. Where an earlier one is at least as near as the threshold, says which: the first of those that
    /// stand for themselves. The row itself then is not found by later ones, so that whatever is told is near to the row
    /// that it is told of. A row without shingles is like nothing.
    pub fn add(&mut self, row: u32, print: Option<&Print>, again: &Again<'_>) -> Option<Likeness> {
        self.remember(row, print);
        let print = print.filter(|print| !print.shingles.is_empty())?;
        let fingerprint = print.fingerprint();
        if let Some(of) = self.same.get(&fingerprint) {
            return Some(Likeness { row, of: *of, similarity: 1.0 });
        }
        let (candidates, all) = self.candidates(&print.sketch);
        self.cut_short += u64::from(!all);
        let near = candidates.into_iter().find_map(|of| self.verified(row, of, &print.shingles, again));
        if near.is_none() {
            self.same.insert(fingerprint, row);
            self.insert(row, &print.sketch);
            self.kept.add(row, &print.shingles);
        }
        near
    }

    /// Takes the next row, which later ones do not find.
    pub fn remember(&mut self, row: u32, print: Option<&Print>) {
        let print = print.filter(|print| !print.shingles.is_empty());
        self.sketches.resize(row as usize, NONE);
        self.sketches.push(print.map_or(NONE, |print| print.sketch));
    }

    /// Rows that were not compared with all that might be near, because too many are alike in part.
    pub fn cut_short(&self) -> u64 {
        self.cut_short
    }

    /// Forgets which rows can be found and makes others so. The sketches stay.
    pub fn only(mut self, rows: &[u32]) -> Self {
        for chains in self.heads.iter_mut().chain(&mut self.before) {
            chains.fill(NOBODY);
        }
        self.cut_short = 0;
        for row in rows {
            if let Some(sketch) = self.sketches.get(*row as usize).copied().filter(|sketch| *sketch != NONE) {
                self.insert(*row, &sketch);
            }
        }
        self
    }

    /// Of the rows that can be found, the one most like `row`, if it is near; of several the first.
    pub fn nearest(&self, row: u32, again: &Again<'_>) -> Option<Likeness> {
        let sketch = self.sketches.get(row as usize).filter(|sketch| **sketch != NONE)?;
        let (candidates, _) = self.candidates(sketch);
        let mut shingles = None;
        let mut best: Option<Likeness> = None;
        for of in candidates {
            let shingles = shingles.get_or_insert_with(|| self.shingles(row, again));
            let found = self.verified(row, of, shingles, again);
            best = match (best, found) {
                (Some(best), Some(found)) if found.similarity <= best.similarity => Some(best),
                (best, found) => found.or(best),
            };
        }
        best
    }

    fn insert(&mut self, row: u32, sketch: &Sketch) {
        for (band, key) in self.bands.keys(sketch).enumerate() {
            let chain = key as usize & (self.heads[band].len() - 1);
            let head = std::mem::replace(&mut self.heads[band][chain], row);
            if let Some(before) = self.before[band].get_mut(row as usize) {
                *before = head;
            }
        }
    }

    /// Rows that may be near, ascending; and whether these are all.
    fn candidates(&self, sketch: &Sketch) -> (Vec<u32>, bool) {
        let mut found = Vec::new();
        let mut all = true;
        for (band, key) in self.bands.keys(sketch).enumerate() {
            let mut at = self.heads[band][key as usize & (self.heads[band].len() - 1)];
            for _ in 0..CHAIN {
                if at == NOBODY {
                    break;
                }
                if self.sketches.get(at as usize).is_some_and(|other| self.bands.may_be_near(sketch, other)) {
                    found.push(at);
                }
                at = self.before[band].get(at as usize).copied().unwrap_or(NOBODY);
            }
            all &= at == NOBODY;
        }
        found.sort_unstable();
        found.dedup();
        (found, all)
    }

    fn verified(&self, row: u32, of: u32, shingles: &[u64], again: &Again<'_>) -> Option<Likeness> {
        let similarity = match self.kept.get(of) {
            Some(kept) => jaccard(shingles, kept),
            None => jaccard(shingles, &again(of)),
        };
        (row != of && similarity >= self.threshold).then_some(Likeness { row, of, similarity })
    }

    fn shingles(&self, row: u32, again: &Again<'_>) -> Vec<u64> {
        self.kept.get(row).map_or_else(|| again(row), <[u64]>::to_vec)
    }
}

impl Kept {
    fn add(&mut self, row: u32, shingles: &[u64]) {
        if self.shingles.len() + shingles.len() <= KEPT {
            self.places.insert(row, (self.shingles.len() as u32, shingles.len() as u32));
            self.shingles.extend(shingles);
        }
    }

    fn get(&self, row: u32) -> Option<&[u64]> {
        let (start, count) = self.places.get(&row)?;
        self.shingles.get(*start as usize..(start + count) as usize)
    }
}

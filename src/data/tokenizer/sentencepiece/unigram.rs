//! The likeliest way to cut a string into pieces: `unigram::Model::EncodeOptimized` of SentencePiece, with its
//! arithmetic, so that ties fall alike.

use super::bpe::Found;
use super::proto::{Piece, PieceKind};
use super::trie::Trie;

/// How much worse an unknown character is than the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;

#[derive(Debug)]
pub(super) struct Unigram {
    trie: Trie,
    /// By id.
    pieces: Vec<Entry>,
    unknown_score: f32,
    best_score: f32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    score: f32,
    kind: PieceKind,
}

/// The best way to a place in the string.
#[derive(Clone, Copy, Debug)]
struct Best {
    id: Option<u32>,
    score: f32,
    /// Where its last piece begins; None while there is no way.
    start: Option<u32>,
}

impl Unigram {
    pub fn new(pieces: &[Piece]) -> Self {
        use PieceKind::{Normal, Unused, UserDefined};
        let of_text = |piece: &Piece| matches!(piece.kind, Normal | Unused | UserDefined);
        let texts = pieces.iter().zip(0..).filter(|(piece, _)| of_text(piece));
        let normal = || pieces.iter().filter(|piece| piece.kind == Normal).map(|piece| piece.score);
        Self {
            trie: Trie::new(texts.map(|(piece, id)| (piece.text.as_str(), id))),
            unknown_score: normal().fold(f32::MAX, f32::min) - UNKNOWN_PENALTY,
            best_score: normal().fold(f32::MIN_POSITIVE, f32::max),
            pieces: pieces.iter().map(|piece| Entry { score: piece.score, kind: piece.kind }).collect(),
        }
    }

    /// Parts of the string with their ids, in order; characters without a piece have none.
    pub fn encode(&self, text: &str) -> Vec<Found> {
        let mut best = vec![Best { id: None, score: 0.0, start: None }; text.len() + 1];
        for (start, character) in text.char_indices() {
            let till_here = best[start].score;
            let character = character.len_utf8();
            let mut has_single = false;
            for (length, id) in self.trie.prefixes(&text.as_bytes()[start..]) {
                let entry = self.pieces[id as usize];
                if entry.kind == PieceKind::Unused {
                    continue;
                }
                let score = if entry.kind == PieceKind::UserDefined {
                    (f64::from(length as f32 * self.best_score) - 0.1) as f32
                } else {
                    entry.score
                };
                offer(&mut best[start + length], score + till_here, Some(id), start);
                has_single |= length == character;
            }
            if !has_single {
                offer(&mut best[start + character], self.unknown_score + till_here, None, start);
            }
        }
        let mut found = Vec::new();
        let mut end = text.len();
        while let Some(start) = best[end].start.filter(|_| end > 0) {
            found.push(Found { id: best[end].id, start, end: end as u32 });
            end = start as usize;
        }
        found.reverse();
        found
    }
}

fn offer(target: &mut Best, score: f32, id: Option<u32>, start: usize) {
    if target.start.is_none() || score > target.score {
        *target = Best { id, score, start: Some(start as u32) };
    }
}

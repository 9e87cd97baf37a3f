//! From ids to text: `SentencePieceProcessor::Decode`, and added tokens between.

use super::blanks;
use super::engine::SentencePiece;
use super::normalize::BLANK;
use super::proto::{Piece, PieceKind, byte_of};

/// Text as it comes from tokens. What stands between two added tokens was encoded by itself and is decoded by itself.
struct Draft<'a> {
    engine: &'a SentencePiece,
    text: String,
    /// Bytes that are not yet text.
    bytes: Vec<u8>,
    /// Nothing was written since the part began: a blank here is the one that encoding has put in.
    fresh: bool,
}

impl SentencePiece {
    pub(super) fn decode_ids(&self, ids: &[u32], skip_special: bool) -> String {
        let mut draft = Draft { engine: self, text: String::new(), bytes: Vec::new(), fresh: true };
        for id in ids {
            if let Some(token) = self.added.get(*id) {
                draft.whole_characters();
                if !(skip_special && token.special) {
                    draft.text.push_str(&token.content);
                }
                draft.fresh = self.every_part || draft.text.is_empty();
            } else if let Some(piece) = self.piece(*id) {
                draft.piece(piece);
            }
        }
        draft.whole_characters();
        draft.text
    }
}

impl Draft<'_> {
    fn piece(&mut self, piece: &Piece) {
        if piece.kind == PieceKind::Byte {
            self.bytes.extend(byte_of(&piece.text));
            return;
        }
        self.whole_characters();
        let engine = self.engine;
        match piece.kind {
            PieceKind::Control => {}
            PieceKind::Unknown => self.write(&engine.unknown_surface),
            _ => {
                let mut text = piece.text.as_str();
                let strips = engine.add_dummy_prefix || engine.remove_extra_whitespaces;
                if let Some(rest) = text.strip_prefix(BLANK).filter(|_| self.fresh && strips) {
                    text = rest;
                    // Where blanks are tidied, none begins a text.
                    self.fresh = engine.remove_extra_whitespaces;
                }
                match blanks::read(text).filter(|_| engine.blanks) {
                    Some(blanks) => self.write(&blanks),
                    None => self.write(&text.replace(BLANK, " ")),
                }
            }
        }
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.fresh &= text.is_empty();
    }

    /// Each byte that is in no character becomes a replacement character.
    fn whole_characters(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        for chunk in bytes.utf8_chunks() {
            self.write(chunk.valid());
            for _ in chunk.invalid() {
                self.write("\u{fffd}");
            }
        }
    }
}

//! A SentencePiece model as an engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::ops::Range;

use tokenizers::AddedToken;

use super::super::Encoding;
use super::super::added::{Added, Part};
use super::super::engine::{Described, DescribedPieces, Engine, Refusal};
use super::super::kept::Kept;
use super::blanks;
use super::bpe::{Bpe, Found};
use super::family::{Family, Marks};
use super::normalize::{Normalized, Normalizer};
use super::proto::{Algorithm, Piece, PieceKind, SentencePieceModel, byte_of};
use super::unigram::Unigram;

#[derive(Debug)]
pub(super) struct SentencePiece {
    pub(super) pieces: Vec<Piece>,
    ids: HashMap<Box<str>, u32>,
    model: Model,
    normalizer: Normalizer,
    /// Ids of the 256 byte pieces, where characters without a piece are written in them.
    bytes: Option<Vec<u32>>,
    pub(super) unknown: u32,
    pub(super) unknown_surface: String,
    /// What decoding takes away again.
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) added: Added,
    /// The id of the first piece: those below are image tokens of ChatGLM-6B.
    pub(super) first: u32,
    /// A blank is put in front of the text behind a token matched in it, not only in front of the whole.
    pub(super) every_part: bool,
    /// Blanks and line ends are pieces of their own.
    pub(super) blanks: bool,
    marks: Option<Marks>,
    kept: Kept<Found>,
}

#[derive(Debug)]
enum Model {
    Bpe(Bpe),
    Unigram(Unigram),
}

impl SentencePiece {
    pub fn new(
        model: &SentencePieceModel,
        added: BTreeMap<u32, AddedToken>,
        family: &Family,
    ) -> tokenizers::Result<Self> {
        let pieces = model.pieces.clone();
        let unknown = model.unknown().ok_or("it has no unknown piece")? as u32;
        let bytes = pieces.iter().zip(0..).filter(|(piece, _)| piece.kind == PieceKind::Byte);
        let by_byte: BTreeMap<u8, u32> =
            bytes.filter_map(|(piece, id)| Some((byte_of(&piece.text)?, id))).collect();
        let mut engine = Self {
            ids: pieces.iter().zip(0..).map(|(piece, id)| (piece.text.as_str().into(), id)).collect(),
            model: match model.algorithm {
                Algorithm::Bpe => Model::Bpe(Bpe::new(&pieces)),
                Algorithm::Unigram => Model::Unigram(Unigram::new(&pieces)),
            },
            normalizer: Normalizer::new(model, family.adds_dummy_prefix(model))?,
            bytes: model.byte_fallback.then(|| by_byte.into_values().collect()),
            unknown,
            unknown_surface: model.unknown_surface.clone(),
            add_dummy_prefix: family.adds_dummy_prefix(model),
            remove_extra_whitespaces: model.remove_extra_whitespaces,
            added: Added::new(added, |token| family.is_matched(token))?,
            first: family.first_id,
            every_part: family.every_part,
            blanks: family.blanks,
            marks: None,
            kept: Kept::default(),
            pieces,
        };
        engine.marks = family.marks(&engine);
        Ok(engine)
    }

    /// The piece that an id stands for.
    pub(super) fn piece(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    fn part(&self, text: &str, range: Range<usize>, encoding: &mut Encoding) {
        let Some(part) = text.get(range.clone()) else { return };
        let dummy = self.every_part || range.start == 0;
        let normalized = if self.blanks {
            let written = blanks::write(part);
            self.normalizer.normalize(&written.text, dummy).after(&written)
        } else {
            self.normalizer.normalize(part, dummy)
        };
        let mut writer =
            Writer { engine: self, normalized: &normalized, at: range.start, unknown: false, encoding };
        match &self.model {
            Model::Unigram(unigram) => writer.all(&unigram.encode(&normalized.text), 0),
            Model::Bpe(bpe) => {
                let mut start = 0;
                let whole = self.kept.with(|cache| {
                    bpe.words::<Infallible>(&normalized.text, |word| {
                        writer.all(cache.of(word, || Ok::<_, Infallible>(bpe.encode(word)))?, start);
                        start += word.len();
                        Ok(())
                    })
                });
                if whole.is_none() {
                    writer.all(&bpe.encode(&normalized.text), 0);
                }
            }
        }
    }
}

/// Writes found pieces as tokens of the text.
struct Writer<'a> {
    engine: &'a SentencePiece,
    normalized: &'a Normalized,
    /// Where the normalized part begins in the text.
    at: usize,
    /// The last token was unknown: unknown ones behind it are part of it.
    unknown: bool,
    encoding: &'a mut Encoding,
}

impl Writer<'_> {
    /// Pieces whose places count from byte `start` of the normalized part.
    fn all(&mut self, found: &[Found], start: usize) {
        for piece in found {
            let range = start + piece.start as usize..start + piece.end as usize;
            let (from, to) = self.normalized.origin(range.start, range.end);
            let place = (self.at + from, self.at + to);
            match (piece.id.filter(|id| *id != self.engine.unknown), &self.engine.bytes) {
                (Some(id), _) => self.push(id, place),
                (None, Some(bytes)) => {
                    for byte in self.normalized.text.as_bytes().get(range).unwrap_or_default() {
                        self.push(bytes[usize::from(*byte)], place);
                    }
                }
                (None, None) if self.unknown => {
                    if let Some(last) = self.encoding.offsets.last_mut() {
                        last.1 = place.1;
                    }
                }
                (None, None) => {
                    self.push(self.engine.unknown, place);
                    self.unknown = true;
                }
            }
        }
    }

    fn push(&mut self, id: u32, place: (usize, usize)) {
        self.unknown = false;
        self.encoding.ids.push(self.engine.first + id);
        self.encoding.offsets.push(place);
        self.encoding.added.push(false);
    }
}

impl Engine for SentencePiece {
    fn described(&self) -> Option<Described> {
        let merged = matches!(self.model, Model::Bpe(_)) && self.first == 0 && !self.blanks;
        let added = self.added.ids().filter_map(|id| Some((id, self.added.get(id)?.clone())));
        merged.then(|| {
            Described::Pieces(DescribedPieces {
                pieces: self.pieces.clone(),
                added: added.collect(),
                space_in_front: self.add_dummy_prefix,
            })
        })
    }

    fn encode(&self, text: &str, _: bool) -> Result<Encoding, Refusal> {
        let mut encoding = Encoding::default();
        self.added.parts(text, |part, mut range| match part {
            Part::Token(id) => {
                encoding.ids.push(id);
                encoding.offsets.push((range.start, range.end));
                encoding.added.push(false);
            }
            Part::Text => {
                let last = encoding.ids.last().copied();
                if let Some((id, length)) =
                    self.marks.as_ref().and_then(|marks| marks.after(last, &text[range.clone()]))
                {
                    encoding.ids.push(id);
                    encoding.offsets.push((range.start, range.start + length));
                    encoding.added.push(false);
                    range.start += length;
                }
                self.part(text, range, &mut encoding);
            }
        });
        Ok(encoding)
    }

    fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, Refusal> {
        Ok(self.decode_ids(ids, skip_special))
    }

    fn token(&self, id: u32) -> Option<String> {
        if let Some(token) = self.added.get(id) {
            return Some(token.content.clone());
        }
        if id < self.first {
            return Some(format!("<image_{id}>"));
        }
        self.piece(id).map(|piece| piece.text.clone())
    }

    fn id(&self, token: &str) -> Option<u32> {
        let piece = || self.ids.get(token).map(|id| id + self.first);
        self.added.id(token).or_else(piece)
    }

    fn vocab_size(&self) -> usize {
        let end = self.first as usize + self.pieces.len();
        end + self.added.ids().filter(|id| *id as usize >= end).count()
    }

    fn largest_id(&self) -> Option<u32> {
        let last = (self.first as usize + self.pieces.len()).checked_sub(1)?;
        self.added.ids().next_back().max(u32::try_from(last).ok())
    }

    fn markers(&self) -> BTreeSet<u32> {
        let marks = self.pieces.iter().zip(self.first..).filter(|(piece, _)| match piece.kind {
            PieceKind::Control => true,
            PieceKind::UserDefined => !piece.text.replace(super::normalize::BLANK, " ").trim().is_empty(),
            _ => false,
        });
        self.added.ids().chain(marks.map(|(_, id)| id)).collect()
    }
}

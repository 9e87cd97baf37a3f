//! The wire format of protocol buffers, as much of it as SentencePiece models have.

use super::proto::{Piece, PieceKind};

/// The value of a field as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
    Double,
}

/// Fields of a message, in order; an error is what is wrong, and nothing follows it.
pub(super) struct Fields<'a>(&'a [u8]);

/// What is wrong with a message.
pub(super) type Malformed = &'static str;

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        if tag >> 3 == 0 {
            return Err("a field has the number 0");
        }
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Double
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| TOO_SHORT)?)?)
            }
            5 => {
                let bytes = self.take(4)?.try_into().map_err(|_| TOO_SHORT)?;
                Value::Float(f32::from_le_bytes(bytes))
            }
            _ => return Err("a field is of an unknown kind"),
        };
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7F);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(if self.0.len() < 10 { TOO_SHORT } else { "a number is too long" })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(taken)
    }
}

const TOO_SHORT: Malformed = "it ends in the middle of a field";

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Adds pieces to a model, which has `count` of them then. What stands behind a message adds to its lists and
/// replaces its numbers.
pub(crate) fn append_pieces(model: &mut Vec<u8>, pieces: impl Iterator<Item = Piece>, count: usize) {
    for piece in pieces {
        let mut message = Vec::with_capacity(piece.text.len() + 10);
        put_bytes(&mut message, 1, piece.text.as_bytes());
        put_varint(&mut message, 2 << 3 | 5);
        message.extend(piece.score.to_le_bytes());
        let kind = match piece.kind {
            PieceKind::Normal => 1,
            PieceKind::Unknown => 2,
            PieceKind::Control => 3,
            PieceKind::UserDefined => 4,
            PieceKind::Unused => 5,
            PieceKind::Byte => 6,
        };
        put_varint(&mut message, 3 << 3);
        put_varint(&mut message, kind);
        put_bytes(model, 1, &message);
    }
    // `trainer_spec.vocab_size`.
    let mut trainer = Vec::new();
    put_varint(&mut trainer, 4 << 3);
    put_varint(&mut trainer, count as u64);
    put_bytes(model, 2, &trainer);
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn put_bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(into, field << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend(bytes);
}

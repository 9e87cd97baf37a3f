//! `ModelProto` of SentencePiece: pieces, how the model was trained, how texts are normalized.
//! Field numbers: sentencepiece_model.proto.

use std::collections::HashSet;

use protocol::{Result, Text, UserError, text};

use super::wire::{Fields, Malformed, Value};

/// Pieces are rows of an embedding.
const MOST_PIECES: usize = 1 << 22;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PieceKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    /// `<0x41>`.
    Byte,
}

/// A token of the vocabulary; its id is its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Blanks are written as `▁`.
    pub text: String,
    pub score: f32,
    pub kind: PieceKind,
}

/// How a text becomes pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Unigram,
    Bpe,
}

/// A SentencePiece model, checked: there is one unknown piece, no piece is empty or comes twice, every score is
/// finite, and with byte fallback all 256 byte pieces are there.
#[derive(Clone, Debug, PartialEq)]
pub struct SentencePieceModel {
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    /// Characters without a piece become byte pieces.
    pub byte_fallback: bool,
    /// The blank of `add_dummy_prefix` comes behind the text.
    pub whitespace_as_suffix: bool,
    /// What an unknown piece is decoded to.
    pub unknown_surface: String,
    pub bos_piece: String,
    pub eos_piece: String,
    pub pad_piece: String,
    /// Rules of normalization, empty for none ([`Charsmap`](super::charsmap::Charsmap)).
    pub charsmap: Vec<u8>,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
}

impl SentencePieceModel {
    /// Place of the unknown piece.
    pub fn unknown(&self) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown)
    }
}

/// Reads a SentencePiece model.
///
/// # Errors
/// When the bytes are no such model, or one that contradicts itself.
pub fn parse(bytes: &[u8]) -> Result<SentencePieceModel> {
    let model = read(bytes).map_err(|why| {
        UserError::bad_input(text!(
            "The file is no SentencePiece model: {why}",
            "该文件不是 SentencePiece 模型：{why}"
        ))
    })?;
    check(&model).map_err(|why| {
        UserError::bad_input(why.clone()).mend(Text::fixed("fetch the file again", "请重新获取该文件"))
    })?;
    Ok(model)
}

fn read(bytes: &[u8]) -> std::result::Result<SentencePieceModel, Malformed> {
    let mut model = SentencePieceModel {
        pieces: Vec::new(),
        algorithm: Algorithm::Unigram,
        byte_fallback: false,
        whitespace_as_suffix: false,
        unknown_surface: " \u{2047} ".to_owned(),
        bos_piece: "<s>".to_owned(),
        eos_piece: "</s>".to_owned(),
        pad_piece: "<pad>".to_owned(),
        charsmap: Vec::new(),
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
    };
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(message)) => {
                if model.pieces.len() == MOST_PIECES {
                    return Err("it has more than four million pieces");
                }
                model.pieces.push(read_piece(message)?);
            }
            (2, Value::Bytes(message)) => read_trainer(message, &mut model)?,
            (3, Value::Bytes(message)) => read_normalizer(message, &mut model)?,
            _ => {}
        }
    }
    Ok(model)
}

fn read_piece(message: &[u8]) -> std::result::Result<Piece, Malformed> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    for field in Fields::of(message) {
        match field? {
            (1, Value::Bytes(text)) => piece.text = read_text(text)?,
            (2, Value::Float(score)) => piece.score = score,
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => return Err("a piece is of an unknown kind"),
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

fn read_trainer(message: &[u8], model: &mut SentencePieceModel) -> std::result::Result<(), Malformed> {
    for field in Fields::of(message) {
        match field? {
            (3, Value::Number(1)) => model.algorithm = Algorithm::Unigram,
            (3, Value::Number(2)) => model.algorithm = Algorithm::Bpe,
            (3, Value::Number(_)) => return Err("its model is neither BPE nor unigram"),
            (24, Value::Number(flag)) => model.whitespace_as_suffix = flag != 0,
            (35, Value::Number(flag)) => model.byte_fallback = flag != 0,
            (44, Value::Bytes(text)) => model.unknown_surface = read_text(text)?,
            (46, Value::Bytes(text)) => model.bos_piece = read_text(text)?,
            (47, Value::Bytes(text)) => model.eos_piece = read_text(text)?,
            (48, Value::Bytes(text)) => model.pad_piece = read_text(text)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_normalizer(message: &[u8], model: &mut SentencePieceModel) -> std::result::Result<(), Malformed> {
    for field in Fields::of(message) {
        match field? {
            (2, Value::Bytes(rules)) => model.charsmap = rules.to_vec(),
            (3, Value::Number(flag)) => model.add_dummy_prefix = flag != 0,
            (4, Value::Number(flag)) => model.remove_extra_whitespaces = flag != 0,
            (5, Value::Number(flag)) => model.escape_whitespaces = flag != 0,
            _ => {}
        }
    }
    Ok(())
}

fn read_text(bytes: &[u8]) -> std::result::Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a text in it is not UTF-8")
}

fn check(model: &SentencePieceModel) -> std::result::Result<(), Text> {
    let count = |kind: PieceKind| model.pieces.iter().filter(|piece| piece.kind == kind).count();
    let unknown = count(PieceKind::Unknown);
    if unknown != 1 {
        return Err(text!(
            "The model has {unknown} unknown pieces, not one",
            "模型有 {unknown} 个未知词元，应恰有一个"
        ));
    }
    let mut seen = HashSet::with_capacity(model.pieces.len());
    let mut bytes = HashSet::new();
    for (id, piece) in model.pieces.iter().enumerate() {
        if piece.text.is_empty() || !piece.score.is_finite() {
            return Err(text!("Piece {id} is empty or has no score", "第 {id} 个词元为空或没有得分"));
        }
        if !seen.insert(piece.text.as_str()) {
            let text = &piece.text;
            return Err(text!("The piece {text} comes twice", "词元 {text} 重复出现"));
        }
        if piece.kind == PieceKind::Byte {
            let Some(byte) = byte_of(&piece.text) else {
                return Err(text!("Piece {id} is no byte", "第 {id} 个词元不是字节"));
            };
            bytes.insert(byte);
        }
    }
    if model.byte_fallback && bytes.len() != 256 {
        let there = bytes.len();
        return Err(text!(
            "The model falls back to bytes, of which it has {there}",
            "模型需要退回到字节，但只有 {there} 个字节词元"
        ));
    }
    Ok(())
}

/// The byte that `<0x41>` stands for.
pub(super) fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(digits, 16).ok())?
}

//! SentencePiece models: `tokenizer.model`, and `ice_text.model` of ChatGLM-6B.

mod blanks;
mod bpe;
mod charsmap;
mod decode;
mod engine;
mod family;
mod neighbours;
mod normalize;
mod proto;
mod trie;
mod unigram;
pub(crate) mod wire;

use std::path::Path;

use protocol::{Result, UserError, text};

pub(crate) use normalize::BLANK;
pub use proto::{Algorithm, Piece, PieceKind, SentencePieceModel, parse};

use super::engine::guarded;
use super::folder::{self, Folder};
use super::source::{Opened, Source, find};
use engine::SentencePiece;
use family::Family;

/// The largest published models have 5 MB.
const MAX_BYTES: u64 = 16 << 20;

pub(super) const SOURCE: Source = Source { files: "tokenizer.model (SentencePiece) / ice_text.model", open };

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let Some(file) = find(dir, &["tokenizer.model", "ice_text.model"]) else { return Ok(None) };
    let model = parse(&folder::read_limited(&file, MAX_BYTES)?).map_err(|err| err.in_file(&file))?;
    let family = Family::of(&file, folder);
    let special = family.default_tokens(&model, folder);
    let added = family.added(&model, folder, &special);
    let built = guarded(|| SentencePiece::new(&model, added, &family));
    let engine = built.map_err(|err| {
        UserError::bad_input(text!(
            "The SentencePiece model cannot be used: {err}",
            "无法使用该 SentencePiece 模型：{err}"
        ))
        .in_file(&file)
    })?;
    let around = Some(family.around(&engine, &special));
    let stops = family.stops(&engine);
    Ok(Some(Opened { around, special, stops, ..Opened::new(engine, [file]) }))
}

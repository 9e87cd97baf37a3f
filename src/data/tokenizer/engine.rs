//! What a kind of tokenizer does for [`Tokenizer`](super::Tokenizer), whichever files it was read from.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use protocol::UserError;

use tokenizers::AddedToken;

use super::sentencepiece::Piece;
use super::{CpmBee, Encoding};

/// Why a text or an id is refused, in the words of the engine.
pub(super) type Refusal = String;

/// Text to ids and back. Ids are those of the model's embedding.
pub(super) trait Engine: std::fmt::Debug + Send + Sync {
    /// The tokens of a text; with `add_special` also what the tokenizer's own file puts around it.
    fn encode(&self, text: &str, add_special: bool) -> Result<Encoding, Refusal>;
    /// Ids that are in no vocabulary give nothing.
    fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, Refusal>;
    fn token(&self, id: u32) -> Option<String>;
    fn id(&self, token: &str) -> Option<u32>;
    /// Number of tokens, added ones included.
    fn vocab_size(&self) -> usize;
    /// None if there are no tokens.
    fn largest_id(&self) -> Option<u32>;
    /// Tokens that are markers rather than pieces of text.
    fn markers(&self) -> BTreeSet<u32>;

    /// Why no text can be encoded at all, where that is so.
    fn reads_no_text(&self) -> Option<UserError> {
        None
    }

    /// What it is made of, for writing it in another form; None where no other form can hold it.
    fn described(&self) -> Option<Described> {
        None
    }

    /// The engine itself, where it is CPM-Bee's.
    fn cpm_bee(&self) -> Option<&CpmBee> {
        None
    }
}

/// A tokenizer's parts.
pub(super) enum Described {
    /// `tokenizer.json`.
    Json(String),
    /// A SentencePiece model that merges pieces.
    Pieces(DescribedPieces),
}

/// The parts of a SentencePiece model.
pub(super) struct DescribedPieces {
    /// By id.
    pub pieces: Vec<Piece>,
    /// Tokens added to them, with their ids.
    pub added: Vec<(u32, AddedToken)>,
    pub space_in_front: bool,
}

/// Crafted tokenizer files make the tokenizers crate panic; here that is an error like any other.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Refusal> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|err| err.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|message| (*message).to_owned()))
            .unwrap_or_else(|| "it contradicts itself".to_owned())),
    }
}

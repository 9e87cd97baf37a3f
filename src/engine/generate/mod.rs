//! Decoding and scoring.

mod decode;
mod sampler;
mod score;

pub use decode::{Decoding, Step};
pub use sampler::{Sampler, argmax};
pub use score::{RowScore, score_rows};

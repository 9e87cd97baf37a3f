//! Figures of how good answers are. Pure functions; each says which program's figures it equals.

mod bleu;
mod classification;
mod exact;
pub mod interval;
mod perplexity;
mod rouge;
mod sql;
mod words;

pub use bleu::{BleuCounts, bleu4_of_characters};
pub use classification::Classification;
pub use exact::{exact_match, last_number, marked_number, same_number};
pub use perplexity::{bits_per_byte, count_words, perplexity};
pub use rouge::Rouge;
pub use sql::{SqlMatch, match_sql};
pub(crate) use words::is_blank;
pub use words::{chinese, jieba, mteval};

/// Python's `round(value, 4)`: to the nearest in decimal, ties to even.
fn rounded(value: f64) -> f64 {
    format!("{value:.4}").parse().unwrap_or(value)
}

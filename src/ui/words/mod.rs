//! Every word of the window, in both languages: a missing translation does not compile.
//!
//! Sentence case; no full stop in one-liners; full-width punctuation in Chinese, a space between Han and Latin or
//! digits; "…" when a button asks for more.

pub mod chat;
pub mod data;
pub mod export;
pub mod frame;
pub mod method;
pub mod model;
pub mod runs;
pub mod settings;
pub mod train;

/// `words! { START => "Start training", "开始训练"; }`
macro_rules! words {
    ($($name:ident => $en:literal, $zh:literal;)*) => {
        $(pub static $name: protocol::Text = protocol::Text::fixed($en, $zh);)*
    };
}
pub(crate) use words;

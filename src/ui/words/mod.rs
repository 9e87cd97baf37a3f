//! Every word of the window, in both languages: a missing translation does not compile.
//!
//! Sentence case; no full stop in one-liners; full-width punctuation in Chinese, a space between Han and Latin or
//! digits; "…" when a button asks for more.

pub mod analysis;
pub mod chat;
pub mod convert;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod frame;
pub mod handoff;
pub mod hosting;
pub mod hub;
pub mod method;
pub mod model;
pub mod predict;
pub mod runs;
pub mod settings;
pub mod train;
pub mod vocabulary;
pub mod work;

/// `words! { START => "Start training", "开始训练"; }`
macro_rules! words {
    ($($name:ident => $en:literal, $zh:literal;)*) => {
        $(pub static $name: protocol::Text = protocol::Text::fixed($en, $zh);)*

        /// All of them, for tests.
        pub static ALL: &[&protocol::Text] = &[$(&$name),*];
    };
}
pub(crate) use words;

/// Every word of the window.
pub fn all() -> impl Iterator<Item = &'static protocol::Text> {
    let lists = [
        analysis::ALL,
        chat::ALL,
        convert::ALL,
        data::ALL,
        evaluate::ALL,
        export::ALL,
        frame::ALL,
        hosting::ALL,
        handoff::ALL,
        hub::ALL,
        method::ALL,
        model::ALL,
        predict::ALL,
        runs::ALL,
        settings::ALL,
        train::ALL,
        vocabulary::ALL,
        work::ALL,
    ];
    lists.into_iter().flatten().copied()
}

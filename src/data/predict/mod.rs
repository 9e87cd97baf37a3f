//! Batch prediction without tensors: rows of a file as questions, and answers as rows of another file.

mod columns;
mod output;
mod question;

pub use columns::OutputColumns;
pub use output::{Output, plain};
pub use question::{Question, Questions};

//! Evaluations: the questions of a suite put to a model, with and without its adapters; answers are kept as they come.

mod ask;
mod folder;
mod journal;
mod kept;
mod perform;
mod prepare;

pub use kept::{list, write};
pub use perform::evaluate;
pub use prepare::Prepared;

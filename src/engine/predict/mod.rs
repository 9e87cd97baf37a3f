//! Batch prediction: the rows of a file as prompts, as training made them, and their answers as rows of another file.

mod choose;
mod failures;
mod ledger;
mod setup;
mod training;
mod write;

pub use choose::scored;
pub use setup::Setup;
pub use training::Training;
pub use write::{longest, predict, set_up};

//! Files → rows → conversations → tokens and loss mask. No tensors, no windows.

pub mod formats;
mod progress;
mod record;
pub mod sources;

pub use progress::{Progress, Silent};
pub use record::{Encode, Example, IGNORE, Message, Record, Role};

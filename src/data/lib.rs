//! Files → rows → conversations → tokens and loss mask. No tensors, no windows.

mod record;

pub use record::{Encode, Example, IGNORE, Message, Record, Role};

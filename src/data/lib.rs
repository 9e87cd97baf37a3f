//! Files → rows → conversations → tokens and loss mask. No tensors, no windows.

mod batch;
mod dataset;
pub mod formats;
mod preview;
mod progress;
mod random;
mod record;
mod sampler;
pub mod sources;
mod split;
mod verdict;

pub use batch::Batch;
pub use dataset::Dataset;
pub use preview::preview;
pub use progress::{Progress, Silent};
pub use record::{Encode, Example, IGNORE, Message, Record, Role};
pub use sampler::{MicroBatch, Position, Sampler, SamplerOptions};
pub use split::Split;
pub use verdict::{ModelTokens, Survey};

//! Files → rows → conversations → tokens and loss mask. No tensors, no windows.

mod batch;
mod bee;
mod dataset;
mod deep;
mod encode;
pub mod formats;
pub mod gguf;
mod library;
mod pieces;
pub mod presets;
mod preview;
mod progress;
mod random;
mod record;
mod sampler;
pub mod sources;
mod split;
mod template;
mod tokenizer;
mod verdict;

pub use batch::Batch;
pub use bee::{BeeBatch, BeePrompt, BeeRow, Column, ExtToken, FIRST_EXTENSION, SegmentTree, encode_row};
pub use dataset::Dataset;
pub use encode::{ChatPrompt, EncodeOptions, Encoder, message};
pub use library::Library;
pub use pieces::Pieces;
pub use preview::{Shown, find, preview};
pub use progress::{Progress, Silent};
pub use record::{Draw, Encode, Example, IGNORE, Message, Record, Role};
pub use sampler::{MicroBatch, Position, Sampler, SamplerOptions};
pub use split::Split;
pub use template::{Answer, Chat, ChatTemplate, PRESETS, Preset, Rendered, TemplateChoice, find_template};
pub use tokenizer::{CpmBee, DecodeStream, Encoding, TemplateSource, Tokenizer, Word, WordKind};
pub use tokenizer::{byte_bpe, sentencepiece, tiktoken};
pub use verdict::{ModelTokens, Survey};

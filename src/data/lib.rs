//! Files → rows → conversations → tokens and loss mask. No tensors, no windows.

mod encode;
mod record;
mod template;
mod tokenizer;

pub use encode::{ChatPrompt, EncodeOptions, Encoder, message};
pub use record::{Encode, Example, IGNORE, Message, Record, Role};
pub use template::{Answer, Chat, ChatTemplate, PRESETS, Preset, Rendered, find_template};
pub use tokenizer::{DecodeStream, Encoding, TemplateSource, Tokenizer};

//! Decoding and scoring.

mod answer;
mod decode;
mod dicts;
mod sample;
mod sampler;
mod score;

pub use answer::{Answered, Speaker, prompt_ids, rendered};
pub use decode::{Decoding, Step};
pub use dicts::{Answers, Drawn};
pub use sample::{check_samples, sample_prompt, sample_settings};
pub use sampler::{Sampler, argmax};
pub use score::{RowScore, score_examples, score_rows};

//! Decoding and scoring.

mod answer;
mod batches;
mod decode;
mod dicts;
mod lanes;
mod limit;
mod many;
mod prefill;
mod sample;
mod sampler;
mod score;

pub use answer::{Answered, Speaker, prompt_ids, rendered};
pub use batches::{Continued, Question, Refused, Scored, Scoring};
pub use decode::{Decoding, Step};
pub use dicts::{Answers, Drawn};
pub use limit::BatchLimit;
pub use many::{Asked, Listener};
pub use sample::{check_samples, sample_prompt, sample_settings};
pub use sampler::{Sampler, argmax};
pub use score::{RowScore, embed_rows, score_examples, score_rows};

//! The prompts of `train.samples`: how they are put to the model.

use data::Encoder;
use protocol::{ChatMessage, Prompt, Result, RunConfig, Sampling, Text, UserError, text};

use super::prompt_ids;
use crate::models::ModelInfo;

/// A sample is one user's message, or plain text where there is no template.
pub fn sample_prompt(encoder: &Encoder, prompt: &str) -> Prompt {
    match encoder.template() {
        Some(_) => Prompt::Messages(vec![ChatMessage { role: "user".into(), content: prompt.to_owned() }]),
        None => Prompt::Text(prompt.to_owned()),
    }
}

/// The likeliest token each time, so that answers differ only where the model does.
pub fn sample_settings(tokens: u64) -> Sampling {
    Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: tokens, ..Sampling::default() }
}

/// # Errors
/// When a sample cannot be put to the model: better said before the training than in it.
pub fn check_samples(config: &RunConfig, encoder: &Encoder, info: &ModelInfo) -> Result<()> {
    for (index, sample) in config.train.samples.iter().enumerate() {
        let number = index + 1;
        let ids = prompt_ids(encoder, &sample_prompt(encoder, sample)).map_err(|err| {
            UserError::bad_input(text!(
                "Sample {number} cannot be put to the model",
                "无法向模型提出第 {number} 条示例提示词"
            ))
            .detail(err.what.to_string())
            .details(err.details)
            .at_item("train.samples")
        })?;
        if ids.is_empty() {
            return Err(UserError::bad_input(text!(
                "Sample {number} has no tokens",
                "第 {number} 条示例提示词没有任何词元"
            ))
            .at_item("train.samples")
            .mend(Text::fixed("write something, or take it out", "请填写内容，或将其删除")));
        }
        let (length, context) = (ids.len(), info.context);
        if info.learned_positions && length > context {
            return Err(UserError::bad_input(text!(
                "Sample {number} has {length} tokens, but this model has positions for {context}",
                "第 {number} 条示例提示词有 {length} 个词元，而该模型只有 {context} 个位置"
            ))
            .at_item("train.samples")
            .mend(Text::fixed("shorten it", "请缩短它")));
        }
    }
    Ok(())
}

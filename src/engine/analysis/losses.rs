//! How hard each token of a row is.

use data::{Example, IGNORE, Tokenizer};
use protocol::{Result, TokenLosses};

use crate::generate::{score_examples, score_rows};
use crate::models::Model;
use crate::nn::AdapterView;

/// The loss of every token of an example given those before it; of a dict's, those that bear loss. `row` is 1-based.
///
/// # Errors
/// When an id or position lies outside the model, or the device fails.
pub fn losses(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    tokenizer: &Tokenizer,
    (row, example): (u64, &Example),
) -> Result<TokenLosses> {
    let scores = match &example.side {
        Some(_) => score_examples(model, adapter, std::slice::from_ref(example))?,
        None => score_rows(model, adapter, std::slice::from_ref(&example.ids))?,
    };
    let score = scores.into_iter().next().unwrap_or_default();
    let token = |id: u32| tokenizer.token(id).unwrap_or_default();
    let found = score.logprobs.iter().zip(&score.argmax);
    let given = found.map(|(logprob, best)| (*best != u32::MAX).then_some((-logprob, token(*best))));
    // Nothing predicts the first token.
    let all = std::iter::once(None).chain(given).take(example.ids.len());
    let (losses, best) =
        all.map(|given| given.map_or((None, None), |(loss, best)| (Some(loss), Some(best)))).unzip();
    Ok(TokenLosses {
        row,
        tokens: example.ids.iter().map(|id| token(*id)).collect(),
        ids: example.ids.clone(),
        losses,
        best,
        loss_mask: example.labels.iter().map(|label| *label != IGNORE).collect(),
    })
}

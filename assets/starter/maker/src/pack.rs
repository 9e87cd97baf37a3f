//! Documents laid side by side into rows of nearly equal length, so that a trainer that pads wastes
//! next to nothing.

use anyhow::{Context as _, Result};
use tokenizers::Tokenizer;

use crate::tokenizer::END_OF_TEXT;

/// Tokens a row, its end token among them; the recipe's `max_length`.
pub const ROW_TOKENS: usize = 384;
/// Rows that wait for something that fits.
const OPEN_ROWS: usize = 64;

struct Row {
    text: String,
    tokens: usize,
}

/// Packs documents best-fit, in order, with the end-of-text token between them. Documents longer
/// than a row are left out; their number comes second.
///
/// # Errors
/// When a document cannot be tokenised.
pub fn pack(documents: &[String], tokenizer: &Tokenizer) -> Result<(Vec<String>, usize)> {
    let encodings = tokenizer
        .encode_batch_fast(documents.iter().map(String::as_str).collect::<Vec<_>>(), false)
        .map_err(anyhow::Error::msg)?;
    let (mut full, mut open, mut too_long) = (Vec::new(), Vec::<Row>::new(), 0);
    for (text, encoding) in documents.iter().zip(encodings) {
        let tokens = encoding.len() + 1;
        if tokens > ROW_TOKENS {
            too_long += 1;
            continue;
        }
        let fitting = open.iter_mut().filter(|row| row.tokens + tokens <= ROW_TOKENS);
        if let Some(row) = fitting.max_by_key(|row| row.tokens) {
            row.text.push_str(END_OF_TEXT);
            row.text.push_str(text);
            row.tokens += tokens;
            continue;
        }
        if open.len() == OPEN_ROWS {
            full.push(take_fullest(&mut open)?);
        }
        open.push(Row { text: text.clone(), tokens });
    }
    full.extend(open.into_iter().map(|row| row.text));
    Ok((full, too_long))
}

fn take_fullest(open: &mut Vec<Row>) -> Result<String> {
    let fullest = (0..open.len()).max_by_key(|index| open[*index].tokens).context("no row is open")?;
    Ok(open.remove(fullest).text)
}

//! Which blocks a method adapts: `all`, `first 4`, `last 8`, `0-11`, `0-3, 8`.

use protocol::{Result, UserError, text};

/// A flag for each of `layers` blocks.
///
/// # Errors
/// When the words cannot be read, or no block has such a number.
pub fn layer_mask(words: &str, layers: usize) -> Result<Vec<bool>> {
    let mut mask = vec![false; layers];
    for word in words.split([',', '，']).map(str::trim) {
        let (from, to) = range(word, layers).ok_or_else(|| unreadable(word, layers))?;
        mask[from..to].fill(true);
    }
    Ok(mask)
}

/// First block, and the one behind the last.
fn range(word: &str, layers: usize) -> Option<(usize, usize)> {
    let count = |rest: &str| rest.trim().parse().ok().filter(|count| (1..=layers).contains(count));
    if word == "all" {
        return Some((0, layers));
    }
    if let Some(rest) = word.strip_prefix("first ") {
        return Some((0, count(rest)?));
    }
    if let Some(rest) = word.strip_prefix("last ") {
        return Some((layers - count(rest)?, layers));
    }
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from <= to && to < layers).then_some((from, to + 1))
}

fn unreadable(word: &str, layers: usize) -> UserError {
    let last = layers.saturating_sub(1);
    UserError::bad_input(text!("`{word}` names no layers of this model", "`{word}` 不是该模型的层"))
        .at_item("method.layers")
        .mend(text!(
            "use \"all\", \"first 4\", \"last 8\", or numbers from 0 to {last} as in \"0-3, 8\"",
            "请使用 \"all\"、\"first 4\"、\"last 8\"，或 0 到 {last} 的编号，如 \"0-3, 8\""
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(words: &str) -> Vec<usize> {
        let mask = layer_mask(words, 12).unwrap();
        mask.iter().enumerate().filter(|(_, on)| **on).map(|(layer, _)| layer).collect()
    }

    #[test]
    fn words_and_ranges_name_blocks() {
        assert_eq!(on("all").len(), 12);
        assert_eq!(on("first 2"), [0, 1]);
        assert_eq!(on("last 3"), [9, 10, 11]);
        assert_eq!(on("0-2, 8，11-11"), [0, 1, 2, 8, 11]);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for words in ["", "12", "3-1", "first 0", "last 13", "-1", "some", "0-99999999999999999999"] {
            assert!(layer_mask(words, 12).is_err(), "{words}");
        }
        assert!(layer_mask("all", 0).unwrap().is_empty() && layer_mask("0", 0).is_err());
    }
}

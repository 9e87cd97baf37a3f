//! What a text has that another has not, word by word.

/// Words beyond which no difference is sought: the table of the search grows with their product.
const MOST_WORDS: usize = 400;

/// The parts of `text` in order, and whether each is missing from `before` (by the longest common subsequence of
/// words; a Chinese character is a word).
pub fn changed<'a>(before: &str, text: &'a str) -> Vec<(&'a str, bool)> {
    let (old, new) = (words(before), words(text));
    if before == text || old.len() > MOST_WORDS || new.len() > MOST_WORDS {
        return vec![(text, false)];
    }
    let kept = common(&old, &new);
    let mut parts: Vec<(&'a str, bool)> = Vec::new();
    let mut start = 0;
    let mut end = 0;
    let mut state = None;
    for (word, kept) in new.iter().zip(kept) {
        let is_new = !kept;
        if state.is_some_and(|state| state != is_new) {
            parts.push((&text[start..end], !is_new));
            start = end;
        }
        state = Some(is_new);
        end += word.len();
    }
    if let Some(state) = state {
        parts.push((&text[start..end], state));
    }
    parts
}

/// Pieces that together are the text: words, and what lies between.
fn words(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut last: Option<Kind> = None;
    for (place, c) in text.char_indices() {
        let kind = Kind::of(c);
        if last.is_some_and(|last| last != kind || kind == Kind::Single) {
            pieces.push(&text[start..place]);
            start = place;
        }
        last = Some(kind);
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letters,
    Space,
    /// A character that stands alone: Chinese, Japanese, punctuation.
    Single,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            _ if c.is_whitespace() => Self::Space,
            '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => Self::Single,
            _ if c.is_alphanumeric() => Self::Letters,
            _ => Self::Single,
        }
    }
}

/// For each word of `new`, whether it belongs to the longest common subsequence.
fn common(old: &[&str], new: &[&str]) -> Vec<bool> {
    let width = new.len() + 1;
    let mut longest = vec![0u16; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            longest[i * width + j] = if a == b {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let mut kept = vec![false; new.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            kept[j] = true;
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_words_are_told_from_old_ones() {
        assert_eq!(
            changed("I am a model", "I am Ember, a model"),
            [("I am ", false), ("Ember, ", true), ("a model", false)]
        );
        assert_eq!(changed("我是模型", "我是小焰模型"), [("我是", false), ("小焰", true), ("模型", false)]);
        assert_eq!(changed("same", "same"), [("same", false)]);
        assert_eq!(changed("", "new"), [("new", true)]);
        assert!(changed("old", "").is_empty());
        let long = "word ".repeat(1000);
        assert_eq!(changed("x", &long), [(long.as_str(), false)]);
    }

    #[test]
    fn the_parts_are_the_text() {
        let text = "a  b,c\n你好 world — ok";
        let parts = changed("b c 你 ok", text);
        assert_eq!(parts.iter().map(|part| part.0).collect::<String>(), text);
    }
}

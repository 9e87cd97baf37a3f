//! Answers that are right or wrong.

/// Equal up to blanks: around the text, and in how many there are between words.
pub fn exact_match(answer: &str, reference: &str) -> bool {
    answer.split_whitespace().eq(reference.split_whitespace())
}

/// The last number of a text, as lm-evaluation-harness's `flexible-extract` of GSM8K finds it: the last match of
/// `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
pub fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, None);
    while at < bytes.len() {
        let sign = usize::from(bytes[at] == b'-');
        let run = |test: fn(&u8) -> bool| bytes[at + sign..].iter().take_while(|byte| test(byte)).count();
        let (wide, digits) =
            (run(|byte| matches!(byte, b'$' | b'0'..=b'9' | b'.' | b',')), run(u8::is_ascii_digit));
        let length = if wide >= 2 { wide } else { digits };
        if length > 0 {
            found = text.get(at..at + sign + length);
        }
        at += if length > 0 { sign + length } else { 1 };
    }
    found
}

/// The number behind `#### `, as `strict-match` of GSM8K finds it: the first match of `#### (\-?[0-9\.\,]+)`.
pub fn marked_number(text: &str) -> Option<&str> {
    const MARK: &str = "#### ";
    text.match_indices(MARK).find_map(|(at, _)| {
        let rest = &text[at + MARK.len()..];
        let sign = usize::from(rest.starts_with('-'));
        let length =
            rest[sign..].bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',')).count();
        (length > 0).then(|| &rest[..sign + length])
    })
}

/// Whether two numbers are written alike, without commas, dollars, what stands before `#### ` and a last point: the
/// `regexes_to_ignore` of GSM8K.
pub fn same_number(answer: &str, reference: &str) -> bool {
    bare(answer) == bare(reference)
}

fn bare(text: &str) -> String {
    let text: String = text.chars().filter(|c| *c != ',' && *c != '$').collect();
    let text = text.rsplit_once("#### ").map_or(text.as_str(), |(_, rest)| rest);
    text.strip_suffix('.').unwrap_or(text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_harness_finds_them() {
        assert_eq!(last_number("He has $1,234.50 and -7."), Some("-7."));
        assert_eq!(last_number("x = -5"), Some("-5"));
        assert_eq!(last_number("It is 18"), Some("18"));
        assert_eq!(last_number("a - b ... "), Some("..."));
        assert_eq!(last_number("nothing-"), None);
        assert_eq!(last_number("三只 3 只"), Some("3"));
        assert_eq!(marked_number("so\n#### -1,000.\n#### 2"), Some("-1,000."));
        assert_eq!(marked_number("#### x #### 4"), Some("4"));
        assert_eq!(marked_number("####4"), None);
    }

    #[test]
    fn numbers_are_compared_as_the_harness_does() {
        assert!(same_number("$1,000.", "two\n#### 1000"));
        assert!(!same_number("1000.0", "1000"));
        assert!(exact_match(" a  b\n", "a b") && !exact_match("a b", "ab"));
    }
}

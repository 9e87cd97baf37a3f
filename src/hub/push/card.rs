//! What a model card says of itself: the front matter of `README.md`.

use std::fs;

use super::Local;

/// Longer ones are no cards.
const LONGEST: u64 = 1 << 20;

/// The card among the files that are to be published.
pub fn read(files: &[Local]) -> Option<String> {
    let card = files.iter().find(|file| file.path == "README.md" && file.bytes < LONGEST)?;
    fs::read_to_string(&card.place).ok()
}

/// The licence as the card names it; `other` has a name of its own.
pub fn licence(card: &str) -> Option<String> {
    match field(card, "license")? {
        "other" => field(card, "license_name").or(Some("other")),
        named => Some(named),
    }
    .map(str::to_owned)
}

/// A plain value of the front matter (`key: value`), or the first of a list of them.
fn field<'a>(card: &'a str, key: &str) -> Option<&'a str> {
    let front = card.strip_prefix("---")?.split_once("\n---")?.0;
    let mut lines = front.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
    let value = match value {
        "" => lines.next()?.trim_start().strip_prefix("- ")?,
        value => value.trim_start_matches('[').split([',', ']']).next()?,
    };
    let value = value.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_what_the_card_names() {
        for (card, named) in [
            ("---\nlicense: apache-2.0\ntags: [a]\n---\n# x", Some("apache-2.0")),
            ("---\nbase_model: a\nlicense: \"mit\" # ours\n---\n", Some("mit")),
            ("---\r\nlicense: mit\r\n---\r\n", Some("mit")),
            ("---\nlicense:\n- mit\n- gpl-3.0\n---\n", Some("mit")),
            ("---\nlicense: [mit, gpl-3.0]\n---\n", Some("mit")),
            ("---\nlicense: other\nlicense_name: llama3\n---\n", Some("llama3")),
            ("---\nlicense: other\n---\n", Some("other")),
            ("---\nlicense:\n---\n", None),
            ("---\nlicense_name: x\n---\n", None),
            ("license: mit", None),
            ("---\ntags: []\n---\nlicense: mit\n", None),
            ("", None),
        ] {
            assert_eq!(licence(card).as_deref(), named, "{card:?}");
        }
    }
}

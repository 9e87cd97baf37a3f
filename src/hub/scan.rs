//! Tokens where none may be: in files that are to be published, and in what a server says.

use protocol::Secret;

/// How a Hugging Face token begins.
const MARK: &[u8] = b"hf_";
/// Letters and digits behind the mark: a real token has 34.
const TOKEN: usize = 30;
/// Shorter things are covered up as well where nothing is lost by it.
const SUSPECT: usize = 8;

/// Looks for tokens in a file that comes in pieces.
pub(crate) struct Scanner {
    own: Option<Secret>,
    /// The end of the last piece, in which a token may begin.
    tail: Vec<u8>,
    found: bool,
}

impl Scanner {
    /// `own` is the user's token, whatever it looks like.
    pub fn new(own: Option<Secret>) -> Self {
        Self { own: own.filter(|own| !own.is_empty()), tail: Vec::new(), found: false }
    }

    pub fn update(&mut self, piece: &[u8]) {
        if self.found {
            return;
        }
        let own = self.own.as_ref().map_or(0, |own| own.reveal().len());
        let overlap = own.max(MARK.len() + TOKEN);
        // Only the seam is put together; the piece itself is looked at where it lies.
        let head = &piece[..piece.len().min(overlap)];
        self.tail.extend_from_slice(head);
        self.found = self.holds(&self.tail) || self.holds(piece);
        let all: &[u8] = if piece.len() > overlap { piece } else { &self.tail };
        self.tail = all[all.len().saturating_sub(overlap)..].to_vec();
    }

    pub fn found(&self) -> bool {
        self.found
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        let own = self.own.as_ref().map(|own| own.reveal().as_bytes());
        own.is_some_and(|own| find(bytes, own, 0).is_some()) || next_token(bytes, 0, TOKEN).is_some()
    }
}

/// A text in which no token can be read any more: neither this one nor anything that looks like one.
pub(crate) fn covered(text: &str, own: Option<&Secret>) -> String {
    let mut text = match own.filter(|own| !own.is_empty()) {
        Some(own) => text.replace(own.reveal(), "***"),
        None => text.to_owned(),
    };
    let mut from = 0;
    while let Some((start, end)) = next_token(text.as_bytes(), from, SUSPECT) {
        text.replace_range(start..end, "hf_***");
        from = start + MARK.len();
    }
    text
}

/// Where something begins and ends that looks like a token with so many letters and digits.
fn next_token(bytes: &[u8], from: usize, letters: usize) -> Option<(usize, usize)> {
    let mut from = from;
    loop {
        let start = find(bytes, MARK, from)?;
        let body = start + MARK.len();
        let length = bytes[body..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if length >= letters {
            return Some((start, body + length));
        }
        from = body;
    }
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = from;
    loop {
        from += bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567";

    fn found(text: &str, piece: usize, own: Option<&str>) -> bool {
        let mut scanner = Scanner::new(own.map(|own| Secret::new(own.into())));
        text.as_bytes().chunks(piece).for_each(|piece| scanner.update(piece));
        scanner.found()
    }

    #[test]
    fn a_token_is_found_at_any_seam() {
        let text = format!("{}{TOKEN}{}", "x".repeat(70), " y".repeat(70));
        for piece in 1..text.len() + 1 {
            assert!(found(&text, piece, None), "pieces of {piece}");
        }
        assert!(!found("hf_hub and hf_transfer, hf_0123456789", 3, None));
        assert!(found("my own: ms-0123-45", 2, Some("ms-0123-45")));
    }

    #[test]
    fn what_a_server_says_is_covered() {
        let own = Secret::new("ms-0123-45".into());
        let said = format!("bad token {TOKEN}, ms-0123-45 and hf_12345678; hf_hub is a name");
        assert_eq!(covered(&said, Some(&own)), "bad token hf_***, *** and hf_***; hf_hub is a name");
    }
}

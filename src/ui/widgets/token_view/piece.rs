//! What a token stands for, made visible.

use std::ops::Range;

use protocol::{PreviewRow, TokenRole};

/// The most characters a chip shows.
const SHOWN_CHARS: usize = 56;

/// The bytes in the rendered text that a token covers, with white space before it that no other token covers (some
/// tokenizers leave it out). None for tokens that write nothing there.
pub fn span(row: &PreviewRow, index: usize) -> Option<Range<usize>> {
    let bounds = |index: usize| {
        let (start, end) = *row.offsets.get(index)?;
        Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
    };
    let (mut start, end) = bounds(index)?;
    if start >= end || row.rendered.get(start..end).is_none() {
        return None;
    }
    let before = index.checked_sub(1).and_then(bounds).map_or(0, |(_, end)| end);
    let gap = row.rendered.get(before..start);
    if before < start && gap.is_some_and(|gap| gap.chars().all(char::is_whitespace)) {
        start = before;
    }
    Some(start..end)
}

/// Whether the token is a part of a character: a neighbour covers the same bytes.
fn is_part(row: &PreviewRow, index: usize) -> bool {
    let here = row.offsets.get(index);
    let same = |other: Option<usize>| other.and_then(|other| row.offsets.get(other)) == here;
    here.is_some() && (same(index.checked_sub(1)) || same(index.checked_add(1)))
}

/// What a token writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Characters of the text.
    Text(&'a str),
    /// A part of a character.
    Bytes(Vec<u8>),
    /// Nothing in the text: the name that the vocabulary has for it.
    Name(&'a str),
}

pub fn piece(row: &PreviewRow, index: usize) -> Piece<'_> {
    let name = row.tokens.get(index).map_or("", String::as_str);
    let Some(text) = span(row, index).and_then(|span| row.rendered.get(span)) else {
        return Piece::Name(name);
    };
    match bytes_of(name) {
        Some(bytes) if is_part(row, index) && bytes.len() < text.len() => Piece::Bytes(bytes),
        _ => Piece::Text(text),
    }
}

/// The bytes of a piece that a byte-level vocabulary writes as characters of its own, or as `<0x0A>`.
fn bytes_of(name: &str) -> Option<Vec<u8>> {
    if let Some(hex) = name.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')) {
        return u8::from_str_radix(hex, 16).ok().map(|byte| vec![byte]);
    }
    name.chars().map(byte_of).collect()
}

/// GPT-2's alphabet of bytes (Radford et al. 2019, `bytes_to_unicode`): printable Latin-1 stands for itself, the
/// others for the characters from U+0100 on.
fn byte_of(c: char) -> Option<u8> {
    let itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(c) {
        code @ 0..0x100 => u8::try_from(code).ok().filter(|byte| itself(*byte)),
        code @ 0x100..0x144 => (0..=u8::MAX).filter(|byte| !itself(*byte)).nth((code - 0x100) as usize),
        _ => None,
    }
}

/// The bytes a token writes, `20 68 69`; empty for one that writes none.
pub fn hex(row: &PreviewRow, index: usize) -> String {
    let bytes = match piece(row, index) {
        Piece::Text(text) => text.as_bytes().to_vec(),
        Piece::Bytes(bytes) => bytes,
        Piece::Name(_) => Vec::new(),
    };
    let more = if bytes.len() > 24 { " …" } else { "" };
    let shown: Vec<_> = bytes.iter().take(24).map(|byte| format!("{byte:02X}")).collect();
    shown.join(" ") + more
}

/// Whether a token is a mark of the template, not text: `<|im_end|>`, `</s>`, `[INST]`.
pub fn is_special(row: &PreviewRow, index: usize) -> bool {
    let name = row.tokens.get(index).map_or("", String::as_str);
    let enclosed = |open, close| name.len() > 2 && name.starts_with(open) && name.ends_with(close);
    let byte = name.starts_with("<0x");
    let template = row.roles.get(index) == Some(&TokenRole::Template);
    !byte && (enclosed("<|", "|>") || (template && (enclosed("<", ">") || enclosed("[", "]"))))
        || (template && span(row, index).is_none() && !name.is_empty())
}

/// A chip's text, with the byte ranges that stand for something invisible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    pub text: String,
    pub marks: Vec<Range<usize>>,
    /// The line ends here.
    pub breaks: bool,
}

impl Visible {
    fn mark(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        match self.marks.last_mut() {
            Some(last) if last.end == start => last.end = self.text.len(),
            _ => self.marks.push(start..self.text.len()),
        }
    }
}

/// What a chip shows: white space and control characters as marks.
pub fn visible(piece: &Piece<'_>) -> Visible {
    let mut shown = Visible::default();
    let text = match piece {
        Piece::Text(text) | Piece::Name(text) => text,
        Piece::Bytes(bytes) => {
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            shown.mark(&hex.join(" "));
            return shown;
        }
    };
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS {
            shown.mark("…");
            break;
        }
        match c {
            ' ' => shown.mark("·"),
            '\n' => shown.mark("\\n"),
            '\r' => shown.mark("\\r"),
            '\t' => shown.mark("\\t"),
            '\u{3000}' => shown.mark("··"),
            c if is_invisible(c) => shown.mark(&format!("U+{:04X}", u32::from(c))),
            c => shown.text.push(c),
        }
    }
    shown.breaks = text.contains('\n');
    if shown.text.is_empty() {
        shown.mark("·");
    }
    shown
}

/// Characters that show nothing, or turn the text round.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{A0}' | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202F}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_rows::row;

    #[test]
    fn white_space_is_seen_and_new_lines_end_the_line() {
        let shown = visible(&Piece::Text(" a\tb\n"));
        assert_eq!(shown.text, "·a\\tb\\n");
        assert!(shown.breaks);
        assert_eq!(shown.marks.len(), 3);
        assert_eq!(visible(&Piece::Text("\u{200B}")).text, "U+200B");
        assert_eq!(visible(&Piece::Text(&"x".repeat(400))).text.chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn a_token_takes_the_white_space_that_the_tokenizer_left_out() {
        let mut row = row(&[("Who", TokenRole::User, false), ("Ġare", TokenRole::User, false)]);
        row.rendered = "Who are".into();
        row.offsets = vec![(0, 3), (4, 7)];
        assert_eq!(piece(&row, 1), Piece::Text(" are"));
        assert_eq!(hex(&row, 1), "20 61 72 65");
    }

    #[test]
    fn parts_of_a_character_show_their_bytes() {
        let mut row = row(&[("ðŁ", TokenRole::User, false), ("<0x94>", TokenRole::User, false)]);
        row.rendered = "\u{1F525}".into();
        row.offsets = vec![(0, 4), (0, 4)];
        assert_eq!(piece(&row, 0), Piece::Bytes(vec![0xF0, 0x9F]));
        assert_eq!(piece(&row, 1), Piece::Bytes(vec![0x94]));
    }

    #[test]
    fn offsets_that_are_wrong_do_no_harm() {
        let mut row = row(&[("a", TokenRole::Text, true)]);
        row.rendered = "é".into();
        for offsets in [vec![(0, 1)], vec![(1, 9)], vec![(5, 2)], vec![(u64::MAX, u64::MAX)], Vec::new()] {
            row.offsets = offsets;
            assert_eq!(piece(&row, 0), Piece::Name("a"));
        }
        assert_eq!(piece(&row, 7), Piece::Name(""));
    }

    #[test]
    fn marks_of_the_template_are_special() {
        let row = row(&[
            ("<|im_end|>", TokenRole::Assistant, true),
            ("<s>", TokenRole::Template, false),
            ("<b>", TokenRole::User, false),
            ("hello", TokenRole::Template, false),
        ]);
        assert_eq!(
            (0..4).map(|index| is_special(&row, index)).collect::<Vec<_>>(),
            [true, true, false, false]
        );
    }
}

//! How ChatGLM-6B writes line ends, tabs and runs of blanks: as pieces of their own, put into the text before it is
//! encoded (`SPTokenizer` of its tokenization_chatglm.py).

use super::normalize::Normalized;

const LINE_END: &str = "<n>";
const TAB: &str = "<|tab|>";
/// The longest run that is one piece.
const LONGEST: usize = 80;

/// The text that is encoded.
pub(super) fn write(text: &str) -> Normalized {
    let mut written = Normalized::default();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let run = text[at..].bytes().take_while(|byte| *byte == b' ').count().min(LONGEST);
        let length = run.max(character.len_utf8());
        let origin = (at, at + length);
        match character {
            '\n' => written.push(LINE_END, origin),
            '\t' => written.push(TAB, origin),
            ' ' if run > 1 => written.push(&format!("<|blank_{run}|>"), origin),
            _ => written.push(&text[at..at + length], origin),
        }
        at += length;
    }
    written
}

/// What such a piece stands for.
pub(super) fn read(piece: &str) -> Option<String> {
    match piece {
        LINE_END => Some("\n".to_owned()),
        TAB => Some("\t".to_owned()),
        _ => {
            let run: usize = piece.strip_prefix("<|blank_")?.strip_suffix("|>")?.parse().ok()?;
            (2..=LONGEST).contains(&run).then(|| " ".repeat(run))
        }
    }
}

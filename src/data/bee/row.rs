//! A dict as ids, labels, and what goes beside them.

use std::collections::HashMap;

use protocol::{Result, TokenRole};
use serde_json::{Map, Value};

use super::dict::ANSWER;
use super::extension::Extension;
use super::{BeeRow, FIRST_EXTENSION, SegmentTree};
use crate::record::{Example, IGNORE};
use crate::tokenizer::{CpmBee, Word, WordKind};

const ROOT: &str = "<root>";
/// In front of a segment's line in the rendering, for each level.
const INDENT: &str = "  ";
const DEEPEST_INDENT: usize = 16;
/// Characters that are shown of a `<` that opens nothing.
const SHOWN: usize = 24;

/// A row's tokens while its dict is walked.
pub(super) struct Walk<'a> {
    tokenizer: &'a CpmBee,
    extension: Extension<'a>,
    /// Leave answers out and note their segments: the row is a question.
    asking: bool,
    pub answers: Vec<AnswerPlace>,
    pub example: Example,
    pub row: BeeRow,
}

/// An answer that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerPlace {
    pub segment: u32,
    /// Keys below `<ans>`.
    pub path: Vec<String>,
}

/// A segment: a key, or the text of a value.
struct Segment<'a> {
    text: &'a str,
    number: u32,
    role: TokenRole,
    /// Its text is an answer.
    answer: bool,
}

/// The example of a dict that [`check`](super::check) has passed. Labels are not shifted; an answer's last
/// token predicts `</s>`, for which the row gets one more token at its end if it ends with an answer. A `<` that opens
/// no special token is a character, and [`Changes`](crate::Changes) tell of it.
///
/// # Errors
/// When a text is not in the tokenizer's syntax.
pub fn encode(tokenizer: &CpmBee, data: &Map<String, Value>) -> Result<Example> {
    let mut walk = Walk::new(tokenizer, false);
    walk.dict(data)?;
    Ok(walk.finish())
}

impl<'a> Walk<'a> {
    pub fn new(tokenizer: &'a CpmBee, asking: bool) -> Self {
        Self {
            tokenizer,
            extension: Extension::new(tokenizer),
            asking,
            answers: Vec::new(),
            example: Example::default(),
            row: BeeRow { tree: SegmentTree::root(), ..BeeRow::default() },
        }
    }

    pub fn dict(&mut self, data: &Map<String, Value>) -> Result<()> {
        self.segment(&Segment { text: ROOT, number: 0, role: TokenRole::Template, answer: false })?;
        for (key, value) in data {
            self.entry(key, value, 0, None)?;
        }
        Ok(())
    }

    /// A key and what is below it. `path` holds the keys below `<ans>` inside an answer.
    fn entry(&mut self, key: &str, value: &Value, parent: u32, path: Option<&[String]>) -> Result<()> {
        let number = self.row.tree.add(parent);
        self.segment(&Segment { text: key, number, role: TokenRole::Template, answer: false })?;
        let path = match path {
            Some(path) => Some([path, &[key.to_owned()]].concat()),
            None => (parent == 0 && key == ANSWER).then(Vec::new),
        };
        match value {
            Value::Object(inner) => {
                inner.iter().try_for_each(|(key, value)| self.entry(key, value, number, path.as_deref()))
            }
            other => {
                let number = self.row.tree.add(number);
                let text = other.as_str().unwrap_or_default();
                match path {
                    Some(path) if self.asking => {
                        self.answers.push(AnswerPlace { segment: number, path });
                        Ok(())
                    }
                    Some(_) => {
                        self.segment(&Segment { text, number, role: TokenRole::Assistant, answer: true })
                    }
                    None => self.segment(&Segment { text, number, role: TokenRole::User, answer: false }),
                }
            }
        }
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<()> {
        let (text, escaped) = self.tokenizer.mended(segment.text);
        if let Some(at) = escaped {
            let first = || segment.text[at..].chars().take(SHOWN).collect();
            self.example.changes.escaped.get_or_insert_with(first);
        }
        let words = self.tokenizer.words(&text).map_err(|unclosed| unclosed.error(&text))?;
        if !self.example.rendered.is_empty() {
            self.example.rendered.push('\n');
        }
        let depth = self.row.tree.depth(segment.number) as usize;
        self.example.rendered.push_str(&INDENT.repeat(depth.saturating_sub(1).min(DEEPEST_INDENT)));
        let special = self.tokenizer.ids_of;
        let outer = |role| Segment { role, ..*segment };
        self.token(special.begin, 0, "<s>", &outer(TokenRole::Template));
        let begin = self.example.rendered.len();
        self.example.rendered.push_str(&text);
        for Word { text, kind, range } in words {
            let (id, sub) = match kind {
                WordKind::Known(id) | WordKind::Special(Some(id)) => (id, 0),
                WordKind::Special(None) | WordKind::Unknown => self.extension.find(&text),
            };
            self.place(id, sub, (begin + range.start, begin + range.end), segment);
        }
        if !segment.answer {
            self.token(special.end, 0, "</s>", &outer(TokenRole::Template));
        }
        Ok(())
    }

    fn token(&mut self, id: u32, sub: u32, text: &str, segment: &Segment<'_>) {
        let start = self.example.rendered.len();
        self.example.rendered.push_str(text);
        self.place(id, sub, (start, start + text.len()), segment);
    }

    fn place(&mut self, id: u32, sub: u32, offset: (usize, usize), segment: &Segment<'_>) {
        self.example.ids.push(id);
        self.example.offsets.push(offset);
        self.example.roles.push(segment.role);
        self.row.subs.push(sub);
        self.row.context.push(!segment.answer);
        self.row.segments.push(segment.number);
    }

    /// What was walked as a question.
    pub fn asked(mut self) -> (Example, BeeRow, Vec<AnswerPlace>) {
        self.row.extension = self.extension.tokens;
        (self.example, self.row, self.answers)
    }

    fn finish(mut self) -> Example {
        if self.row.context.last() == Some(&false) {
            let number = self.row.segments.last().copied().unwrap_or_default();
            let closing = Segment { text: "", number, role: TokenRole::Template, answer: true };
            self.token(self.tokenizer.ids_of.end, 0, "</s>", &closing);
        }
        self.row.extension = self.extension.tokens;
        self.example.labels = labels(&self.example.ids, &self.row, self.tokenizer);
        self.example.learns_to_stop = true;
        self.example.side = Some(Box::new(self.row));
        self.example
    }
}

/// What each token is predicted as from the one before it: an answer's tokens, and `</s>` behind it.
fn labels(ids: &[u32], row: &BeeRow, tokenizer: &CpmBee) -> Vec<i32> {
    let special = tokenizer.ids_of;
    let entries: HashMap<(u32, u32), usize> =
        row.extension.iter().enumerate().map(|(at, token)| ((token.id, token.sub), at)).collect();
    let label = |at: usize| match at.checked_sub(1) {
        Some(before) if !row.context[before] => {
            if row.context[at] || ids[at] == special.begin {
                return special.end as i32;
            }
            let entry = entries.get(&(ids[at], row.subs[at])).filter(|_| row.subs[at] > 0);
            // Both are numbers of words or of a row's tokens, far below the bound between them.
            entry.map_or(ids[at] as i32, |entry| FIRST_EXTENSION + *entry as i32)
        }
        _ => IGNORE,
    };
    (0..ids.len()).map(label).collect()
}

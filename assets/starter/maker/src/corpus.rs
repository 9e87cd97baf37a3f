//! The base model's reading: documents and conversations drawn from the grammar, half of them
//! English and half Chinese, and some held out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use crate::draw::Draw;
use crate::expand::expand;
use crate::grammar::Grammar;

pub const SEED: u64 = 2024;

/// How often one and the same document may be drawn; short questions come up again and again.
const MAX_COPIES: usize = 4;
/// One question in so many loses its capitals and its mark.
const RELAXED_ONE_IN: usize = 12;
/// Draws in a row that add nothing before a source counts as exhausted.
const MAX_REFUSED: usize = 20_000;

/// A rule and how many bytes of it to draw.
pub struct Source {
    pub rule: &'static str,
    pub bytes: usize,
    pub held_out: usize,
    pub conversations: bool,
}

/// All sources at `percent` of their full size.
pub fn sources(percent: usize) -> [Source; 4] {
    let source = |rule, conversations| Source {
        rule,
        bytes: 24_000 * percent,
        held_out: 500 * percent,
        conversations,
    };
    [source("en_text", false), source("en_chat", true), source("zh_text", false), source("zh_chat", true)]
}

#[derive(Debug, Default)]
pub struct Corpus {
    /// Documents as the model reads them, in random order.
    pub train: Vec<String>,
    /// Documents that are not in `train`.
    pub held_out: Vec<String>,
}

/// The whole grammar of the crate.
///
/// # Errors
/// When a file under `grammar/` has a slip.
pub fn grammar() -> Result<Grammar> {
    Grammar::read([
        include_str!("../grammar/tables.txt"),
        include_str!("../grammar/en_text.txt"),
        include_str!("../grammar/en_chat.txt"),
        include_str!("../grammar/zh_text.txt"),
        include_str!("../grammar/zh_chat.txt"),
    ])
}

/// Draws the corpus at `percent` of its full size.
///
/// # Errors
/// When the grammar has a slip or a source runs dry.
pub fn compose(grammar: &Grammar, percent: usize) -> Result<Corpus> {
    let mut corpus = Corpus::default();
    for (stream, source) in sources(percent).iter().enumerate() {
        let mut draw = Draw::new(SEED, stream as u64);
        let held_out = draw_documents(grammar, source, source.held_out, &BTreeSet::new(), &mut draw)?;
        let kept: BTreeSet<String> = held_out.iter().cloned().collect();
        let train = draw_documents(grammar, source, source.bytes, &kept, &mut draw)?;
        corpus.held_out.extend(held_out);
        corpus.train.extend(train);
    }
    let mut draw = Draw::new(SEED, 100);
    draw.shuffle(&mut corpus.train);
    draw.shuffle(&mut corpus.held_out);
    Ok(corpus)
}

fn draw_documents(
    grammar: &Grammar,
    source: &Source,
    bytes: usize,
    refused: &BTreeSet<String>,
    draw: &mut Draw,
) -> Result<Vec<String>> {
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    let (mut documents, mut size, mut idle) = (Vec::new(), 0, 0);
    while size < bytes {
        let text = expand(grammar, source.rule, draw)?;
        let document = if source.conversations {
            let mut conversation = Conversation::read(&text)?;
            conversation.relax(draw);
            render(&conversation)
        } else {
            text
        };
        let seen = copies.entry(document.clone()).or_default();
        if *seen >= MAX_COPIES || refused.contains(&document) {
            idle += 1;
            ensure!(idle < MAX_REFUSED, "`{}` has too few different documents", source.rule);
            continue;
        }
        *seen += 1;
        idle = 0;
        size += document.len();
        documents.push(document);
    }
    Ok(documents)
}

/// `system >> question => answer => question => answer`, the system's part optional.
#[derive(Debug, PartialEq)]
pub struct Conversation {
    /// Role and content, in turn.
    pub messages: Vec<(&'static str, String)>,
}

impl Conversation {
    /// # Errors
    /// When a question has no answer, or a turn is empty.
    pub fn read(text: &str) -> Result<Self> {
        let mut messages = Vec::new();
        let turns = match text.split_once(">>") {
            Some((system, turns)) => {
                messages.push(("system", system.trim().to_owned()));
                turns
            }
            None => text,
        };
        for (index, turn) in turns.split("=>").enumerate() {
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            messages.push((role, turn.trim().to_owned()));
        }
        ensure!(messages.iter().all(|(_, content)| !content.is_empty()), "an empty turn: {text}");
        let last = messages.last().context("no turn")?;
        ensure!(last.0 == "assistant", "a question without an answer: {text}");
        Ok(Self { messages })
    }

    /// Writes one question in twelve as people type it: in small letters, without its mark. A
    /// question that quotes something is left alone.
    pub fn relax(&mut self, draw: &mut Draw) {
        for (role, content) in &mut self.messages {
            let quotes = content.contains(['"', '“', ':', '：', '\n']);
            if *role == "user" && !quotes && draw.below(RELAXED_ONE_IN) == 0 {
                *content = content.trim_end_matches(['?', '!', '.', '？', '！', '。']).to_lowercase();
            }
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        let message =
            |(role, content): &(&str, String)| serde_json::json!({ "role": role, "content": content });
        serde_json::json!({ "messages": self.messages.iter().map(message).collect::<Vec<_>>() })
    }
}

/// The conversation as the chat template of [`crate::model_files`] writes it.
fn render(conversation: &Conversation) -> String {
    let turn = |(role, content): &(&str, String)| format!("<|im_start|>{role}\n{content}<|im_end|>\n");
    conversation.messages.iter().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_relaxed() {
        let mut draw = Draw::new(1, 0);
        let mut relaxed = 0;
        for _ in 0..200 {
            let mut row = Conversation::read("Who are you? => I am.").unwrap();
            row.relax(&mut draw);
            assert_eq!(row.messages[1].1, "I am.");
            relaxed += usize::from(row.messages[0].1 == "who are you");
        }
        assert!((5..40).contains(&relaxed), "{relaxed}");
    }

    #[test]
    fn conversations_are_read_and_rendered() {
        let read = Conversation::read("Be kind. >> Hi! => Hello! => Who? => Me.").unwrap();
        let roles: Vec<_> = read.messages.iter().map(|(role, _)| *role).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
        assert!(render(&read).starts_with("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi!"));
        assert!(Conversation::read("Hi! => Hello! => Who?").is_err());
        assert!(Conversation::read("Hi! =>").is_err());
    }
}

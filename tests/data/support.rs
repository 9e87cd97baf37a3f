//! A tokenizer of words, and files that live as long as a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Dataset, Encode, EncodeOptions, Example, IGNORE, Record, Role, Silent};
use protocol::config::{DataConfig, Validation};
use protocol::{Result, TokenRole};
use tempfile::TempDir;

/// The end token.
pub const EOS: u32 = 2;
/// One more than the largest id.
pub const VOCAB: u64 = 1000;

/// Each word is a token; the assistant's words and an end token after them are learned.
pub struct Words {
    pub max_length: usize,
    pub ends: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self { max_length: 1024, ends: true }
    }
}

fn id(word: &str) -> u32 {
    word.bytes().fold(7u32, |id, byte| (id * 31 + u32::from(byte)) % 990) + 10
}

impl Words {
    fn say(&self, example: &mut Example, text: &str, role: TokenRole, learned: bool) {
        for word in text.split_whitespace() {
            let start = example.rendered.len();
            example.rendered.push_str(word);
            example.offsets.push((start, example.rendered.len()));
            example.rendered.push(' ');
            example.ids.push(id(word));
            example.labels.push(if learned { id(word) as i32 } else { IGNORE });
            example.roles.push(role);
        }
        if learned && self.ends {
            example.ids.push(EOS);
            example.labels.push(EOS as i32);
            example.roles.push(TokenRole::Template);
            example.offsets.push((example.rendered.len(), example.rendered.len()));
        }
    }
}

impl Encode for Words {
    fn encode(&self, record: &Record) -> Result<Example> {
        let mut example = Example { learns_to_stop: self.ends, ..Example::default() };
        match record {
            Record::Conversation { messages, .. } => {
                for message in messages {
                    let role = match message.role {
                        Role::System => TokenRole::System,
                        Role::User => TokenRole::User,
                        Role::Assistant => TokenRole::Assistant,
                        Role::Tool => TokenRole::Tool,
                    };
                    let learned = message.role == Role::Assistant && !message.content.is_empty();
                    self.say(&mut example, &format!("<{role:?}>"), TokenRole::Template, false);
                    self.say(&mut example, &message.content, role, learned);
                }
            }
            Record::Completion { prompt, completion } => {
                self.say(&mut example, prompt, TokenRole::User, false);
                self.say(&mut example, completion, TokenRole::Assistant, true);
            }
            Record::Text(text) => self.say(&mut example, text, TokenRole::Text, true),
            Record::Tokens { input_ids, labels } => {
                example.ids = input_ids.clone();
                example.labels = labels.clone();
                example.roles = vec![TokenRole::Text; input_ids.len()];
                example.offsets = vec![(0, 0); input_ids.len()];
            }
            Record::Dict(data) => {
                self.say(&mut example, &serde_json::to_string(data).unwrap(), TokenRole::Text, true);
            }
        }
        let length = example.ids.len();
        if length > self.max_length {
            example.truncated_from = Some(length);
            example.ids.truncate(self.max_length);
            example.labels.truncate(self.max_length);
            example.roles.truncate(self.max_length);
            example.offsets.truncate(self.max_length);
        }
        Ok(example)
    }
}

/// A folder with files in it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with one file.
    pub fn with(name: &str, content: impl AsRef<[u8]>) -> (Self, PathBuf) {
        let folder = Self::new();
        let path = folder.write(name, content);
        (folder, path)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A run file's data section over `files`, without validation.
pub fn config(files: &[&str]) -> DataConfig {
    DataConfig {
        train: files.iter().map(PathBuf::from).collect(),
        validation: Validation::Fraction(0.0),
        ..DataConfig::default()
    }
}

pub fn open(config: &DataConfig, folder: &Folder) -> Result<Dataset> {
    let words = Words { max_length: EncodeOptions::from(config).max_length, ..Words::default() };
    Dataset::open(config, folder.path(), Arc::new(words), &Silent)
}

/// `lines` alpaca rows with distinct texts.
pub fn alpaca_lines(lines: usize) -> String {
    (0..lines)
        .map(|n| format!("{{\"instruction\":\"say {n}\",\"input\":\"\",\"output\":\"number {n}\"}}\n"))
        .collect()
}

/// The encoder of words.
pub fn words() -> Arc<dyn Encode> {
    Arc::new(Words::default())
}

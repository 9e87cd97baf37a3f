//! A vocabulary without the program that cuts text by it: ids have names, and text has no ids. CPM-Ant's, whose
//! tokenizer first cuts Chinese text with jieba.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use protocol::{Result, Text, UserError};
use serde_json::Value;

use super::Encoding;
use super::cpm_bee::SPELLINGS;
use super::engine::{Engine, Refusal};
use super::folder::{Folder, read_text};
use super::source::{Opened, Source};

/// The published list has 30,720 words.
const MAX_BYTES: u64 = 8 << 20;
/// What a config of CPM-Ant in its original layout has, which names no `model_type`.
const ORIGINAL_KEY: &str = "prompt_types";

/// Words by their ids; none where the folder has no list.
#[derive(Debug)]
struct WordList {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

pub(super) const SOURCE: Source = Source { files: "vocab.txt (CPM-Ant)", open };

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let named = folder.model.get("model_type").and_then(Value::as_str);
    if !named.map_or(folder.model.contains_key(ORIGINAL_KEY), |kind| kind == "cpmant") {
        return Ok(None);
    }
    let file = dir.join("vocab.txt");
    let text = if file.is_file() { read_text(&file, MAX_BYTES)? } else { String::new() };
    let special = [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>")];
    let special = special.into_iter().map(|(key, token)| (key.to_owned(), token.into())).collect();
    Ok(Some(Opened { special, ..Opened::new(WordList::parse(&text), [file]) }))
}

impl WordList {
    fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.is_empty());
        let spelled =
            |line: &str| SPELLINGS.iter().find(|(spelled, _)| *spelled == line).map(|(_, word)| *word);
        let words: Vec<String> = lines.map(|line| spelled(line).unwrap_or(line).to_owned()).collect();
        let ids = words.iter().cloned().zip(0..).collect();
        Self { words, ids }
    }

    fn word(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(String::as_str)
    }
}

impl Engine for WordList {
    fn encode(&self, _: &str, _: bool) -> std::result::Result<Encoding, Refusal> {
        Err(refusal().what.en.into_owned())
    }

    fn decode(&self, ids: &[u32], skip_special: bool) -> std::result::Result<String, Refusal> {
        let shown = ids.iter().filter_map(|id| self.word(*id));
        Ok(shown.filter(|word| !(skip_special && super::is_special(word))).collect())
    }

    fn token(&self, id: u32) -> Option<String> {
        self.word(id).map(str::to_owned)
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    fn vocab_size(&self) -> usize {
        self.words.len()
    }

    /// Without a list nothing is known, which is no reason to refuse rows of ids.
    fn largest_id(&self) -> Option<u32> {
        u32::try_from(self.words.len().saturating_sub(1)).ok()
    }

    fn markers(&self) -> BTreeSet<u32> {
        self.ids.iter().filter(|(word, _)| super::is_special(word)).map(|(_, id)| *id).collect()
    }

    fn reads_no_text(&self) -> Option<UserError> {
        Some(refusal())
    }
}

fn refusal() -> UserError {
    UserError::bad_input(Text::fixed(
        "CPM-Ant cuts text into words with jieba before it looks them up, which this program cannot do",
        "CPM-Ant 的分词器先用 jieba 切分文本，本程序无法做到",
    ))
    .mend(Text::fixed(
        "train on rows of token ids made with the model's own tokenizer: data.format = \"tokens\" with input_ids and labels; ask with ids",
        "请用该模型自己的分词器生成词元编号的数据行：data.format = \"tokens\"（input_ids 与 labels）；提问时使用编号",
    ))
}

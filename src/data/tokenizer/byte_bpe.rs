//! `vocab.json` and `merges.txt`, as GPT-2 and Qwen 2 have them.

use std::collections::HashMap;
use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use super::byte_level::ByteLevelBpe;
use super::folder::{self, Folder};
use super::scan::QWEN2;
use super::source::{Around, Opened, Source, find};

/// The largest published vocabularies have some megabytes.
const MAX_BYTES: u64 = 64 << 20;

pub(super) const SOURCE: Source = Source { files: "vocab.json + merges.txt", open };

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let (Some(file), Some(merges_file)) =
        (find(dir, &["vocab.json"]), find(dir, &["merges.txt", "vocab.bpe"]))
    else {
        return Ok(None);
    };
    let vocabulary =
        parse_vocabulary(&folder::read_limited(&file, MAX_BYTES)?).map_err(|err| err.in_file(&file))?;
    let merges = parse_merges(&folder::read_limited(&merges_file, MAX_BYTES)?)
        .map_err(|err| err.in_file(&merges_file))?;
    let qwen = folder.class() == Some("Qwen2Tokenizer")
        || (folder.class().is_none() && folder.model_type().is_some_and(|name| name.starts_with("qwen")));
    let special = default_tokens(folder, qwen, &vocabulary);
    let bpe = ByteLevelBpe {
        vocabulary,
        merges,
        splitter: qwen.then_some(QWEN2),
        composed: qwen,
        whole_words: false,
        prefix_space: folder.flag("add_prefix_space").unwrap_or(false),
    };
    let mut folder = folder.clone();
    for (key, token) in &special {
        folder.special.entry(key.clone()).or_insert_with(|| token.clone());
    }
    let around = Some(Around::default());
    let engine = bpe.build(&folder, &file)?;
    Ok(Some(Opened { around, special, ..Opened::new(engine, [file, merges_file]) }))
}

/// What the Python classes have for tokens of which the folder says nothing.
fn default_tokens(folder: &Folder, qwen: bool, vocabulary: &HashMap<String, u32>) -> Map<String, Value> {
    const END: &str = "<|endoftext|>";
    let declared = || folder.declared_tokens().values().any(|token| token.content == END);
    if !vocabulary.contains_key(END) && !declared() {
        return Map::new();
    }
    let keys: &[&str] =
        if qwen { &["eos_token", "pad_token"] } else { &["bos_token", "eos_token", "unk_token"] };
    let missing = keys.iter().filter(|key| !folder.config.contains_key(**key));
    missing.map(|key| ((*key).to_owned(), Value::from(END))).collect()
}

/// Reads `vocab.json`: token → id.
///
/// # Errors
/// When it is no JSON object of ids, or two tokens have one id.
pub fn parse_vocabulary(bytes: &[u8]) -> Result<HashMap<String, u32>> {
    let vocabulary: HashMap<String, u32> = serde_json::from_slice(bytes).map_err(|err| {
        UserError::bad_input(text!(
            "The file is no vocabulary (a JSON object of ids): {err}",
            "该文件不是词表（由编号组成的 JSON 对象）：{err}"
        ))
    })?;
    let mut ids: Vec<u32> = vocabulary.values().copied().collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let id = pair[0];
            Err(UserError::bad_input(text!("Two tokens have the id {id}", "有两个词元的编号同为 {id}")))
        }
        None => Ok(vocabulary),
    }
}

/// Reads `merges.txt`: a line each, two tokens with a blank between; the first is applied first.
///
/// # Errors
/// When the file is not text or a line does not hold two tokens.
pub fn parse_merges(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let lines = std::str::from_utf8(bytes).map_err(|_| {
        UserError::bad_input(Text::fixed("The file is not UTF-8 text", "文件不是 UTF-8 文本"))
    })?;
    let mut merges = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let pair = line
            .split_once(' ')
            .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '));
        let Some((left, right)) = pair else {
            return Err(UserError::bad_input(Text::fixed(
                "A line of merges does not hold two tokens with a blank between",
                "合并规则的一行不是以空格分隔的两个词元",
            ))
            .at_row(number as u64 + 1));
        };
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}

//! Tokens that a model's tokenizer lacks: from a list, or learned from the user's texts. What comes out is an
//! [`Extension`]: the new tokens with their ids, and the tokenizer's files with them in.

mod gain;
mod learn;
mod list;
mod texts;

use std::collections::HashSet;
use std::path::Path;

use protocol::config::{InitialRows, VocabularyConfig};
use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::tokenizer::{New, Takes, Tokenizer, read_limited};

pub use gain::{Gain, gain, gain_on_files};
use learn::{Learned, learn};
use list::List;

/// More rows would be most of a model.
const MOST_TOKENS: usize = 1 << 18;
const MAX_BYTES: u64 = 512 << 20;

/// An extended tokenizer: what is new, and its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Extension {
    pub record: Record,
    /// Of the whole tokenizer, new tokens included.
    files: Vec<(String, Vec<u8>)>,
    /// What the user should know of how it was made.
    pub notes: Vec<Text>,
}

/// `vocabulary.json`, beside the tokenizer's files: what a model's rows follow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The first new id; the others follow.
    pub first: u32,
    pub initialise: InitialRows,
    pub pad_to_multiple_of: u64,
    pub tokens: Vec<NewToken>,
    /// Names of the tokenizer's files.
    files: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewToken {
    pub text: String,
    /// Ids of the tokens that the text was split into before.
    pub pieces: Vec<u32>,
}

impl Record {
    /// Rows that an embedding must have that has `rows` now.
    pub fn rows(&self, rows: usize) -> usize {
        let needed = (self.first as usize).saturating_add(self.tokens.len()).max(rows);
        match usize::try_from(self.pad_to_multiple_of) {
            Ok(multiple) if multiple > 1 => needed.checked_next_multiple_of(multiple).unwrap_or(needed),
            _ => needed,
        }
    }
}

impl Extension {
    /// Its name in every folder that holds an extended tokenizer.
    pub const FILE: &str = "vocabulary.json";

    /// The vocabulary of a run file with absolute paths; None where the tokenizer stays as it is.
    ///
    /// # Errors
    /// When the settings make no sense, a file cannot be read, the tokenizer takes no tokens, or the user stopped.
    pub fn of(
        config: &VocabularyConfig,
        tokenizer: &Tokenizer,
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        if config.is_off() {
            return Ok(None);
        }
        check(config)?;
        if !config.makes_tokens() {
            let found = Self::open(&config.extended)?;
            return found.map(Some).ok_or_else(|| no_extension(&config.extended));
        }
        let mut words = List::new(tokenizer);
        config.tokens.iter().for_each(|token| words.add(token));
        if !config.file.as_os_str().is_empty() {
            words.read(&config.file)?;
        }
        let (listed, mut notes) = words.finish();
        let mut new: Vec<(String, bool)> = listed.into_iter().map(|text| (text, false)).collect();
        if !config.train_on.is_empty() {
            let known = new.iter().map(|(text, _)| text.clone()).collect();
            let Learned { tokens, notes: more } = learn(config, tokenizer, known, progress)?;
            new.extend(tokens.into_iter().map(|text| (text, true)));
            notes.extend(more);
        }
        Self::make(config, tokenizer, new, notes).map(Some)
    }

    fn make(
        config: &VocabularyConfig,
        tokenizer: &Tokenizer,
        mut new: Vec<(String, bool)>,
        mut notes: Vec<Text>,
    ) -> Result<Self> {
        let asked = new.len();
        let (files, extended) = loop {
            refuse_number(new.len(), &notes)?;
            let tokens: Vec<New<'_>> =
                new.iter().map(|(text, learned)| New { text, learned: *learned }).collect();
            let files = tokenizer.extended_files(&tokens)?;
            let extended = Tokenizer::from_files(&files, tokenizer.dir())?;
            let useless = useless(tokenizer, &extended, &new)?;
            if useless.is_empty() {
                break (files, extended);
            }
            // Learned pieces are joined from others; without these, some may be out of reach.
            let mut at = 0;
            new.retain(|_| {
                at += 1;
                !useless.contains(&(at - 1))
            });
        };
        if new.len() < asked {
            let count = asked - new.len();
            notes.push(text!(
                "{count} tokens are left out: this tokenizer would not make one token of their text, or not give the text back",
                "略去 {count} 个词元：该分词器无法将其文本作为一个词元，或无法还原其文本"
            ));
        }
        notes.extend(new.first().and_then(|(text, _)| blanks_behind(tokenizer, &extended, text)));
        let tokens = new.iter().map(|(text, _)| {
            let mut pieces = tokenizer.inside(text)?;
            pieces.retain(|id| Some(*id) != tokenizer.unknown());
            Ok(NewToken { text: text.clone(), pieces })
        });
        let record = Record {
            first: tokenizer.largest_id() + 1,
            initialise: config.initialise,
            pad_to_multiple_of: config.pad_to_multiple_of,
            tokens: tokens.collect::<Result<_>>()?,
            files: files.iter().map(|(name, _)| name.clone()).collect(),
        };
        debug_assert_eq!(extended.largest_id() as usize + 1, record.first as usize + record.tokens.len());
        Ok(Self { record, files, notes })
    }

    /// As many tokens as the settings can make at most, behind `first` others, without reading or learning them: for
    /// forecasts.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn at_most(config: &VocabularyConfig, first: usize) -> Result<Option<Self>> {
        if config.is_off() {
            return Ok(None);
        }
        check(config)?;
        if !config.makes_tokens() {
            return Self::open(&config.extended);
        }
        let mut count = config.tokens.len();
        if !config.file.as_os_str().is_empty() {
            count += list::lines(&config.file)?.lines().count();
        }
        if !config.train_on.is_empty() {
            count += usize::try_from(config.size).unwrap_or(MOST_TOKENS);
        }
        let token = NewToken { text: String::new(), pieces: Vec::new() };
        let record = Record {
            first: u32::try_from(first).unwrap_or(u32::MAX / 2),
            initialise: config.initialise,
            pad_to_multiple_of: config.pad_to_multiple_of,
            tokens: vec![token; count.min(MOST_TOKENS)],
            files: Vec::new(),
        };
        Ok(Some(Self { record, files: Vec::new(), notes: Vec::new() }))
    }

    /// What lies in a folder; None where it holds no extended tokenizer.
    ///
    /// # Errors
    /// When it holds one that is damaged.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join(Self::FILE);
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = read_limited(&file, MAX_BYTES)?;
        let record: Record = serde_json::from_slice(&bytes).map_err(|err| damaged(err.to_string(), &file))?;
        let count = record.tokens.len();
        let fits =
            count <= MOST_TOKENS && record.first <= u32::MAX / 2 && record.pad_to_multiple_of <= 1 << 20;
        let before = |token: &NewToken| token.pieces.iter().all(|id| *id < record.first);
        if !fits || !record.tokens.iter().all(before) {
            return Err(damaged("its numbers do not fit".into(), &file));
        }
        let plain = |name: &String| Tokenizer::FILES.contains(&name.as_str());
        if let Some(name) = record.files.iter().find(|name| !plain(name)) {
            return Err(damaged(format!("{name} is no file of a tokenizer"), &file));
        }
        let read = |name: &String| Ok((name.clone(), read_limited(&dir.join(name), MAX_BYTES)?));
        let files = record.files.iter().map(read).collect::<Result<_>>()?;
        Ok(Some(Self { record, files, notes: Vec::new() }))
    }

    /// Every file with its name: those of the tokenizer, and `vocabulary.json`.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = self.files.clone();
        files.push((Self::FILE.to_owned(), serde_json::to_vec(&self.record).unwrap_or_default()));
        files
    }

    /// Those of the tokenizer alone.
    pub fn tokenizer_files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    /// The tokenizer of a model with the new tokens.
    ///
    /// # Errors
    /// When it is not that of this model.
    pub fn tokenizer(&self, model: &Path) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::from_files(&self.files, model)?;
        let record = &self.record;
        let has = |(token, id): (&NewToken, u32)| {
            let spelled = token.text.replace(' ', crate::tokenizer::sentencepiece::BLANK);
            tokenizer.id(&token.text).or_else(|| tokenizer.id(&spelled)) == Some(id)
        };
        if let Some((token, id)) =
            record.tokens.iter().zip(record.first..).find(|(token, id)| !has((token, *id)))
        {
            let text = &token.text;
            return Err(damaged(format!("`{text}` has not the id {id}"), &model.join(Self::FILE)));
        }
        Ok(tokenizer)
    }
}

fn check(config: &VocabularyConfig) -> Result<()> {
    let refuse = |key: &str, what: Text, mend: Text| Err(UserError::bad_input(what).at_item(key).mend(mend));
    if config.makes_tokens() && !config.extended.as_os_str().is_empty() {
        return refuse(
            "vocabulary.extended",
            Text::fixed(
                "An extended tokenizer is named, and new tokens, too",
                "既指定了扩充过的分词器，又给出了新词元",
            ),
            Text::fixed("keep one of the two", "请只保留其一"),
        );
    }
    if !(config.coverage > 0.0 && config.coverage <= 1.0) {
        let given = config.coverage;
        return refuse(
            "vocabulary.coverage",
            text!("coverage is {given}", "coverage 为 {given}"),
            Text::fixed("give a share above 0, up to 1", "请给出大于 0、不超过 1 的比例"),
        );
    }
    if !config.train_on.is_empty() && (config.size == 0 || config.size > MOST_TOKENS as u64) {
        let size = config.size;
        return refuse(
            "vocabulary.size",
            text!("{size} tokens cannot be learned", "无法学习 {size} 个词元"),
            text!("give a number from 1 to {MOST_TOKENS}", "请给出 1 到 {MOST_TOKENS} 之间的数"),
        );
    }
    if config.pad_to_multiple_of > 1 << 16 {
        let given = config.pad_to_multiple_of;
        return refuse(
            "vocabulary.pad_to_multiple_of",
            text!("pad_to_multiple_of is {given}", "pad_to_multiple_of 为 {given}"),
            Text::fixed("64 or 128 are usual; 0 adds no rows", "常用 64 或 128；0 表示不补行"),
        );
    }
    Ok(())
}

fn refuse_number(count: usize, notes: &[Text]) -> Result<()> {
    if (1..=MOST_TOKENS).contains(&count) {
        return Ok(());
    }
    let what = if count == 0 {
        Text::fixed("There is no new token: the tokenizer has them all", "没有新词元：分词器中均已存在")
    } else {
        text!("There are {count} new tokens", "新词元多达 {count} 个")
    };
    Err(UserError::bad_input(what).at_item("vocabulary").details(notes.iter().map(Text::to_string)).mend(
        text!(
            "give 1 to {MOST_TOKENS} that the tokenizer lacks",
            "请给出 1 到 {MOST_TOKENS} 个分词器缺少的词元"
        ),
    ))
}

/// Places of the tokens whose text does not come out as their id, or not back again: byte-level tokenizers take `Æ` in an
/// added token for a byte.
fn useless(old: &Tokenizer, extended: &Tokenizer, new: &[(String, bool)]) -> Result<HashSet<usize>> {
    let first = old.largest_id() + 1;
    let mut missing = HashSet::new();
    for ((at, (text, _)), id) in new.iter().enumerate().zip(first..) {
        // A blank in front may be the one that the tokenizer puts there itself.
        let spelled = [text.as_str(), text.strip_prefix(' ').unwrap_or(text)];
        let mut reached = false;
        for text in spelled {
            reached |= extended.inside(text)? == [id];
        }
        if !reached || extended.decode(&[id], false)?.trim() != text.trim() {
            missing.insert(at);
        }
    }
    Ok(missing)
}

/// Told where the tokenizer puts a blank in front of every part of a text, and so behind every added token.
fn blanks_behind(old: &Tokenizer, extended: &Tokenizer, token: &str) -> Option<Text> {
    let text = format!("a{token}b");
    let back = |tokenizer: &Tokenizer| {
        let ids = tokenizer.encode(&text, false).ok()?.ids;
        tokenizer.decode(&ids, false).ok()
    };
    let changed = back(old)? == text && back(extended)? != text;
    changed.then(|| {
        Text::fixed(
            "This tokenizer.json puts a blank behind every added token. With the model's tokenizer.model alone in its folder, new tokens would be pieces, which have none",
            "该 tokenizer.json 会在每个新增词元之后插入空格。若模型文件夹中只保留 tokenizer.model，新词元将成为词片，不会有空格",
        )
    })
}

fn no_extension(dir: &Path) -> UserError {
    UserError::bad_input(Text::fixed(
        "The folder holds no extended tokenizer: it has no vocabulary.json",
        "该文件夹中没有扩充过的分词器：缺少 vocabulary.json",
    ))
    .at_item("vocabulary.extended")
    .in_file(dir)
    .mend(Text::fixed(
        "make one with `emberwright vocabulary`, or name a run's `tokenizer` folder",
        "请用 `emberwright vocabulary` 制作，或指定某次训练的 `tokenizer` 文件夹",
    ))
}

fn damaged(why: String, file: &Path) -> UserError {
    UserError::bad_input(text!("The extended tokenizer cannot be used: {why}", "扩充过的分词器不可用：{why}"))
        .in_file(file)
        .mend(Text::fixed("make it anew", "请重新制作"))
}

/// Whether the tokenizer's own pieces may be joined to new ones.
fn joins(tokenizer: &Tokenizer) -> Result<bool> {
    Ok(tokenizer.takes()? == Takes::Pieces)
}

//! New tokens for a tokenizer: its files, written anew with tokens behind those that are there. Every old token
//! keeps its id.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::Tokenizer;
use super::engine::guarded;
use super::folder::{MAX_TOKENIZER_BYTES, read_limited, read_object};
use super::sentencepiece::{self, Algorithm, Piece, PieceKind, wire};

const CONFIG: &str = "tokenizer_config.json";
const LISTED: &str = "added_tokens.json";
/// They describe the model rather than its tokenizer.
const OF_MODEL: [&str; 2] = ["config.json", "generation_config.json"];

/// In which form a tokenizer takes new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// `added_tokens` of tokenizer.json.
    Json,
    /// Pieces of a SentencePiece model.
    Pieces,
    /// `added_tokens.json` and `added_tokens_decoder`, beside files that stay as they are.
    Declared,
}

/// A new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct New<'a> {
    pub text: &'a str,
    /// Learned from text: as a piece of SentencePiece it is joined of smaller ones, instead of being found wherever
    /// its letters stand.
    pub learned: bool,
}

impl Tokenizer {
    /// In which form this tokenizer takes new tokens.
    ///
    /// # Errors
    /// When it takes none.
    pub fn takes(&self) -> Result<Takes> {
        let name = self.file().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let glm = self.folder.class().is_some_and(|class| class.starts_with("ChatGLM"));
        let takes = match name {
            "tokenizer.json" => Some(Takes::Json),
            "vocab.json" => Some(Takes::Declared),
            "tokenizer.model" if !glm => {
                let bytes = read_limited(self.file(), MAX_TOKENIZER_BYTES)?;
                // Tiktoken's file has the same name. Pieces end where other tokens have been added behind them.
                let pieces = sentencepiece::parse(&bytes).ok().map(|model| model.pieces.len());
                let end = self.largest_id as usize + 1;
                pieces.map(|pieces| if pieces == end { Takes::Pieces } else { Takes::Declared })
            }
            _ => None,
        };
        takes.ok_or_else(|| {
            UserError::bad_input(text!(
                "This kind of tokenizer ({name}) cannot be extended",
                "无法扩充此类分词器（{name}）"
            ))
            .in_file(self.file())
            .mend(Text::fixed(
                "use a model folder with tokenizer.json, vocab.json and merges.txt, or a SentencePiece tokenizer.model",
                "请使用带有 tokenizer.json、vocab.json 与 merges.txt 或 SentencePiece tokenizer.model 的模型文件夹",
            ))
        })
    }

    /// The files of the folder's tokenizer with `new` tokens, which get the ids from `largest_id() + 1` on.
    ///
    /// # Errors
    /// When the tokenizer takes none, or not these.
    pub(crate) fn extended_files(&self, new: &[New<'_>]) -> Result<Vec<(String, Vec<u8>)>> {
        let takes = self.takes()?;
        let mut files = self.own_files()?;
        let mut put = |name: &str, bytes: Vec<u8>| match files.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = bytes,
            None => files.push((name.to_owned(), bytes)),
        };
        match takes {
            Takes::Pieces => put("tokenizer.model", self.with_pieces(new)?),
            Takes::Json => put("tokenizer.json", self.json_with(new)?),
            Takes::Declared => {
                let mut listed = read_object(&self.dir.join(LISTED))?;
                listed.extend(self.numbered(new).map(|(id, token)| (token.content, id.into())));
                put(LISTED, pretty(&Value::Object(listed)));
            }
        }
        let mut config = self.folder.config.clone();
        if takes != Takes::Pieces && !config.is_empty() {
            let declared = config.entry("added_tokens_decoder").or_insert_with(|| json!({}));
            if let Value::Object(declared) = declared {
                declared.extend(self.numbered(new).map(|(id, token)| (id.to_string(), described(&token))));
            }
            put(CONFIG, pretty(&Value::Object(config)));
        }
        Ok(files)
    }

    fn numbered(&self, new: &[New<'_>]) -> impl Iterator<Item = (u32, AddedToken)> {
        let ids = self.largest_id.saturating_add(1)..;
        ids.zip(new.iter().map(|new| AddedToken::from(new.text, false).normalized(false)))
    }

    /// The tokenizer's files as they are.
    fn own_files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let names = Self::FILES.into_iter().filter(|name| !OF_MODEL.contains(name));
        let there = names.map(|name| (name, self.dir.join(name))).filter(|(_, file)| file.is_file());
        there.map(|(name, file)| Ok((name.to_owned(), read_limited(&file, MAX_TOKENIZER_BYTES)?))).collect()
    }

    /// As Chinese-LLaMA's `merge_tokenizers.py`: pieces behind the old ones, of score 0, which is better than any
    /// learned one. A model that joins pieces has no smaller ones for tokens of a list: they are matched as they are.
    fn with_pieces(&self, new: &[New<'_>]) -> Result<Vec<u8>> {
        let mut bytes = read_limited(self.file(), MAX_TOKENIZER_BYTES)?;
        let joins = sentencepiece::parse(&bytes)?.algorithm == Algorithm::Bpe;
        let count = self.largest_id as usize + 1 + new.len();
        let pieces = new.iter().map(|new| Piece {
            text: new.text.replace(' ', sentencepiece::BLANK),
            score: 0.0,
            kind: if joins && !new.learned { PieceKind::UserDefined } else { PieceKind::Normal },
        });
        wire::append_pieces(&mut bytes, pieces, count);
        sentencepiece::parse(&bytes).map_err(|err| err.in_file(self.file()))?;
        Ok(bytes)
    }

    /// `tokenizer.json` with entries in `added_tokens`, under the ids that the tokenizers crate gives them.
    fn json_with(&self, new: &[New<'_>]) -> Result<Vec<u8>> {
        let refuse = |why: String| {
            UserError::bad_input(text!(
                "tokenizer.json does not take these tokens: {why}",
                "tokenizer.json 无法加入这些词元：{why}"
            ))
            .in_file(self.file())
        };
        let bytes = read_limited(self.file(), MAX_TOKENIZER_BYTES)?;
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(&bytes)).map_err(refuse)?;
        self.folder.add_missing_tokens(&mut inner)?;
        let added: Vec<AddedToken> = self.numbered(new).map(|(_, token)| token).collect();
        guarded(|| inner.add_tokens(added)).map_err(refuse)?;
        let mut json: Value = serde_json::from_slice(&bytes).map_err(|err| refuse(err.to_string()))?;
        let list = json.as_object_mut().map(|json| json.entry("added_tokens").or_insert_with(|| json!([])));
        let Some(list) = list.and_then(Value::as_array_mut) else {
            return Err(refuse("`added_tokens` is no list".into()));
        };
        let known: Vec<u64> = list.iter().filter_map(|entry| entry.get("id")?.as_u64()).collect();
        let mut missing: Vec<(u32, AddedToken)> = inner.get_added_tokens_decoder().into_iter().collect();
        missing.retain(|(id, _)| !known.contains(&u64::from(*id)));
        missing.sort_by_key(|(id, _)| *id);
        list.extend(missing.into_iter().map(|(id, token)| {
            let mut entry = Map::from_iter([("id".to_owned(), json!(id))]);
            if let Value::Object(fields) = described(&token) {
                entry.extend(fields);
            }
            Value::Object(entry)
        }));
        Ok(pretty(&json))
    }

    /// The same tokenizer from other files.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn from_files(files: &[(String, Vec<u8>)], model: &Path) -> Result<Self> {
        let failed = |err: std::io::Error| {
            UserError::io(Text::fixed("write the tokenizer", "写入分词器"), &std::env::temp_dir(), &err)
        };
        let dir = tempfile::tempdir().map_err(failed)?;
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).map_err(failed)?;
        }
        let mut tokenizer = Self::open_instead(dir.path(), model)?;
        // Messages name the files that these stand for.
        for file in &mut tokenizer.files {
            if let Some(name) = file.file_name() {
                *file = model.join(name);
            }
        }
        Ok(tokenizer)
    }

    /// Ids of a text that is a part of a longer one: without the blank that some tokenizers put in front.
    pub(crate) fn inside(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text, false)?.ids;
        let is_blank = |id: &u32| self.token(*id).is_some_and(|token| token == sentencepiece::BLANK);
        if !text.starts_with(' ') && ids.len() > 1 && ids.first().is_some_and(is_blank) {
            ids.remove(0);
        }
        Ok(ids)
    }
}

fn described(token: &AddedToken) -> Value {
    json!({
        "content": token.content,
        "lstrip": token.lstrip,
        "normalized": token.normalized,
        "rstrip": token.rstrip,
        "single_word": token.single_word,
        "special": token.special,
    })
}

fn pretty(json: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(json).unwrap_or_default()
}

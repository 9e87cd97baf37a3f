//! A Hugging Face tokenizer folder: text to ids and back.

mod folder;
mod scan;
mod stream;
mod words;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

pub use folder::TemplateSource;
pub(crate) use folder::read_text;
pub use stream::DecodeStream;

use folder::Folder;
use words::Words;

/// Text as token ids. All lists have one entry a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub ids: Vec<u32>,
    /// Byte range of each token in the text, on character boundaries. The tokens of one character that
    /// was split share its range; tokens added around the text have an empty one at its ends.
    pub offsets: Vec<(usize, usize)>,
    /// Added around the text by the tokenizer (`<s>` and the like), not part of it.
    pub added: Vec<bool>,
}

/// `tokenizer.json` and what the files beside it say about special tokens.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: PathBuf,
    folder: Folder,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    stop_ids: BTreeSet<u32>,
    added_vocabulary: BTreeSet<u32>,
    largest_id: u32,
    /// The short way, where there is one.
    words: Option<Words>,
}

impl Tokenizer {
    /// The files of a model folder that are read.
    pub const FILES: [&str; 7] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "config.json",
        "chat_template.jinja",
        "chat_template.json",
    ];

    /// Reads the tokenizer of a model folder: `tokenizer.json`, and `tokenizer_config.json`,
    /// `special_tokens_map.json`, `generation_config.json`, `config.json`, `chat_template.jinja` where
    /// they exist.
    ///
    /// # Errors
    /// When there is no `tokenizer.json`, or one of the files cannot be understood.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("tokenizer.json");
        if !file.is_file() {
            return Err(no_tokenizer_json(dir));
        }
        let bytes = folder::read_limited(&file, folder::MAX_TOKENIZER_BYTES)?;
        let folder = Folder::read(dir)?;
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(&bytes)).map_err(|err| {
            UserError::bad_input(text!(
                "tokenizer.json cannot be understood: {err}",
                "无法解析 tokenizer.json：{err}"
            ))
            .in_file(&file)
            .mend(Text::fixed("fetch the file again", "请重新获取该文件"))
        })?;
        // As transformers: cutting and padding are decided by the caller, never by the file.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|err| broken(&file, &err.to_string()))?;
        folder.add_missing_tokens(&mut inner)?;
        Self::assemble(inner, file, folder)
    }

    fn assemble(inner: tokenizers::Tokenizer, file: PathBuf, folder: Folder) -> Result<Self> {
        let vocabulary = inner.get_vocab(true);
        let Some(largest_id) = vocabulary.values().copied().max() else {
            return Err(broken(&file, "the vocabulary is empty"));
        };
        let named = |key: &str| folder.special_text(key).and_then(|token| inner.token_to_id(token));
        let bos = named("bos_token").or(folder.bos_id);
        let eos = named("eos_token").or_else(|| folder.eos_ids.first().copied());
        let pad = named("pad_token").or(folder.pad_id);
        let stop_ids = folder.eos_ids.iter().copied().chain(eos).collect();
        let added_vocabulary = inner.get_added_tokens_decoder().keys().copied().collect();
        let words = guarded(|| Ok(Words::new(&inner))).ok().flatten();
        Ok(Self { inner, file, folder, bos, eos, pad, stop_ids, added_vocabulary, largest_id, words })
    }

    /// Encodes a text. With `add_special`, the tokens that the tokenizer puts around a text are added.
    ///
    /// # Errors
    /// When the tokenizer's own rules fail on this text (a vocabulary without an unknown token).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoding> {
        let explicit = self.folder.add_bos.is_some() || self.folder.add_eos.is_some();
        let mut encoding = guarded(|| self.encode_inside(text, add_special && !explicit)).map_err(|err| {
            UserError::bad_input(text!(
                "The tokenizer cannot encode this text: {err}",
                "分词器无法编码该文本：{err}"
            ))
            .in_file(&self.file)
        })?;
        place_added_tokens(&mut encoding, text.len());
        if add_special && explicit {
            self.add_explicit(&mut encoding, text.len());
        }
        Ok(encoding)
    }

    fn encode_inside(&self, text: &str, add_special: bool) -> tokenizers::Result<Encoding> {
        let short = self.words.as_ref().and_then(|words| words.encode(&self.inner, text, add_special));
        short.unwrap_or_else(|| self.inner.encode(text, add_special).map(|encoded| Encoding::from(&encoded)))
    }

    /// Encodes a prompt that the model is to continue: special tokens in front, none behind.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.encode(text, true)?;
        let behind = encoding.offsets.iter().zip(&encoding.added).rev();
        let trailing = behind.take_while(|(offset, added)| **added && offset.0 == text.len()).count();
        let keep = if text.is_empty() { encoding.ids.len() } else { encoding.ids.len() - trailing };
        Ok(encoding.ids[..keep]
            .iter()
            .copied()
            .filter(|id| !text.is_empty() || Some(*id) == self.bos)
            .collect())
    }

    /// `add_bos_token` and `add_eos_token` of tokenizer_config.json replace the post-processor, as in
    /// transformers.
    fn add_explicit(&self, encoding: &mut Encoding, end: usize) {
        if let (Some(true), Some(bos)) = (self.folder.add_bos, self.bos) {
            encoding.ids.insert(0, bos);
            encoding.offsets.insert(0, (0, 0));
            encoding.added.insert(0, true);
        }
        if let (Some(true), Some(eos)) = (self.folder.add_eos, self.eos) {
            encoding.ids.push(eos);
            encoding.offsets.push((end, end));
            encoding.added.push(true);
        }
    }

    /// Ids as text. Ids that are in no vocabulary give nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        guarded(|| self.inner.decode(ids, skip_special)).map_err(|err| {
            UserError::failure(text!("The tokenizer cannot decode: {err}", "分词器解码失败：{err}"))
                .in_file(&self.file)
        })
    }

    /// Text as it comes, for tokens that follow `context` (the prompt).
    pub fn decode_stream(&self, context: &[u32], skip_special: bool) -> DecodeStream<'_> {
        DecodeStream::new(self, context, skip_special)
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The largest id that `encode` can give: the model's embedding must have more rows than this.
    pub fn largest_id(&self) -> u32 {
        self.largest_id
    }

    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    pub fn pad(&self) -> Option<u32> {
        self.pad
    }

    /// Every token at which generation ends, by generation_config.json, config.json and the tokenizer.
    pub fn stop_ids(&self) -> &BTreeSet<u32> {
        &self.stop_ids
    }

    /// Whether the token was added to the model's vocabulary: a marker rather than a piece of text.
    pub fn is_added(&self, id: u32) -> bool {
        self.added_vocabulary.contains(&id)
    }

    /// The folder's own chat templates; the first is the default.
    pub fn chat_templates(&self) -> &[TemplateSource] {
        &self.folder.templates
    }

    /// `bos_token`, `eos_token`, … as a template sees them.
    pub fn special_tokens(&self) -> Map<String, Value> {
        let mut tokens = self.folder.special.clone();
        for (key, id) in [("bos_token", self.bos), ("eos_token", self.eos), ("pad_token", self.pad)] {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                tokens.entry(key).or_insert(Value::String(token));
            }
        }
        tokens
    }
}

impl From<&tokenizers::Encoding> for Encoding {
    fn from(encoded: &tokenizers::Encoding) -> Self {
        Self {
            ids: encoded.get_ids().to_vec(),
            offsets: encoded.get_offsets().to_vec(),
            added: encoded.get_special_tokens_mask().iter().map(|flag| *flag == 1).collect(),
        }
    }
}

/// Added tokens come without a place; those behind the text lie at its end.
fn place_added_tokens(encoding: &mut Encoding, end: usize) {
    let front = encoding.added.iter().take_while(|added| **added).count();
    for (offset, added) in encoding.offsets.iter_mut().zip(&encoding.added).skip(front) {
        if *added {
            *offset = (end, end);
        }
    }
}

/// Crafted tokenizer files make the tokenizers crate panic; here that is an error like any other.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|err| err.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|message| (*message).to_owned()))
            .unwrap_or_else(|| "it contradicts itself".to_owned())),
    }
}

fn broken(file: &Path, why: &str) -> UserError {
    UserError::bad_input(text!("tokenizer.json cannot be used: {why}", "tokenizer.json 不可用：{why}"))
        .in_file(file)
}

fn no_tokenizer_json(dir: &Path) -> UserError {
    let other = ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json"]
        .into_iter()
        .find(|name| dir.join(name).is_file());
    let error = match other {
        Some(name) => UserError::bad_input(text!(
            "This folder's tokenizer is {name}; only tokenizer.json is read so far",
            "该文件夹的分词器为 {name}；目前仅支持 tokenizer.json"
        )),
        None => UserError::bad_input(Text::fixed(
            "This folder has no tokenizer.json",
            "该文件夹中没有 tokenizer.json",
        )),
    };
    error.in_file(dir).mend(Text::fixed(
        "put the model's tokenizer.json into the folder (transformers writes one with AutoTokenizer.save_pretrained)",
        "请将模型的 tokenizer.json 放入该文件夹（可用 transformers 的 AutoTokenizer.save_pretrained 生成）",
    ))
}

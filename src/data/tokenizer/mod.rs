//! The tokenizer of a model folder, in whichever files it comes: text to ids and back.

mod added;
pub mod byte_bpe;
mod byte_level;
mod cpm_bee;
mod engine;
mod extend;
mod folder;
mod gguf;
mod json;
mod kept;
mod pipeline;
mod quick;
mod scan;
pub mod sentencepiece;
mod source;
mod stream;
pub mod tiktoken;
mod word_list;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::{Result, UserError, text};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use cpm_bee::{CpmBee, Word, WordKind};
pub(crate) use cpm_bee::{escape, is_special};
pub(crate) use extend::New;
pub use extend::Takes;
pub use folder::TemplateSource;
pub(crate) use folder::{read_limited, read_object, read_text};
pub use stream::DecodeStream;

use engine::Engine;
use folder::Folder;
use source::{Around, Opened};

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

/// A tokenizer and what the files beside it say about special tokens.
#[derive(Debug)]
pub struct Tokenizer {
    engine: Box<dyn Engine>,
    files: Vec<PathBuf>,
    /// The model's folder.
    dir: PathBuf,
    folder: Folder,
    /// Special tokens by key, those of the folder and those that its kind of tokenizer has anyway.
    special: Map<String, Value>,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    stop_ids: BTreeSet<u32>,
    /// None where the engine puts tokens around a text.
    around: Option<Around>,
    markers: BTreeSet<u32>,
    largest_id: u32,
}

impl Tokenizer {
    /// The files of a model folder that are read.
    pub const FILES: [&str; 16] = [
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "vocab.bpe",
        "tokenizer.model",
        "ice_text.model",
        "qwen.tiktoken",
        "vocab.txt",
        "bee.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "generation_config.json",
        "config.json",
        "chat_template.jinja",
        "chat_template.json",
    ];

    /// Those of them that hold a vocabulary.
    const VOCABULARIES: &[&str] = Self::FILES.first_chunk::<9>().expect("there are more").as_slice();

    /// Reads the tokenizer of a model folder: `tokenizer.json`, else `vocab.json` and `merges.txt`, else
    /// `tokenizer.model` of SentencePiece or tiktoken (`ice_text.model`, `qwen.tiktoken`),
    /// `vocab.txt` or `bee.txt` of CPM-Bee, else the metadata of a GGUF file, and what
    /// `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`, `generation_config.json`,
    /// `config.json`, `chat_template.jinja` say, where they exist.
    ///
    /// # Errors
    /// When there is no tokenizer of these kinds, or one of the files cannot be understood.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = Folder::read(dir)?;
        let opened = source::open(dir, &folder)?;
        Self::assemble(opened, folder, dir)
    }

    /// The tokenizer that lies in `dir` instead of a model's own. The model's folder says the rest.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_instead(dir: &Path, model: &Path) -> Result<Self> {
        let folder = Folder::read_beside(dir, model)?;
        let opened = source::open(dir, &folder)?;
        Self::assemble(opened, folder, model)
    }

    /// Whether a model has a tokenizer in one of its files.
    ///
    /// # Errors
    /// When its GGUF file cannot be read.
    pub fn is_there(dir: &Path) -> Result<bool> {
        Ok(Self::VOCABULARIES.iter().any(|name| dir.join(name).is_file()) || gguf::metadata(dir)?.is_some())
    }

    /// The tokenizer of a GGUF model as the files of a Hugging Face folder, name and content; none where the folder has one
    /// in another file, or the model is no GGUF.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn files_of_gguf(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        if Self::VOCABULARIES.iter().any(|name| dir.join(name).is_file()) {
            return Ok(Vec::new());
        }
        let Some((file, metadata)) = gguf::metadata(dir)? else { return Ok(Vec::new()) };
        gguf::read(&metadata).and_then(gguf::Read::files).map_err(|err| err.in_file(file))
    }

    fn assemble(opened: Opened, mut folder: Folder, dir: &Path) -> Result<Self> {
        let Opened { engine, files, around, special: defaults, stops, templates } = opened;
        if folder.templates.is_empty() {
            folder.templates = templates;
        }
        let Some(largest_id) = engine.largest_id() else {
            return Err(UserError::bad_input(text!(
                "The tokenizer cannot be used: its vocabulary is empty",
                "该分词器不可用：词表为空"
            ))
            .in_file(first(&files)));
        };
        let mut special = folder.special.clone();
        for (key, token) in defaults {
            if !folder.config.contains_key(&key) {
                special.entry(key).or_insert(token);
            }
        }
        let named = |key: &str| special.get(key).and_then(Value::as_str).and_then(|token| engine.id(token));
        let bos = named("bos_token").or(folder.bos_id);
        let eos = named("eos_token").or_else(|| folder.eos_ids.first().copied());
        let pad = named("pad_token").or(folder.pad_id);
        let stop_ids = folder.eos_ids.iter().copied().chain(eos).chain(stops).collect();
        let around = explicit(&folder, around.as_ref(), bos, eos).or(around);
        let markers = engine.markers();
        Ok(Self {
            engine,
            files,
            dir: dir.to_owned(),
            folder,
            special,
            bos,
            eos,
            pad,
            stop_ids,
            around,
            markers,
            largest_id,
        })
    }

    /// Encodes a text. With `add_special`, the tokens that the tokenizer puts around a text are added.
    ///
    /// # Errors
    /// When the tokenizer's own rules fail on this text (a vocabulary without an unknown token).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoding> {
        let Some(around) = self.around.as_ref().filter(|_| add_special) else {
            return self.encode_inside(text, add_special);
        };
        let mut encoding = self.prompt_with(around, text)?;
        if around.asks.is_empty() {
            encoding.add(encoding.ids.len(), &around.behind, text.len());
        }
        Ok(encoding)
    }

    fn encode_inside(&self, text: &str, add_special: bool) -> Result<Encoding> {
        if let Some(refusal) = self.engine.reads_no_text() {
            return Err(refusal.in_file(self.file()));
        }
        let mut encoding = self.engine.encode(text, add_special).map_err(|err| {
            UserError::bad_input(text!(
                "The tokenizer cannot encode this text: {err}",
                "分词器无法编码该文本：{err}"
            ))
            .in_file(self.file())
        })?;
        place_added_tokens(&mut encoding, text.len());
        Ok(encoding)
    }

    fn prompt_with(&self, around: &Around, text: &str) -> Result<Encoding> {
        let mut encoding = self.encode_inside(text, false)?;
        encoding.add(0, &around.front, 0);
        encoding.add(encoding.ids.len(), &around.asks, text.len());
        Ok(encoding)
    }

    /// Encodes a prompt that the model is to continue: special tokens in front, none behind but those that
    /// ask for an answer (ChatGLM-6B).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.prompt(text)?.ids)
    }

    /// As [`encode_prompt`](Self::encode_prompt), with the places of the tokens.
    pub(crate) fn prompt(&self, text: &str) -> Result<Encoding> {
        if let Some(around) = &self.around {
            return self.prompt_with(around, text);
        }
        let mut encoding = self.encode_inside(text, true)?;
        if text.is_empty() {
            // Nothing tells what stands in front of an empty text from what stands behind it.
            let bos = encoding.ids.iter().copied().find(|id| Some(*id) == self.bos);
            let mut only = Encoding::default();
            only.add(0, bos.as_slice(), 0);
            return Ok(only);
        }
        let behind = encoding.offsets.iter().zip(&encoding.added).rev();
        let trailing = behind.take_while(|(offset, added)| **added && offset.0 == text.len()).count();
        encoding.truncate(encoding.ids.len() - trailing);
        Ok(encoding)
    }

    /// Whether tokens stand between a prompt and its answer, so that the two must be encoded apart.
    pub(crate) fn asks_for_answer(&self) -> bool {
        self.around.as_ref().is_some_and(|around| !around.asks.is_empty())
    }

    /// Ids as text. Ids that are in no vocabulary give nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.engine.decode(ids, skip_special).map_err(|err| {
            UserError::failure(text!("The tokenizer cannot decode: {err}", "分词器解码失败：{err}"))
                .in_file(self.file())
        })
    }

    /// Text as it comes, for tokens that follow `context` (the prompt).
    pub fn decode_stream(&self, context: &[u32], skip_special: bool) -> DecodeStream<'_> {
        DecodeStream::new(self, context, skip_special)
    }

    /// The file that the vocabulary was read from, the first if there are several.
    pub fn file(&self) -> &Path {
        first(&self.files)
    }

    /// All files of the vocabulary.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.engine.token(id)
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.engine.id(token)
    }

    /// CPM-Bee's own, which reads dicts.
    pub fn cpm_bee(&self) -> Option<&CpmBee> {
        self.engine.cpm_bee()
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.engine.vocab_size()
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

    /// The token that stands for what the vocabulary lacks.
    pub fn unknown(&self) -> Option<u32> {
        self.special.get("unk_token").and_then(Value::as_str).and_then(|token| self.engine.id(token))
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
        self.markers.contains(&id)
    }

    /// SHA-256 over every file that the tokens depend on, by name and content; None where one of them cannot be read any
    /// more, or is a whole model (GGUF).
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        let beside = self.file().parent()?;
        let named = [beside, &self.dir].into_iter().flat_map(|dir| Self::FILES.map(|name| dir.join(name)));
        let files: BTreeSet<PathBuf> =
            named.filter(|file| file.is_file()).chain(self.files.iter().cloned()).collect();
        let mut hasher = Sha256::new();
        for file in files {
            let bytes = folder::read_limited(&file, folder::MAX_TOKENIZER_BYTES).ok()?;
            hasher.update(file.file_name()?.as_encoded_bytes());
            hasher.update(Sha256::digest(&bytes));
        }
        Some(hasher.finalize().into())
    }

    /// The model's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `user_token` and `assistant_token`, where the folder names a token for each speaker.
    pub(crate) fn speakers(&self) -> Map<String, Value> {
        let keys = ["user_token", "assistant_token"].into_iter().zip(self.folder.speakers);
        keys.filter_map(|(key, id)| Some((key.to_owned(), self.token(id?)?.into()))).collect()
    }

    /// The folder's own chat templates; the first is the default.
    pub fn chat_templates(&self) -> &[TemplateSource] {
        &self.folder.templates
    }

    /// `bos_token`, `eos_token`, … as a template sees them.
    pub fn special_tokens(&self) -> Map<String, Value> {
        let mut tokens = self.special.clone();
        for (key, id) in [("bos_token", self.bos), ("eos_token", self.eos), ("pad_token", self.pad)] {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                tokens.entry(key).or_insert(Value::String(token));
            }
        }
        tokens
    }
}

impl Encoding {
    /// Puts added tokens at a position among the tokens and at a byte of the text.
    fn add(&mut self, at: usize, ids: &[u32], byte: usize) {
        self.ids.splice(at..at, ids.iter().copied());
        self.offsets.splice(at..at, ids.iter().map(|_| (byte, byte)));
        self.added.splice(at..at, ids.iter().map(|_| true));
    }

    /// Keeps the first tokens.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.offsets.truncate(length);
        self.added.truncate(length);
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

fn first(files: &[PathBuf]) -> &Path {
    files.first().map_or(Path::new(""), PathBuf::as_path)
}

/// `add_bos_token` and `add_eos_token` of tokenizer_config.json replace what the tokenizer would add of these, as
/// in transformers; what else stands in front of an answer (ChatGLM) stays.
fn explicit(folder: &Folder, around: Option<&Around>, bos: Option<u32>, eos: Option<u32>) -> Option<Around> {
    if folder.add_bos.is_none() && folder.add_eos.is_none() {
        return None;
    }
    let given = |flag: Option<bool>, id: Option<u32>| id.filter(|_| flag == Some(true)).into_iter().collect();
    if let Some(around) = around.filter(|around| around.fixed) {
        return Some(around.clone());
    }
    Some(Around {
        front: given(folder.add_bos, bos),
        behind: given(folder.add_eos, eos),
        ..Around::default()
    })
}

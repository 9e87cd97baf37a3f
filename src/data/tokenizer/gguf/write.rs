//! A tokenizer as GGUF metadata, key by key as llama.cpp's converter writes them (`conversion/base.py`, `gguf/vocab.py`).

use std::collections::HashMap;

use protocol::{Result, Text, UserError, text};
use serde_json::Value as Json;

use super::super::engine::{Described, DescribedPieces};
use super::super::folder::Folder;
use super::super::sentencepiece::PieceKind;
use super::super::{Encoding, Tokenizer};
use super::pieces::SPACE;
use super::pre::Rule;
use super::{broken, kind};
use crate::gguf::{List, Metadata, Value};

/// The score that the converter gives to markers.
const SCORE_OF_MARKERS: f32 = -1000.0;
/// And to the rows of the embedding that no token has.
const SCORE_OF_PADDING: f32 = -10_000.0;
/// What both tokenizers are tried on.
const PROBES: [&str; 3] = [
    "Hello, world! It's 12345 o'clock; don't we know?\n\n  def f(x):\n\treturn x**2 # naïve café",
    "你好，世界！今天天气很好，我们去公园吧。3.14159",
    " 🚀😶‍🌫️ ½ ≠ \u{a0} Привет мир. ÀÉÎõü  ... --- ===",
];

impl Tokenizer {
    /// The metadata of this tokenizer for a model with `rows` embedding rows of the architecture `arch`.
    ///
    /// # Errors
    /// A kind of tokenizer that llama.cpp has no rule for; more tokens than rows.
    pub fn to_gguf(&self, rows: usize, arch: &str) -> Result<Metadata> {
        self.in_gguf(rows, arch).map_err(|err| err.in_file(self.file()))
    }

    fn in_gguf(&self, rows: usize, arch: &str) -> Result<Metadata> {
        let largest = self.largest_id as usize;
        if largest >= rows {
            return Err(UserError::bad_input(text!(
                "The tokenizer has ids up to {largest}, the embedding only {rows} rows",
                "分词器的编号可达 {largest}，词嵌入只有 {rows} 行"
            )));
        }
        let mut out = Metadata::default();
        if let Some(space) = self.folder.flag("add_prefix_space").filter(|_| arch == "llama") {
            out.insert("tokenizer.ggml.add_space_prefix", Value::Bool(space));
        }
        let (bos_by_default, unknown) = match self.engine.described() {
            None => return Err(refused("this kind of tokenizer")),
            Some(Described::Pieces(parts)) => {
                let space = parts.space_in_front;
                let unknown = parts.pieces.iter().find(|piece| piece.kind == PieceKind::Unknown);
                let unknown = unknown.map(|piece| piece.text.clone());
                pieces_into(Vocab::of_pieces(parts, rows)?, space, &mut out);
                (true, unknown)
            }
            Some(Described::Json(json)) => {
                let json: Json = serde_json::from_str(&json).map_err(|err| broken(&err.to_string()))?;
                let unknown = json["model"]["unk_token"].as_str().map(str::to_owned);
                let bos_by_default = if is_byte_level(&json) {
                    byte_level(&json, rows, arch, &mut out)?
                } else {
                    merged_pieces(&json, rows, &mut out)?;
                    true
                };
                (bos_by_default, unknown)
            }
        };
        self.special_ids(bos_by_default, unknown.as_deref(), &mut out);
        self.templates_into(&mut out);
        Ok(out)
    }

    /// Special tokens, and whether they are put around a text.
    fn special_ids(&self, bos_by_default: bool, unknown: Option<&str>, out: &mut Metadata) {
        let named = |key: &str| self.special.get(key).and_then(Json::as_str).and_then(|token| self.id(token));
        let Encoding { ids, added, .. } = self.encode("a", true).unwrap_or_default();
        // Where nothing says which token begins a text, the one that is put in front of it does.
        let front = ids.first().copied().filter(|_| added.first() == Some(&true));
        let first = self.bos.or(front);
        let bos = first.is_some() && front == first;
        let eos = self.eos.is_some() && added.last() == Some(&true) && ids.last() == self.eos.as_ref();
        let unknown = named("unk_token").or_else(|| unknown.and_then(|token| self.id(token)));
        for (name, id) in [
            ("bos", first),
            ("eos", self.eos),
            ("unknown", unknown),
            ("seperator", named("sep_token")),
            ("padding", self.pad),
            ("cls", named("cls_token")),
            ("mask", named("mask_token")),
        ] {
            if let Some(id) = id {
                out.insert(format!("tokenizer.ggml.{name}_token_id"), Value::U32(id));
            }
        }
        if bos != bos_by_default || self.folder.add_bos.is_some() {
            out.insert("tokenizer.ggml.add_bos_token", Value::Bool(bos));
        }
        if eos || self.folder.flag("add_eos_token").is_some() {
            out.insert("tokenizer.ggml.add_eos_token", Value::Bool(eos));
        }
    }

    fn templates_into(&self, out: &mut Metadata) {
        let mut names = Vec::new();
        for template in self.chat_templates() {
            let key = match template.name.as_str() {
                "default" => "tokenizer.chat_template".to_owned(),
                name => {
                    names.push(name.to_owned());
                    format!("tokenizer.chat_template.{name}")
                }
            };
            out.insert(key, Value::Text(template.source.clone()));
        }
        if !names.is_empty() {
            out.insert("tokenizer.chat_templates", Value::List(List::Text(names)));
        }
    }

    /// Reads such metadata back and tries both tokenizers on a few texts. A note where they differ.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub fn differs_from_gguf(&self, metadata: &Metadata) -> Result<Option<Text>> {
        let read = super::read(metadata)?;
        let folder = Folder::default();
        let opened = super::super::json::read(&read.json, self.file(), &folder)?;
        let written = Self::assemble(opened, folder, &self.dir)?;
        let ids =
            |tokenizer: &Self, text: &str| tokenizer.encode(text, true).map(|encoding| encoding.ids).ok();
        let differ = PROBES.iter().filter(|text| ids(self, text) != ids(&written, text)).count();
        if differ == 0 {
            return Ok(None);
        }
        let all = PROBES.len();
        Ok(Some(text!(
            "llama.cpp cuts some texts into other tokens than this tokenizer ({differ} of {all} samples)",
            "llama.cpp 对部分文本的切分与该分词器不同（{all} 个样本中有 {differ} 个）"
        )))
    }
}

/// tokenizer.json has no scores: merges come in the order of what they make, so that the rank of the first merge that
/// makes a piece serves as one.
fn merged_pieces(json: &Json, rows: usize, out: &mut Metadata) -> Result<()> {
    let model = &json["model"];
    if model["type"] != "BPE" || model["byte_fallback"] != true {
        let kind = model["type"].as_str().unwrap_or("?");
        return Err(refused(&format!("a tokenizer of the kind {kind}")));
    }
    let mut vocab = Vocab::of(json, rows, true)?;
    let ranks = ranks(model);
    let last = ranks.len() as f32;
    for (id, score) in vocab.scores.iter_mut().enumerate() {
        if vocab.types[id] == kind::NORMAL {
            *score = ranks.get(vocab.tokens[id].as_str()).map_or(-last, |rank| -(*rank as f32));
        }
    }
    pieces_into(vocab, space_in_front(json), out);
    Ok(())
}

fn pieces_into(vocab: Vocab, space_in_front: bool, out: &mut Metadata) {
    out.insert("tokenizer.ggml.model", Value::Text("llama".into()));
    out.insert("tokenizer.ggml.pre", Value::Text("default".into()));
    out.insert("tokenizer.ggml.tokens", Value::List(List::Text(vocab.tokens)));
    out.insert("tokenizer.ggml.scores", Value::List(List::F32(vocab.scores)));
    out.insert("tokenizer.ggml.token_type", Value::List(List::I32(vocab.types)));
    if !space_in_front {
        out.insert("tokenizer.ggml.add_space_prefix", Value::Bool(false));
    }
}

/// Tokens, types, merges and the rule. Returns whether the first token is put in front by default.
fn byte_level(json: &Json, rows: usize, arch: &str, out: &mut Metadata) -> Result<bool> {
    let model = &json["model"];
    let ignore_merges = model["ignore_merges"].as_bool().unwrap_or(false);
    let rule = Rule::of(&json["pre_tokenizer"], ignore_merges, arch)
        .ok_or_else(|| refused("this way to cut text (`pre_tokenizer` of tokenizer.json)"))?;
    let vocab = Vocab::of(json, rows, false)?;
    let merges = model["merges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let merges: Vec<String> = merges.iter().filter_map(merge).collect();
    out.insert("tokenizer.ggml.model", Value::Text("gpt2".into()));
    out.insert("tokenizer.ggml.pre", Value::Text(rule.names[0].into()));
    out.insert("tokenizer.ggml.tokens", Value::List(List::Text(vocab.tokens)));
    out.insert("tokenizer.ggml.token_type", Value::List(List::I32(vocab.types)));
    out.insert("tokenizer.ggml.merges", Value::List(List::Text(merges)));
    Ok(rule.add_bos)
}

fn is_byte_level(json: &Json) -> bool {
    let has = |value: &Json| value["type"] == "ByteLevel";
    let pre = &json["pre_tokenizer"];
    has(pre) || pre["pretokenizers"].as_array().is_some_and(|steps| steps.iter().any(has))
}

/// Does a text get a space in front?
fn space_in_front(json: &Json) -> bool {
    let prepends = |value: &Json| match value["type"].as_str() {
        Some("Prepend") => value["prepend"] == SPACE,
        Some("Metaspace") => value["prepend_scheme"] != "never" && value["add_prefix_space"] != false,
        _ => false,
    };
    let any = |value: &Json, list: &str| {
        prepends(value) || value[list].as_array().is_some_and(|steps| steps.iter().any(prepends))
    };
    any(&json["normalizer"], "normalizers") || any(&json["pre_tokenizer"], "pretokenizers")
}

/// `"a b"` or `["a", "b"]`; the second form may hold spaces, which are written as the byte-level letter for one.
fn merge(merge: &Json) -> Option<String> {
    match merge {
        Json::String(both) => Some(both.clone()),
        Json::Array(pair) => {
            let half = |at: usize| Some(pair.get(at)?.as_str()?.replace(' ', "Ġ"));
            Some(format!("{} {}", half(0)?, half(1)?))
        }
        _ => None,
    }
}

/// Piece → rank of the first merge that makes it.
fn ranks(model: &Json) -> HashMap<String, usize> {
    let mut ranks = HashMap::new();
    for (rank, merge) in model["merges"].as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate()
    {
        let made = match merge {
            Json::String(both) => both.replacen(' ', "", 1),
            pair => pair.as_array().into_iter().flatten().filter_map(Json::as_str).collect(),
        };
        ranks.entry(made).or_insert(rank);
    }
    ranks
}

/// One token, score and type a row of the embedding.
struct Vocab {
    tokens: Vec<String>,
    scores: Vec<f32>,
    types: Vec<i32>,
}

impl Vocab {
    /// Rows without a token.
    fn empty(rows: usize) -> Self {
        let tokens = (0..rows).map(|id| format!("[PAD{id}]")).collect();
        Self { tokens, scores: vec![SCORE_OF_PADDING; rows], types: vec![kind::UNUSED; rows] }
    }

    fn of(json: &Json, rows: usize, pieces: bool) -> Result<Self> {
        let mut all = Self::empty(rows);
        let vocab = json["model"]["vocab"].as_object().ok_or_else(|| broken("it has no vocabulary"))?;
        let unknown = json["model"]["unk_token"].as_str();
        for (token, id) in vocab {
            let kind = match pieces {
                true if Some(token.as_str()) == unknown => kind::UNKNOWN,
                true if is_byte(token) => kind::BYTE,
                _ => kind::NORMAL,
            };
            all.set(row(id, rows)?, token, 0.0, kind);
        }
        for token in json["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let content = token["content"].as_str().unwrap_or_default();
            all.mark(row(&token["id"], rows)?, content, token["special"] == true);
        }
        Ok(all)
    }

    fn of_pieces(parts: DescribedPieces, rows: usize) -> Result<Self> {
        let mut all = Self::empty(rows);
        let beyond = || broken("an id is beyond the embedding");
        for (id, piece) in parts.pieces.iter().enumerate() {
            let kind = match piece.kind {
                PieceKind::Normal => kind::NORMAL,
                PieceKind::Unknown => kind::UNKNOWN,
                PieceKind::Control => kind::CONTROL,
                PieceKind::UserDefined => kind::USER_DEFINED,
                PieceKind::Unused => kind::UNUSED,
                PieceKind::Byte => kind::BYTE,
            };
            if id >= rows {
                return Err(beyond());
            }
            all.set(id, &piece.text, piece.score, kind);
        }
        for (id, token) in parts.added {
            let id = usize::try_from(id).ok().filter(|id| *id < rows).ok_or_else(beyond)?;
            all.mark(id, &token.content, token.special);
        }
        Ok(all)
    }

    fn set(&mut self, id: usize, token: &str, score: f32, kind: i32) {
        token.clone_into(&mut self.tokens[id]);
        (self.scores[id], self.types[id]) = (score, kind);
    }

    /// A token that is found in a text before anything else is done to it.
    fn mark(&mut self, id: usize, content: &str, special: bool) {
        match special || looks_special(content) {
            true => self.set(id, content, SCORE_OF_MARKERS, kind::CONTROL),
            false => self.set(id, &content.replace(SPACE, " "), SCORE_OF_MARKERS, kind::USER_DEFINED),
        }
    }
}

fn row(id: &Json, rows: usize) -> Result<usize> {
    let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
    id.filter(|id| *id < rows).ok_or_else(|| broken("an id is beyond the embedding"))
}

/// `<0x0A>`
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Markers that some models forget to mark as special; the converter's own list.
fn looks_special(token: &str) -> bool {
    let between = |start: &str, end: &str| token.starts_with(start) && token.ends_with(end);
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&token)
        || between("<|", "|>")
        || between("<｜", "｜>")
        || between("<unused", ">")
}

fn refused(what: &str) -> UserError {
    UserError::bad_input(text!("llama.cpp cannot do: {what}", "llama.cpp 不支持：{what}")).mend(Text::fixed(
        "export the merged model as a Hugging Face folder",
        "请导出为合并后的 Hugging Face 文件夹",
    ))
}

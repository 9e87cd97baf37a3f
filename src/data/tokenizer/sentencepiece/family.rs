//! What the Python class that read a SentencePiece model added to it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::super::engine::Engine;
use super::super::folder::Folder;
use super::super::source::Around;
use super::engine::SentencePiece;
use super::proto::{PieceKind, SentencePieceModel};

/// Which class it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Llama's, which most others are copies of.
    Llama,
    /// As Llama's, without a token in front.
    Baichuan,
    /// ChatGLM-6B.
    Glm1,
    /// ChatGLM2-6B.
    Glm2,
    /// ChatGLM3-6B.
    Glm3,
}

/// The rules of a class for one folder.
#[derive(Clone, Debug)]
pub(super) struct Family {
    class: Class,
    pub first_id: u32,
    pub every_part: bool,
    pub blanks: bool,
    /// Whether a blank is put in front, where it is not the model that says so.
    dummy: Option<bool>,
    bare: bool,
}

/// Appended behind the pieces by ChatGLM2's class.
const GLM_MARKS: [&str; 5] = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"];
/// Behind those, ChatGLM3's.
const GLM_ROLES: [&str; 4] = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];

/// A token that is plain letters (`sop`): it is one only right behind certain others.
#[derive(Debug)]
pub(super) struct Marks {
    behind: Vec<u32>,
    text: &'static str,
    id: u32,
}

impl Marks {
    /// The token that a text begins with behind the token `last`, and its length.
    pub fn after(&self, last: Option<u32>, text: &str) -> Option<(u32, usize)> {
        let follows = last.is_some_and(|last| self.behind.contains(&last));
        (follows && text.starts_with(self.text)).then_some((self.id, self.text.len()))
    }
}

impl Family {
    pub fn of(file: &Path, folder: &Folder) -> Self {
        let named = folder.class().unwrap_or_default();
        let model = folder.model_type().unwrap_or_default();
        let class = if file.ends_with("ice_text.model") {
            Class::Glm1
        } else if named.starts_with("ChatGLM") || (named.is_empty() && model == "chatglm") {
            if is_second(file, folder) { Class::Glm2 } else { Class::Glm3 }
        } else if named == "BaichuanTokenizer" || (named.is_empty() && model == "baichuan") {
            Class::Baichuan
        } else {
            Class::Llama
        };
        let images = folder.config.get("num_image_tokens").and_then(Value::as_u64);
        let first_id = images.filter(|_| class == Class::Glm1).and_then(|count| u32::try_from(count).ok());
        let legacy = class != Class::Llama || folder.flag("legacy").unwrap_or(true);
        // Without `legacy` the class puts it there itself.
        let prefix = folder.flag("add_prefix_space").filter(|_| class == Class::Llama);
        let dummy = prefix.filter(|prefix| !prefix).or((!legacy).then_some(true));
        Self {
            class,
            // Early releases had 20000 and said nothing; theirs is the larger embedding.
            first_id: first_id
                .unwrap_or(if class == Class::Glm1 { images_of(&folder.model) } else { 0 })
                .min(1 << 24),
            every_part: legacy,
            dummy,
            blanks: class == Class::Glm1,
            bare: folder.bare,
        }
    }

    /// Whether a blank is put in front of a text.
    pub fn adds_dummy_prefix(&self, model: &SentencePieceModel) -> bool {
        self.dummy.unwrap_or(model.add_dummy_prefix)
    }

    /// `bos_token`, … of the class.
    pub fn default_tokens(&self, model: &SentencePieceModel, folder: &Folder) -> Map<String, Value> {
        let piece = |kind: PieceKind, text: &str| {
            model.pieces.iter().find(|piece| piece.kind == kind && piece.text == text)
        };
        let control = |text: &str| piece(PieceKind::Control, text).map(|piece| piece.text.clone());
        let unknown = model.unknown().map(|at| model.pieces[at].text.clone());
        let tokens = match self.class {
            Class::Glm1 => ["<sop>", "<eop>", "<unk>", "<pad>"].map(|text| Some(text.to_owned())),
            Class::Glm2 | Class::Glm3 => {
                [control(&model.bos_piece), control(&model.eos_piece), unknown.clone(), unknown]
            }
            Class::Llama | Class::Baichuan => {
                let pad = control(&model.pad_piece);
                [control(&model.bos_piece), control(&model.eos_piece), unknown, pad]
            }
        };
        let keys = ["bos_token", "eos_token", "unk_token", "pad_token"];
        let pairs = keys.into_iter().zip(tokens);
        let missing = pairs.filter(|(key, _)| !folder.config.contains_key(*key));
        missing.filter_map(|(key, token)| Some((key.to_owned(), Value::String(token?)))).collect()
    }

    /// Tokens that are matched in texts as they are: those that the folder names or declares, and those that the
    /// class appends.
    pub fn added(
        &self,
        model: &SentencePieceModel,
        folder: &Folder,
        special: &Map<String, Value>,
    ) -> BTreeMap<u32, AddedToken> {
        let mut added = folder.declared_tokens();
        let mut names = folder.special_names();
        // With nothing but the model, texts are encoded as SentencePiece itself does.
        if !folder.bare {
            names.extend(special.values().filter_map(Value::as_str));
        }
        if self.class == Class::Glm1 {
            names.extend(["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"]);
        }
        let declared: Vec<String> = added.values().map(|token| token.content.clone()).collect();
        names.retain(|name| !declared.iter().any(|token| token == name));
        for (piece, id) in model.pieces.iter().zip(self.first_id..) {
            if names.contains(piece.text.as_str()) {
                added.insert(id, AddedToken::from(piece.text.clone(), true));
            }
        }
        for (name, id) in self.appended().zip(model.pieces.len() as u32..) {
            added.entry(id).or_insert_with(|| AddedToken::from(name, true));
        }
        added
    }

    fn appended(&self) -> impl Iterator<Item = &'static str> {
        let (marks, roles): (&[_], &[_]) = match self.class {
            Class::Glm2 => (&GLM_MARKS, &[]),
            Class::Glm3 => (&GLM_MARKS, &GLM_ROLES),
            Class::Llama | Class::Baichuan | Class::Glm1 => (&[], &[]),
        };
        marks.iter().chain(roles).copied()
    }

    /// Whether a token is one wherever it is written: `sop` is part of words.
    pub fn is_matched(&self, token: &str) -> bool {
        !matches!(token, "sop" | "eop") || !matches!(self.class, Class::Glm2 | Class::Glm3)
    }

    /// `sop` behind a mask.
    pub fn marks(&self, engine: &SentencePiece) -> Option<Marks> {
        if !matches!(self.class, Class::Glm2 | Class::Glm3) {
            return None;
        }
        let behind = GLM_MARKS[..3].iter().filter_map(|name| engine.id(name)).collect();
        Some(Marks { behind, text: "sop", id: engine.id("sop")? })
    }

    pub fn around(&self, engine: &SentencePiece, special: &Map<String, Value>) -> Around {
        let ids = |names: &[&str]| names.iter().filter_map(|name| engine.id(name)).collect();
        match self.class {
            Class::Baichuan => Around::default(),
            Class::Llama if self.bare => Around::default(),
            Class::Glm1 => Around { asks: ids(&["[gMASK]", "<sop>"]), fixed: true, ..Around::default() },
            Class::Glm2 | Class::Glm3 => {
                Around { front: ids(&["[gMASK]", "sop"]), fixed: true, ..Around::default() }
            }
            Class::Llama => {
                let bos = special.get("bos_token").and_then(Value::as_str);
                Around { front: ids(bos.as_slice()), ..Around::default() }
            }
        }
    }

    /// What ends an answer besides the end token: the next turn.
    pub fn stops(&self, engine: &SentencePiece) -> Vec<u32> {
        if self.class != Class::Glm3 {
            return Vec::new();
        }
        ["<|user|>", "<|observation|>"].iter().filter_map(|name| engine.id(name)).collect()
    }
}

/// ChatGLM2 and 3 have one class name and one file; 3 has tokens for roles. Their names tell them apart, or the
/// class itself, which is published beside the file.
fn is_second(file: &Path, folder: &Folder) -> bool {
    let names = [folder.config.get("name_or_path"), folder.model.get("_name_or_path")];
    let says = |number: &str| {
        let mut names = names.iter().flatten().filter_map(|name| name.as_str());
        names.any(|name| name.to_ascii_lowercase().contains(&format!("chatglm{number}")))
    };
    if says("3") || says("2") {
        return !says("3");
    }
    let class = file.with_file_name("tokenization_chatglm.py");
    super::folder::read_text(&class, 1 << 20).is_ok_and(|class| !class.contains("<|user|>"))
}

/// Number of image tokens in front of the pieces where tokenizer_config.json does not give it.
fn images_of(model: &Map<String, Value>) -> u32 {
    let rows = model.get("vocab_size").and_then(Value::as_u64);
    if rows.is_some_and(|rows| rows >= 150_528) { 20_000 } else { 0 }
}

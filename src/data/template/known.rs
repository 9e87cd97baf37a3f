//! The template that a family is known to speak, for folders that bring none.
//!
//! Many published models keep their conversation format in the code of their tokenizer class instead of
//! in a chat template. What such a folder is, its config.json tells (`model_type`, `architectures`, the
//! size of the vocabulary) with the tokens of its vocabulary. A format that is written in tokens of its
//! own is taken where the vocabulary has them; one written in plain words only where the model's name
//! says that it was tuned for it: a base model has the same config and was never taught to converse.

use std::path::Path;

use protocol::{Result, Text, text};
use serde_json::{Map, Value};

use super::{PRESETS, Preset};
use crate::tokenizer::{Tokenizer, read_object};

/// One row of the table below.
struct Known {
    /// `model_type` or an architecture of config.json.
    of: &'static [&'static str],
    /// Rows of the embedding, where two variants share everything else.
    rows: Option<u64>,
    proof: Proof,
    preset: &'static str,
    /// Whose template it is.
    who: &'static str,
}

/// How we know that a folder speaks the template.
enum Proof {
    /// Its vocabulary has the preset's tokens, and these.
    Tokens(&'static [&'static str]),
    /// All of these stand in its name.
    Name(&'static [&'static str]),
    /// The family was published as chat models only.
    Always,
}

const fn known(of: &'static [&'static str], proof: Proof, preset: &'static str, who: &'static str) -> Known {
    Known { of, rows: None, proof, preset, who }
}

impl Known {
    const fn with_rows(self, rows: u64) -> Self {
        Self { rows: Some(rows), ..self }
    }
}

use Proof::{Always, Name, Tokens};

const LLAMA: &[&str] = &["llama", "LlamaForCausalLM"];
const MISTRAL: &[&str] = &["mistral", "mixtral", "MistralForCausalLM", "MixtralForCausalLM"];
const CHATGLM: &[&str] = &["chatglm", "ChatGLMModel", "ChatGLMForConditionalGeneration"];
const BAICHUAN: &[&str] = &["BaichuanForCausalLM"];
const QWEN2: &[&str] = &["qwen2", "qwen2_moe"];
const PHI: &[&str] = &["phi3", "Phi3ForCausalLM"];
const MINICPM: &[&str] = &["minicpm", "minicpm3", "MiniCPMForCausalLM", "MiniCPM3ForCausalLM"];
const DEEPSEEK: &[&str] = &["llama", "deepseek", "deepseek_v2", "deepseek_v3"];

/// The first row that fits counts. GPT-2, GPT-NeoX, Bloom, Falcon, OPT and StarCoder2 are not in it: they
/// were published as base models, and [`Preset::suited`] offers the plain one for them.
const TABLE: &[Known] = &[
    // The second and the third share one tokenizer file, and the roles of the third come from its class.
    known(CHATGLM, Name(&["chatglm2"]), "chatglm2", "ChatGLM2-6B"),
    known(CHATGLM, Tokens(&[]), "glm4", "GLM-4-9B-Chat"),
    known(CHATGLM, Tokens(&[]), "chatglm3", "ChatGLM3-6B"),
    known(CHATGLM, Tokens(&[]), "chatglm", "ChatGLM-6B"),
    known(CHATGLM, Tokens(&[]), "chatglm2", "ChatGLM2-6B"),
    known(&["glm", "glm4"], Tokens(&[]), "glm4", "GLM-4-9B-Chat"),
    known(BAICHUAN, Tokens(&[]), "baichuan2", "Baichuan2-Chat").with_rows(125_696),
    known(BAICHUAN, Tokens(&[]), "baichuan", "Baichuan-13B-Chat").with_rows(64_000),
    known(&["qwen", "QWenLMHeadModel"], Tokens(&[]), "qwen", "Qwen-Chat"),
    known(QWEN2, Name(&["2.5"]), "qwen25", "Qwen2.5-Instruct"),
    known(QWEN2, Tokens(&[]), "qwen", "Qwen2-Instruct"),
    known(&["qwen3", "qwen3_moe"], Tokens(&[]), "qwen3", "Qwen3"),
    known(&["gemma", "gemma2", "gemma3", "gemma3_text"], Tokens(&[]), "gemma", "Gemma"),
    known(PHI, Tokens(&[]), "phi4", "Phi-4"),
    known(PHI, Tokens(&[]), "phi4-mini", "Phi-4-mini").with_rows(200_064),
    known(PHI, Tokens(&[]), "phi3", "Phi-3"),
    known(MINICPM, Tokens(&[]), "chatml", "MiniCPM3"),
    known(MINICPM, Always, "minicpm", "MiniCPM"),
    known(DEEPSEEK, Tokens(&[]), "deepseek3", "DeepSeek-V3"),
    known(DEEPSEEK, Name(&["deepseek", "chat"]), "deepseek", "DeepSeek-Chat"),
    known(LLAMA, Tokens(&[]), "llama3", "Llama-3-Instruct"),
    known(LLAMA, Name(&["tinyllama", "chat"]), "zephyr", "TinyLlama-Chat"),
    known(LLAMA, Name(&["vicuna"]), "vicuna", "Vicuna"),
    known(LLAMA, Name(&["alpaca"]), "alpaca", "Alpaca"),
    known(LLAMA, Name(&["llama-2", "chat"]), "llama2", "Llama-2-Chat"),
    known(LLAMA, Name(&["llama2", "chat"]), "llama2", "Llama-2-Chat"),
    known(LLAMA, Tokens(&[]), "chatml", "Yi-Chat, SmolLM"),
    known(LLAMA, Name(&["minicpm"]), "minicpm", "MiniCPM"),
    known(MISTRAL, Name(&["zephyr"]), "zephyr", "Zephyr"),
    known(MISTRAL, Tokens(&["[INST]"]), "mistral-tekken", "Mistral Nemo").with_rows(131_072),
    known(MISTRAL, Tokens(&["[INST]", "[/INST]"]), "mistral", "Mistral-Instruct v0.3"),
    known(MISTRAL, Name(&["instruct"]), "mistral-v1", "Mistral-Instruct"),
];

/// What the files of a folder say it is.
struct Identity {
    kinds: Vec<String>,
    rows: Option<u64>,
    /// In lower case: the last part of what config.json calls the model, and the folder's name.
    names: Vec<String>,
}

impl Identity {
    fn read(dir: &Path) -> Result<Self> {
        let config = read_object(&dir.join("config.json"))?;
        let text = config.get("text_config").and_then(Value::as_object);
        let configs = || [Some(&config), text].into_iter().flatten();
        let rows = |config: &Map<String, Value>| {
            ["padded_vocab_size", "vocab_size"]
                .iter()
                .find_map(|key| config.get(*key).and_then(Value::as_u64))
        };
        let named = config
            .get("_name_or_path")
            .and_then(Value::as_str)
            .and_then(|name| name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next());
        let folder = dir.file_name().map(|name| name.to_string_lossy().to_lowercase());
        Ok(Self {
            kinds: configs().flat_map(kinds).collect(),
            rows: configs().find_map(rows),
            names: named.map(str::to_lowercase).into_iter().chain(folder).collect(),
        })
    }

    fn is_called(&self, words: &[&str]) -> bool {
        self.names.iter().any(|name| words.iter().all(|word| name.contains(word)))
    }
}

fn kinds(config: &Map<String, Value>) -> Vec<String> {
    let classes = config.get("architectures").and_then(Value::as_array).into_iter().flatten();
    let kinds = config.get("model_type").into_iter().chain(classes);
    kinds.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The template that the model of this tokenizer's folder is known to speak, and why.
///
/// # Errors
/// When config.json cannot be read.
pub(super) fn template(tokenizer: &Tokenizer) -> Result<Option<(&'static Preset, Text)>> {
    let identity = Identity::read(tokenizer.dir())?;
    let speakers = tokenizer.speakers();
    let first_token = |preset: &Preset| preset.needs.first().copied();
    let speaker = speakers.get("user_token").and_then(Value::as_str);
    let speaker = speaker.filter(|token| PRESETS.iter().any(|preset| first_token(preset) == Some(*token)));
    let has = |token: &&str| tokenizer.id(token).is_some();
    let fits = |known: &&Known| {
        let Some(preset) = Preset::named(known.preset) else { return false };
        let variant = match (speaker, known.rows) {
            // The tokens of the two speakers tell the variants of Baichuan apart better than sizes do.
            (Some(token), Some(_)) if known.of == BAICHUAN => first_token(preset) == Some(token),
            (_, Some(rows)) => identity.rows == Some(rows),
            _ => true,
        };
        let proven = match known.proof {
            Tokens(own) => own.iter().all(has),
            Name(words) => identity.is_called(words),
            Always => true,
        };
        let is_kind = identity.kinds.iter().any(|kind| known.of.contains(&kind.as_str()));
        is_kind && variant && proven && preset.needs.iter().all(has)
    };
    let found = TABLE.iter().find(fits);
    Ok(found.and_then(|known| Some((Preset::named(known.preset)?, because(known.who)))))
}

fn because(who: &str) -> Text {
    text!("the folder has none; the known one of {who}", "该文件夹没有模板；采用 {who} 的已知模板")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_preset_and_proves_it() {
        for known in TABLE {
            let preset = Preset::named(known.preset).unwrap();
            match known.proof {
                Tokens(own) => assert!(own.len() + preset.needs.len() > 0, "{} proves nothing", known.who),
                Name(words) => {
                    assert!(!words.is_empty() && words.iter().all(|word| *word == word.to_lowercase()));
                }
                Always => {}
            }
        }
    }
}

//! What llama.cpp knows about each architecture: its name, how tensors are called and laid out, and how config.json and
//! metadata say the same. One entry a layout; everything that reads or writes GGUF goes by this table.
//!
//! Facts: llama.cpp, `conversion/*.py` (how it converts Hugging Face folders) and `src/models/*.cpp` (what it expects),
//! and the name map of its `gguf` package.

mod bloom;
mod cohere;
mod falcon;
mod gemma;
mod glm;
mod gpt;
mod llama;
mod olmo;
mod phi;
mod qwen;
mod read;
mod rope;
mod write;

use serde_json::{Map, Value as Json};

use super::rows::RowOrder;

pub use read::Reading;
pub use write::Writing;

/// Values of a config.json.
pub type Config = Map<String, Json>;

/// One layout of one architecture.
pub struct Arch {
    /// `general.architecture`.
    pub id: &'static str,
    /// Families of ours (`families!`) that are written so.
    pub families: &'static [&'static str],
    /// Where several entries share an id: is the file one of this kind?
    pub applies: fn(&Reading<'_>) -> bool,
    pub modules: &'static [&'static [Module]],
    /// Metadata to config.json.
    pub config: fn(&Reading<'_>, &mut Config),
    /// config.json to metadata; what llama.cpp cannot do is refused there.
    pub metadata: fn(&mut Writing<'_>),
}

/// Every layout this program reads and writes.
const ARCHES: &[&Arch] = &[
    &llama::LLAMA,
    &llama::MINICPM,
    &llama::GRANITE,
    &llama::BAICHUAN,
    &qwen::QWEN2,
    &qwen::QWEN3,
    &gemma::GEMMA,
    &gemma::GEMMA2,
    &gemma::GEMMA3,
    &phi::PHI3,
    &gpt::GPT2,
    &gpt::GPTNEOX,
    &gpt::STARCODER2,
    &bloom::BLOOM,
    &falcon::FALCON,
    &falcon::FALCON_NEW,
    &glm::CHATGLM,
    &glm::GLM,
    &glm::GLM4,
    &olmo::OLMO2,
    &cohere::COHERE,
];

/// A layer's parameters: names without `.weight` and `.bias`, `{}` for the number of the block.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    pub hf: &'static str,
    pub gguf: &'static str,
    pub form: Form,
    /// The Hugging Face matrix holds several modules of GGUF, equally many rows each: which of how many.
    pub part: (usize, usize),
}

/// How a tensor differs between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// Rows of a query projection in the order of [`RowOrder::Rotary`].
    Queries,
    /// Rows of a key projection, likewise.
    Keys,
    /// Fused query, key, value: head by head in Hugging Face.
    ByPart,
    /// Fused query, key, value: group by group in Hugging Face.
    ByGroup,
    /// A gain that GGUF holds with 1 added.
    PlusOne,
    /// A Conv1D weight, `[in, out]` in Hugging Face.
    Transposed,
    /// Rows that the model scales to length 1 itself and llama.cpp does not: written at that length.
    UnitRows,
}

/// Numbers of query and key heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub queries: usize,
    pub keys: usize,
}

impl Form {
    pub fn order(self, heads: Heads) -> RowOrder {
        let Heads { queries, keys } = heads;
        match self {
            Self::Queries => RowOrder::Rotary { heads: queries },
            Self::Keys => RowOrder::Rotary { heads: keys },
            Self::ByPart => RowOrder::ByPart { heads: queries },
            Self::ByGroup => RowOrder::ByGroup { groups: keys, queries: queries / keys.max(1) },
            Self::Plain | Self::PlusOne | Self::Transposed | Self::UnitRows => RowOrder::Same,
        }
    }
}

/// A module that is the same in both.
const fn same(hf: &'static str, gguf: &'static str) -> Module {
    module(hf, gguf, Form::Plain)
}

const fn module(hf: &'static str, gguf: &'static str, form: Form) -> Module {
    Module { hf, gguf, form, part: (0, 1) }
}

impl Arch {
    fn modules(&self) -> impl Iterator<Item = &'static Module> {
        self.modules.iter().copied().flatten()
    }

    /// The module that a tensor of the file belongs to, and the tensor's Hugging Face name.
    pub fn of_gguf(&self, name: &str) -> Option<(&'static Module, String)> {
        let (pattern, block, suffix) = split(name)?;
        let module = self.modules().find(|module| module.gguf == pattern)?;
        Some((module, fill(module.hf, block, suffix)))
    }

    /// Every module that a Hugging Face tensor becomes, with the tensor's name in the file; empty for one that
    /// llama.cpp does not have.
    pub fn of_hf(&self, name: &str) -> Vec<(&'static Module, String)> {
        let Some((pattern, block, suffix)) = split(name) else { return Vec::new() };
        self.modules()
            .filter(|module| module.hf == pattern)
            .map(|module| (module, fill(module.gguf, block, suffix)))
            .collect()
    }
}

/// The layout of a file.
pub fn of_file(reading: &Reading<'_>) -> Option<&'static Arch> {
    ARCHES.iter().copied().find(|arch| arch.id == reading.arch && (arch.applies)(reading))
}

/// The layouts of a family, to be tried in order.
pub fn of_family(family: &str) -> impl Iterator<Item = &'static Arch> {
    ARCHES.iter().copied().filter(move |arch| arch.families.contains(&family))
}

/// Names of everything that can be read.
pub fn known() -> Vec<&'static str> {
    let mut ids: Vec<_> = ARCHES.iter().map(|arch| arch.id).collect();
    ids.dedup();
    ids
}

fn always(_: &Reading<'_>) -> bool {
    true
}

/// `model.layers.3.mlp.up_proj.weight` → (`model.layers.{}.mlp.up_proj`, 3, `.weight`).
fn split(name: &str) -> Option<(String, Option<&str>, &'static str)> {
    let suffix = [".weight", ".bias"].into_iter().find(|suffix| name.ends_with(suffix))?;
    let stem = &name[..name.len() - suffix.len()];
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let block = stem.split('.').find(is_number);
    let pattern: Vec<&str> =
        stem.split('.').map(|part| if Some(part) == block { "{}" } else { part }).collect();
    Some((pattern.join("."), block, suffix))
}

fn fill(pattern: &str, block: Option<&str>, suffix: &str) -> String {
    match block {
        Some(block) => pattern.replace("{}", block) + suffix,
        None => format!("{pattern}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_translate_both_ways() {
        let (module, hf) = llama::LLAMA.of_gguf("blk.12.attn_q.weight").unwrap();
        assert_eq!((hf.as_str(), module.form), ("model.layers.12.self_attn.q_proj.weight", Form::Queries));
        assert_eq!(llama::LLAMA.of_hf(&hf)[0].1, "blk.12.attn_q.weight");
        assert!(llama::LLAMA.of_gguf("blk.1.attn_zzz.weight").is_none());
        assert!(llama::LLAMA.of_gguf("rope_freqs").is_none());
        let packed = llama::BAICHUAN.of_hf("model.layers.0.self_attn.W_pack.weight");
        assert_eq!(
            packed.iter().map(|(module, _)| module.part).collect::<Vec<_>>(),
            [(0, 3), (1, 3), (2, 3)]
        );
    }

    #[test]
    fn no_layout_names_a_tensor_twice() {
        for arch in ARCHES {
            let mut names: Vec<_> = arch.modules().map(|module| module.gguf).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", arch.id);
        }
    }
}

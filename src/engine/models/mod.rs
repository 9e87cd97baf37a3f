//! Model families. A family is one file here and one word in `families!`.

mod build;
mod config;
mod config_rope;
mod cpm;
mod decoder;
mod experts;
mod growth;
mod latent;
mod llama_like;
mod load;
mod model;
mod names;

use protocol::{Descriptor, Result, Text};

pub use build::{Builder, NormKind};
pub use config::ConfigJson;
pub use decoder::{Decoder, Front, HiddenShape, PairBias, Rows, in_order, lanes_in_order};
pub use growth::Growth;
pub use load::{ModelFolder, initial_value, random_weights};
pub use model::{Model, ModelInfo, PassOptions};

/// How a family is put together.
pub type BuildFn = fn(&ConfigJson, &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)>;

/// What one family's file exports.
pub struct Family {
    /// The word that `inspect` shows.
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// `model_type` values of config.json that mean this family.
    pub model_types: &'static [&'static str],
    /// Whether a config of one of these types is this family's: where a `model_type` means several.
    pub claims: fn(&ConfigJson) -> bool,
    /// Other beginnings of tensor names: the one used here, and what some files have in its place, such as
    /// `("transformer.", "")`.
    pub spellings: &'static [(&'static str, &'static str)],
    /// Roles that a LoRA with `targets = "auto"` adapts (PEFT's defaults).
    pub default_targets: &'static [&'static str],
    /// Tensors that files may hold and nobody needs: precomputed masks and frequencies.
    pub ignorable: fn(&str) -> bool,
    /// Where the first token stands behind a learned prefix.
    pub prefix: PrefixPositions,
    /// Declares every parameter and returns the layers.
    pub build: BuildFn,
    /// The config of a very small model of this family, for the contract tests.
    pub tiny: &'static str,
}

/// Positions behind the keys and values that prefix tuning or P-tuning v2 puts in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixPositions {
    /// The first token stands behind the prefix, as PEFT does it.
    Shifted,
    /// The first token stands at 0, as ChatGLM's own code does it.
    Unshifted,
}

macro_rules! families {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every family this program knows.
        pub const FAMILIES: &[&Family] = &[$(&$module::FAMILY),*];
    };
}

families! {
    gpt2, baichuan, chatglm_6b, chatglm, bloom, falcon, gpt_neox, phi, llama, mistral, qwen2, qwen3, gemma,
    gemma2, gemma3, phi3, minicpm, minicpm3, glm, glm4, olmo2, starcoder2, stablelm, cohere, granite, mixtral,
    qwen2_moe, qwen3_moe, cpmbee, cpmant,
}

/// The family of a config.
pub fn family_of(config: &ConfigJson) -> Option<&'static Family> {
    let model_type = config.model_type();
    FAMILIES
        .iter()
        .copied()
        .find(|family| family.model_types.contains(&model_type) && (family.claims)(config))
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    FAMILIES
        .iter()
        .map(|family| Descriptor {
            id: family.id.into(),
            name: family.name.clone(),
            help: family.help.clone(),
            params: Vec::new(),
        })
        .collect()
}

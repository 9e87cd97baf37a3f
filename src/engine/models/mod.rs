//! Model families. A family is one file here and one word in `families!`.

mod build;
mod config;
mod decoder;
mod load;
mod model;

use protocol::{Descriptor, Result, Text};

pub use build::Builder;
pub use config::ConfigJson;
pub use decoder::{Decoder, HiddenShape};
pub use load::{ModelFolder, random_weights};
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
    /// Module prefix that some files of this family leave out, such as `transformer.`.
    pub optional_prefix: &'static str,
    /// Roles that a LoRA with `targets = "auto"` adapts (PEFT's defaults).
    pub default_targets: &'static [&'static str],
    /// Tensors that files may hold and nobody needs: precomputed masks and frequencies.
    pub ignorable: fn(&str) -> bool,
    /// Declares every parameter and returns the layers.
    pub build: BuildFn,
}

macro_rules! families {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every family this program knows.
        pub const FAMILIES: &[&Family] = &[$(&$module::FAMILY),*];
    };
}

families! { gpt2, llama }

/// The family of a `model_type`.
pub fn family_of(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.model_types.contains(&model_type))
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

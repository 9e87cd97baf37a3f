//! The chat templates that come with the program.

/// A chat template of our own, for models that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What `data.template` calls it.
    pub name: &'static str,
    pub source: &'static str,
    /// The token that must be in the vocabulary for the model to learn when to stop; empty where the
    /// template ends answers with the tokenizer's own end token.
    pub end_token: &'static str,
}

macro_rules! presets {
    ($($name:literal $end:literal),* $(,)?) => {
        /// Every preset, by the name of its file in `presets/templates`.
        pub const PRESETS: &[Preset] = &[$(Preset {
            name: $name,
            source: include_str!(concat!("../../../presets/templates/", $name, ".jinja")),
            end_token: $end,
        }),*];
    };
}

presets! {
    "chatml" "<|im_end|>",
    "llama2" "",
    "llama3" "<|eot_id|>",
    "mistral" "",
    "alpaca" "",
    "vicuna" "",
    "zephyr" "",
    "plain" "",
}

impl Preset {
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The preset that suits a tokenizer best: one whose end token it has, else the plainest.
    pub fn suited(has_token: impl Fn(&str) -> bool) -> &'static Self {
        PRESETS
            .iter()
            .find(|preset| !preset.end_token.is_empty() && has_token(preset.end_token))
            .unwrap_or(&PRESETS[PRESETS.len() - 1])
    }
}

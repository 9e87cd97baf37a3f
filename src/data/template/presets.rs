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
    /// What it is for, in English and Chinese.
    pub help: (&'static str, &'static str),
}

macro_rules! presets {
    ($($name:literal $end:literal $en:literal $zh:literal),* $(,)?) => {
        /// Every preset, by the name of its file in `presets/templates`.
        pub const PRESETS: &[Preset] = &[$(Preset {
            name: $name,
            source: include_str!(concat!("../../../presets/templates/", $name, ".jinja")),
            end_token: $end,
            help: ($en, $zh),
        }),*];
    };
}

presets! {
    "chatml" "<|im_end|>"
        "Qwen, Yi and many others; needs the tokens <|im_start|> and <|im_end|>"
        "Qwen、Yi 等众多模型；需要 <|im_start|> 与 <|im_end|> 词元",
    "llama2" ""
        "Llama 2 Chat: [INST] … [/INST]"
        "Llama 2 Chat：[INST] … [/INST]",
    "llama3" "<|eot_id|>"
        "Llama 3 Instruct; needs the token <|eot_id|>"
        "Llama 3 Instruct；需要 <|eot_id|> 词元",
    "mistral" ""
        "Mistral Instruct: [INST] … [/INST], the system prompt inside"
        "Mistral Instruct：[INST] … [/INST]，系统提示放在其中",
    "alpaca" ""
        "Alpaca: ### Instruction and ### Response; for base models"
        "Alpaca：### Instruction 与 ### Response；适合基础模型",
    "vicuna" ""
        "Vicuna: USER: and ASSISTANT:; for base models"
        "Vicuna：USER: 与 ASSISTANT:；适合基础模型",
    "zephyr" ""
        "Zephyr: <|user|> and <|assistant|> on lines of their own"
        "Zephyr：<|user|> 与 <|assistant|> 各占一行",
    "plain" ""
        "The words alone, a line each; for models without markers"
        "只有内容，每条一行；适合没有标记的模型",
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

//! Which template a run file means.

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use protocol::{Remedy, Result, Text, UserError, config::nearest, text};

use super::{ChatTemplate, PRESETS, Preset, environment, known};
use crate::tokenizer::{TemplateSource, Tokenizer, read_text};

/// What a template is called that stands in the run file itself.
const INLINE: &str = "data.template";

/// A template that was chosen and not compiled yet.
#[derive(Clone, Debug, Default)]
pub struct TemplateChoice {
    /// What people call it: a preset's name, a file, or `data.template` for a text in the run file.
    pub name: String,
    /// Why `auto` means this template, where it is not the model's own.
    pub reason: Option<Text>,
    preset: Option<&'static Preset>,
    sources: Vec<TemplateSource>,
}

impl TemplateChoice {
    /// The template that `choice` means: `auto` (the model's own, else the one that its family is known to
    /// speak), the template itself (a text with `{{` or `{%`), a preset, or a file relative to `base`. None:
    /// `auto`, and the model has none.
    ///
    /// # Errors
    /// When there is neither a preset nor a file of that name; when `auto` cannot read config.json.
    pub fn find(choice: &str, tokenizer: &Tokenizer, base: &Path) -> Result<Option<Self>> {
        if choice == "auto" {
            return Self::auto(tokenizer);
        }
        if let Some(preset) = Preset::named(choice) {
            return Ok(Some(Self::preset(preset)));
        }
        let (name, source, file) = if is_inline(choice) {
            (INLINE.to_owned(), choice.to_owned(), PathBuf::from(INLINE))
        } else {
            let file = base.join(choice);
            if !file.is_file() {
                return Err(unknown_template(choice));
            }
            let source = read_text(&file, environment::MAX_SOURCE_BYTES as u64)?;
            (file.display().to_string(), source, file)
        };
        let source = TemplateSource { name: super::DEFAULT_TEMPLATE.to_owned(), source, file };
        Ok(Some(Self { name, sources: vec![source], ..Self::default() }))
    }

    fn auto(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let sources = tokenizer.chat_templates().to_vec();
        if let Some(first) = sources.first() {
            let name = first.file.display().to_string();
            return Ok(Some(Self { name, sources, ..Self::default() }));
        }
        let known = known::template(tokenizer)?;
        Ok(known.map(|(preset, why)| Self { reason: Some(why), ..Self::preset(preset) }))
    }

    fn preset(preset: &'static Preset) -> Self {
        let source = TemplateSource {
            name: super::DEFAULT_TEMPLATE.to_owned(),
            source: preset.source.to_owned(),
            file: PathBuf::from(format!("presets/templates/{}.jinja", preset.name)),
        };
        Self { name: preset.name.to_owned(), reason: None, preset: Some(preset), sources: vec![source] }
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        self.sources.first().map_or("", |source| source.source.as_str())
    }

    /// # Errors
    /// As [`ChatTemplate::compile`]; and when the vocabulary lacks a token that a preset is written in.
    pub fn compile(&self, tokenizer: &Tokenizer, now: Option<NaiveDateTime>) -> Result<ChatTemplate> {
        let mut special = tokenizer.special_tokens();
        if let Some(preset) = self.preset {
            refuse_missing(preset, tokenizer)?;
            special.extend(tokenizer.speakers());
        }
        let template = ChatTemplate::compile(&self.name, &self.sources, special, now)?;
        Ok(ChatTemplate { preset: self.preset, reason: self.reason.clone(), ..template })
    }
}

/// Finds and compiles a template; see [`TemplateChoice::find`].
///
/// # Errors
/// When there is no such template, or it does not compile.
pub fn find_template(
    choice: &str,
    tokenizer: &Tokenizer,
    base: &Path,
    now: Option<NaiveDateTime>,
) -> Result<Option<ChatTemplate>> {
    let found = TemplateChoice::find(choice, tokenizer, base)?;
    found.map(|found| found.compile(tokenizer, now)).transpose()
}

/// Whether what a run file says is the template itself.
pub(super) fn is_inline(choice: &str) -> bool {
    choice.contains("{{") || choice.contains("{%")
}

/// Tokens that are in no vocabulary would be cut into pieces that no model has seen as markers.
fn refuse_missing(preset: &Preset, tokenizer: &Tokenizer) -> Result<()> {
    let has = |token: &str| tokenizer.id(token).is_some();
    let missing: Vec<&str> = preset.needs.iter().copied().filter(|token| !has(token)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (name, tokens) = (preset.name, missing.join(", "));
    let error = UserError::bad_input(text!(
        "The template {name} needs tokens that this tokenizer does not have: {tokens}",
        "模板 {name} 所需的词元不在该分词器的词表中：{tokens}"
    ))
    .at_item("data.template");
    Err(suggest(error, tokenizer))
}

fn unknown_template(choice: &str) -> UserError {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let list = names.join(", ");
    let error = UserError::bad_input(text!(
        "There is no chat template named {choice}, and no such file",
        "没有名为 {choice} 的聊天模板，也没有该文件"
    ))
    .at_item("data.template");
    match nearest(choice, names.iter().copied()) {
        Some(name) => error.mend(text!("did you mean {name}? ({list})", "是否想用 {name}？（{list}）")),
        None => error.mend(text!("use auto, a file, or one of: {list}", "请使用 auto、文件路径或：{list}")),
    }
}

/// A conversation needs a template and the model brings none.
pub(crate) fn no_template(tokenizer: &Tokenizer) -> UserError {
    let error = UserError::bad_input(Text::fixed(
        "The data holds conversations, and the model has no chat template",
        "数据是对话形式，而模型没有聊天模板",
    ))
    .at_item("data.template");
    suggest(error, tokenizer)
}

/// Offers the preset that suits the tokenizer.
fn suggest(error: UserError, tokenizer: &Tokenizer) -> UserError {
    let suited = Preset::suited(|token| tokenizer.id(token).is_some()).name;
    let list: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let list = list.join(", ");
    error
        .mend(text!(
            "set data.template = \"{suited}\" (which suits this tokenizer), or another of: {list}",
            "请设置 data.template = \"{suited}\"（适合该分词器），或其他预设：{list}"
        ))
        .remedy(Remedy {
            label: text!("Use the template {suited}", "使用模板 {suited}"),
            changes: vec![("data.template".into(), suited.into())],
        })
}

//! Which template a run file means.

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use protocol::{Remedy, Result, Text, UserError, config::nearest, text};

use super::{ChatTemplate, PRESETS, Preset, environment};
use crate::tokenizer::{TemplateSource, Tokenizer, read_text};

/// What a template is called that stands in the run file itself.
const INLINE: &str = "data.template";

/// A template that was chosen and not compiled yet.
#[derive(Clone, Debug, Default)]
pub struct TemplateChoice {
    /// What people call it: a preset's name, a file, or `data.template` for a text in the run file.
    pub name: String,
    sources: Vec<TemplateSource>,
}

impl TemplateChoice {
    /// The template that `choice` means: `auto` (the model's own), the template itself (a text with `{{` or `{%`),
    /// a preset, or a file relative to `base`. None: `auto`, and the model has none.
    ///
    /// # Errors
    /// When there is neither a preset nor a file of that name.
    pub fn find(choice: &str, tokenizer: &Tokenizer, base: &Path) -> Result<Option<Self>> {
        if choice == "auto" {
            let sources = tokenizer.chat_templates().to_vec();
            let name = sources.first().map(|first| first.file.display().to_string());
            return Ok(name.map(|name| Self { name, sources }));
        }
        let (name, source, file) = if choice.contains("{{") || choice.contains("{%") {
            (INLINE.to_owned(), choice.to_owned(), PathBuf::from(INLINE))
        } else if let Some(preset) = Preset::named(choice) {
            let file = Path::new("presets/templates").join(preset.name).with_extension("jinja");
            (preset.name.to_owned(), preset.source.to_owned(), file)
        } else {
            let file = base.join(choice);
            if !file.is_file() {
                return Err(unknown_template(choice));
            }
            let source = read_text(&file, environment::MAX_SOURCE_BYTES as u64)?;
            (file.display().to_string(), source, file)
        };
        let source = TemplateSource { name: super::DEFAULT_TEMPLATE.to_owned(), source, file };
        Ok(Some(Self { name, sources: vec![source] }))
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        self.sources.first().map_or("", |source| source.source.as_str())
    }

    /// # Errors
    /// As [`ChatTemplate::compile`].
    pub fn compile(&self, tokenizer: &Tokenizer, now: Option<NaiveDateTime>) -> Result<ChatTemplate> {
        ChatTemplate::compile(&self.name, &self.sources, tokenizer.special_tokens(), now)
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
    let suited = Preset::suited(|token| tokenizer.id(token).is_some()).name;
    let list: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let list = list.join(", ");
    UserError::bad_input(Text::fixed(
        "The data holds conversations, and the model has no chat template",
        "数据是对话形式，而模型没有聊天模板",
    ))
    .at_item("data.template")
    .mend(text!(
        "set data.template = \"{suited}\" (which suits this tokenizer), or another of: {list}",
        "请设置 data.template = \"{suited}\"（适合该分词器），或其他预设：{list}"
    ))
    .remedy(Remedy {
        label: text!("Use the template {suited}", "使用模板 {suited}"),
        changes: vec![("data.template".into(), suited.into())],
    })
}

//! Which template a run file means.

use std::path::Path;

use chrono::NaiveDateTime;
use protocol::{Result, Text, UserError, config::nearest, text};

use super::{ChatTemplate, PRESETS, Preset, environment};
use crate::tokenizer::{TemplateSource, Tokenizer, read_text};

/// Finds and compiles the template that `choice` names: `auto` (the model's own), a preset, or a file
/// relative to `base`. None: `auto`, and the model has none.
///
/// # Errors
/// When there is neither a preset nor a file of that name, or it does not compile.
pub fn find_template(
    choice: &str,
    tokenizer: &Tokenizer,
    base: &Path,
    now: Option<NaiveDateTime>,
) -> Result<Option<ChatTemplate>> {
    let compile = |name: &str, sources: &[TemplateSource]| {
        ChatTemplate::compile(name, sources, tokenizer.special_tokens(), now).map(Some)
    };
    if choice == "auto" {
        let sources = tokenizer.chat_templates();
        return match sources.first() {
            None => Ok(None),
            Some(first) => compile(&first.file.display().to_string(), sources),
        };
    }
    if let Some(preset) = Preset::named(choice) {
        let file = Path::new("presets/templates").join(preset.name).with_extension("jinja");
        return compile(preset.name, &[default_source(preset.source.to_owned(), &file)]);
    }
    let file = base.join(choice);
    if !file.is_file() {
        return Err(unknown_template(choice));
    }
    let source = read_text(&file, environment::MAX_SOURCE_BYTES as u64)?;
    compile(&file.display().to_string(), &[default_source(source, &file)])
}

fn default_source(source: String, file: &Path) -> TemplateSource {
    TemplateSource { name: super::DEFAULT_TEMPLATE.to_owned(), source, file: file.to_owned() }
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
}

//! New tokens: where they come from, how their rows begin, and what they gain.

use std::path::{Path, PathBuf};

use egui::{Align, Label, Layout, RichText, TextEdit, Ui};
use protocol::RunConfig;
use protocol::config::{InitialRows, RowsTrained, VocabularyConfig};

use crate::action::Action;
use crate::apply::DATA_EXTENSIONS;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, card, error_box, field, hint, icon_button, input, section, segmented};
use crate::words::vocabulary as words;

/// The table of the run file.
pub const KEY: &str = "vocabulary";
/// Rows of the list that are seen at once.
const LINES: usize = 4;
/// More tokens than a tokenizer takes: what the field lets through, the engine refuses.
const MANY: u64 = 1 << 20;

/// The card, and what was typed into its list and is not left yet.
#[derive(Default)]
pub struct VocabularyPart {
    /// Shown whole though nothing is set yet.
    open: bool,
    draft: Option<String>,
}

impl VocabularyPart {
    pub fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let mut config = ctx.state.project.config.clone();
        let problems = ctx.state.problems_at(KEY);
        let open = self.open || !config.vocabulary.is_off() || !problems.is_empty();
        if Self::title(ui, ctx, open) {
            config.vocabulary = VocabularyConfig::default();
            *self = Self::default();
        }
        card(ui, |ui| {
            if !open {
                return self.closed(ui, ctx);
            }
            self.sources(ui, ctx, &mut config);
            if !config.vocabulary.is_off() {
                rows(ui, ctx, &mut config.vocabulary);
                gain(ui, ctx);
            }
            for problem in problems {
                error_box(ui, ctx, problem);
            }
        });
        ctx.edit(config);
    }

    /// The card's title; true when nothing is to be extended any more.
    fn title(ui: &mut Ui, ctx: &PanelCtx<'_>, open: bool) -> bool {
        let title = ctx.t(&words::NEW_TOKENS);
        if !open {
            section(ui, title);
            return false;
        }
        let inner = ui.horizontal(|ui| {
            section(ui, title);
            let right = Layout::right_to_left(Align::Center);
            ui.with_layout(right, |ui| icon_button(ui, Icon::Trash, ctx.t(&words::NONE)).clicked()).inner
        });
        inner.inner
    }

    /// Quiet while nothing is extended.
    fn closed(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        hint(ui, ctx.t(&words::OFF));
        if button(ui, Some(Icon::Plus), ctx.t(&words::ADD)).clicked() {
            self.open = true;
        }
    }

    fn sources(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
        let extended = !config.vocabulary.extended.as_os_str().is_empty();
        if !extended || config.vocabulary.makes_tokens() {
            self.list(ui, ctx, &mut config.vocabulary.tokens);
            file(ui, ctx, &mut config.vocabulary.file);
            texts(ui, ctx, config);
        }
        if extended || !config.vocabulary.makes_tokens() && ctx.state.preferences.expert {
            extended_folder(ui, ctx, &mut config.vocabulary.extended);
        }
    }

    /// Tokens typed or pasted, one a line.
    fn list(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, tokens: &mut Vec<String>) {
        let label = ui.label(RichText::new(ctx.t(&words::TOKENS)).color(ui.tokens().text_weak));
        let mut text = self.draft.clone().unwrap_or_else(|| tokens.join("\n"));
        let lines = text.lines().count().clamp(2, LINES);
        let response = egui::ScrollArea::vertical()
            .id_salt("new-tokens")
            .max_height(LINES as f32 * 20.0)
            .show(ui, |ui| {
                let edit = TextEdit::multiline(&mut text)
                    .hint_text(ctx.t(&words::TOKENS_HINT))
                    .desired_rows(lines)
                    .desired_width(f32::INFINITY)
                    .margin(egui::vec2(8.0, 6.0));
                ui.add(edit).labelled_by(label.id)
            })
            .inner;
        if response.changed() {
            *tokens = listed(&text);
            self.draft = Some(text);
        } else if !response.has_focus() {
            self.draft = None;
        }
    }
}

/// Each line that has something on it. Blanks in front may be part of a token, and are kept.
fn listed(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// A file with a token a line.
fn file(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &mut PathBuf) {
    field(ui, ctx.t(&words::FILE), ctx.t(&words::FILE_HELP), |ui| {
        let inner = ui.horizontal(|ui| {
            let response = button(ui, Some(Icon::File), ctx.t(&words::CHOOSE_FILE));
            if response.clicked() {
                pick_files(ctx, Purpose::VocabularyFile, &["txt"], false);
            }
            response
        });
        inner.inner
    });
    if !file.as_os_str().is_empty() && path_line(ui, ctx, file) {
        *file = PathBuf::new();
    }
}

/// Texts that tokens are learned from, how many, and of which characters.
fn texts(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    field(ui, ctx.t(&words::TEXTS), ctx.t(&words::TEXTS_HELP), |ui| {
        let response = button(ui, Some(Icon::FilePlus), ctx.t(&words::ADD_FILES));
        if response.clicked() {
            pick_files(ctx, Purpose::VocabularyTexts, &DATA_EXTENSIONS, true);
        }
        response
    });
    let vocabulary = &mut config.vocabulary;
    let mut removed = None;
    for (index, path) in vocabulary.train_on.iter().enumerate() {
        if path_line(ui, ctx, path) {
            removed = Some(index);
        }
    }
    if let Some(index) = removed {
        vocabulary.train_on.remove(index);
    }
    if vocabulary.train_on.is_empty() {
        if !config.data.train.is_empty()
            && button(ui, Some(Icon::Data), ctx.t(&words::USE_TRAINING)).clicked()
        {
            vocabulary.train_on.clone_from(&config.data.train);
        }
        return;
    }
    field(ui, ctx.t(&words::SIZE), ctx.t(&words::SIZE_HELP), |ui| {
        input::integer(ui, &mut vocabulary.size, 1..=MANY, "")
    });
    field(ui, ctx.t(&words::COVERAGE), ctx.t(&words::COVERAGE_HELP), |ui| {
        input::real(ui, &mut vocabulary.coverage, 0.5..=1.0)
    });
}

/// A tokenizer that has the tokens already.
fn extended_folder(ui: &mut Ui, ctx: &PanelCtx<'_>, folder: &mut PathBuf) {
    field(ui, ctx.t(&words::EXTENDED), ctx.t(&words::EXTENDED_HELP), |ui| {
        let response = button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE_FOLDER));
        if response.clicked() {
            let start = folder.parent().map(Path::to_path_buf);
            let request = DesktopRequest::PickFolder { purpose: Purpose::VocabularyFolder, start };
            ctx.push(Action::Desktop(request));
        }
        response
    });
    if !folder.as_os_str().is_empty() && path_line(ui, ctx, folder) {
        *folder = PathBuf::new();
    }
}

fn pick_files(ctx: &PanelCtx<'_>, purpose: Purpose, extensions: &[&str], many: bool) {
    let extensions = extensions.iter().map(|extension| (*extension).to_owned()).collect();
    ctx.push(Action::Desktop(DesktopRequest::PickFiles { purpose, extensions, many }));
}

/// A path; true when it is to be removed.
fn path_line(ui: &mut Ui, ctx: &PanelCtx<'_>, path: &Path) -> bool {
    let tokens = ui.tokens();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let inner = ui.horizontal(|ui| {
        Icon::File.ui(ui, 14.0, tokens.text_weak);
        let inner = ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let label = format!("{} {name}", ctx.t(&words::REMOVE));
            let removed = icon_button(ui, Icon::Close, &label).clicked();
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = RichText::new(name.as_ref()).color(tokens.text_strong);
                ui.add(Label::new(text).truncate()).on_hover_text(path.display().to_string());
            });
            removed
        });
        inner.inner
    });
    inner.inner
}

/// What the rows of embedding and head begin with, and which of them learn.
fn rows(ui: &mut Ui, ctx: &PanelCtx<'_>, vocabulary: &mut VocabularyConfig) {
    field(ui, ctx.t(&words::BEGIN), ctx.t(&words::BEGIN_HELP), |ui| {
        let choices = [
            (InitialRows::Pieces, ctx.t(&words::BEGIN_PIECES)),
            (InitialRows::Mean, ctx.t(&words::BEGIN_MEAN)),
        ];
        one_of(ui, &mut vocabulary.initialise, &choices)
    });
    field(ui, ctx.t(&words::LEARN), ctx.t(&words::LEARN_HELP), |ui| {
        let choices = [
            (RowsTrained::New, ctx.t(&words::LEARN_NEW)),
            (RowsTrained::All, ctx.t(&words::LEARN_ALL)),
            (RowsTrained::None, ctx.t(&words::LEARN_NONE)),
        ];
        one_of(ui, &mut vocabulary.train, &choices)
    });
    if ctx.state.preferences.expert || vocabulary.pad_to_multiple_of > 0 {
        field(ui, ctx.t(&words::PAD), ctx.t(&words::PAD_HELP), |ui| {
            input::integer(ui, &mut vocabulary.pad_to_multiple_of, 0..=1 << 16, "")
        });
    }
}

fn one_of<T: Copy + PartialEq>(ui: &mut Ui, value: &mut T, choices: &[(T, &str)]) -> egui::Response {
    let inner = ui.horizontal(|ui| segmented(ui, *value, choices));
    if let Some(chosen) = inner.inner {
        *value = chosen;
    }
    inner.response
}

/// How much shorter the rows that are looked at become.
fn gain(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let page = &ctx.state.data.page;
    let told = page.value.as_ref().and_then(|page| page.source.vocabulary.as_ref());
    match told.filter(|_| page.error.is_none()) {
        Some(_) if page.is_pending() => hint(ui, ctx.t(&words::MEASURING)),
        Some(told) => ui.add(Label::new(RichText::new(ctx.t(told)).color(ui.tokens().accent)).wrap()),
        None if page.is_pending() => hint(ui, ctx.t(&words::MEASURING)),
        None if ctx.state.project.config.data.train.is_empty() => hint(ui, ctx.t(&words::NO_DATA)),
        None => return,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_line_with_something_on_it() {
        assert_eq!(listed("虚拟机\r\n\n  \n 容器\nplain text"), ["虚拟机", " 容器", "plain text"]);
    }
}

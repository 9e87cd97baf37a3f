//! The chat template, beside what it makes of the row.

use egui::{Align, ComboBox, Layout, RichText, Ui};
use protocol::{PreviewRow, PreviewSource};

use super::View;
use super::tokens::{rendering, two};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::code_edit::{CodeEdit, CodeLook};
use crate::widgets::token_view::RowKey;
use crate::widgets::{Icon, button, hint};
use crate::words::data as words;

/// The text under the cursor.
#[derive(Default)]
pub struct Editor {
    code: CodeEdit,
    draft: String,
    /// The setting that the draft was taken from, or written to.
    written: Option<String>,
}

/// Whether a setting is a template itself, not the name of one.
fn is_text(template: &str) -> bool {
    template.contains("{{") || template.contains("{%")
}

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, row: Option<(&PreviewRow, RowKey)>) {
    let none = PreviewSource::default();
    let source = ctx.state.data.page.value.as_ref().map_or(&none, |page| &page.source);
    two(
        ui,
        view,
        |ui, view| editor(ui, ctx, &mut view.template, source),
        |ui, view| match (&source.template_error, row) {
            (Some(error), _) => {
                let area = egui::ScrollArea::vertical().id_salt("template-error");
                area.show(ui, |ui| crate::widgets::error_box(ui, ctx, error));
            }
            (None, Some((row, key))) => rendering(ui, ctx, view, row, key),
            (None, None) => {}
        },
    );
}

fn editor(ui: &mut Ui, ctx: &PanelCtx<'_>, editor: &mut Editor, source: &PreviewSource) {
    let setting = &ctx.state.project.config.data.template;
    let own = is_text(setting);
    ui.horizontal(|ui| {
        chooser(ui, ctx, source);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| buttons(ui, ctx, source, own));
    });
    if !own && source.template_source.is_empty() {
        if source.template_error.is_none() {
            hint(ui, ctx.t(&words::NO_TEMPLATE));
        }
        return;
    }
    let error_line = source.template_error.as_ref().and_then(|error| error.place.row);
    let foot = ui.spacing().interact_size.y;
    let height = (ui.available_height() - foot - ui.spacing().item_spacing.y).max(40.0);
    let size = egui::vec2(ui.available_width(), height);
    ui.allocate_ui(size, |ui| {
        ui.set_min_size(size);
        ui.set_max_size(size);
        let look = CodeLook { name: ctx.t(&words::TEMPLATE_TEXT), editable: own, error_line };
        editor.text(ui, ctx, setting, source, &look);
    });
    foot_line(ui, ctx, editor, source, own);
}

impl Editor {
    fn text(
        &mut self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        setting: &str,
        source: &PreviewSource,
        look: &CodeLook<'_>,
    ) {
        if !look.editable {
            self.written = None;
            if self.draft != source.template_source {
                self.draft.clone_from(&source.template_source);
            }
            self.code.ui(ui, &mut self.draft, look);
            return;
        }
        // Changed elsewhere: by undo, or by opening a project.
        if self.written.as_deref() != Some(setting) {
            self.draft = setting.to_owned();
            self.written = Some(setting.to_owned());
        }
        if self.code.ui(ui, &mut self.draft, look) && is_text(&self.draft) {
            self.written = Some(self.draft.clone());
            set(ctx, &self.draft);
        }
    }
}

fn foot_line(ui: &mut Ui, ctx: &PanelCtx<'_>, editor: &Editor, source: &PreviewSource, own: bool) {
    let tokens = ui.tokens();
    let (text, colour) = if own && !is_text(&editor.draft) {
        (ctx.t(&words::NO_TAGS).to_owned(), tokens.warning)
    } else {
        match source.template_error.as_ref().map(|error| (error.place.row, ctx.t(&error.what))) {
            Some((Some(line), what)) => {
                let said = protocol::text!("line {line}: {what}", "第 {line} 行：{what}");
                (ctx.t(&said).to_owned(), tokens.error)
            }
            Some((None, what)) => (what.to_owned(), tokens.error),
            None => {
                let said = source.template_reason.as_ref().unwrap_or(&words::LINE_OK);
                (ctx.t(said).to_owned(), tokens.text_weak)
            }
        }
    };
    ui.horizontal(|ui| {
        let icon = if colour == tokens.text_weak { Icon::Check } else { Icon::Warning };
        icon.ui(ui, 13.0, colour);
        ui.add(egui::Label::new(RichText::new(text).small().color(colour)).truncate());
    });
}

fn set(ctx: &PanelCtx<'_>, template: &str) {
    let mut config = ctx.state.project.config.clone();
    config.data.template = template.to_owned();
    ctx.edit(config);
}

/// Which template: the model's, one that comes with the program, a file, or the user's own text.
fn chooser(ui: &mut Ui, ctx: &PanelCtx<'_>, source: &PreviewSource) {
    let setting = ctx.state.project.config.data.template.as_str();
    let presets = &ctx.state.engine.catalog.templates;
    let preset = presets.iter().find(|preset| preset.id == setting);
    // Without a template of its own the model has its family's.
    let known = source.template_reason.as_ref().and(source.template.as_deref());
    let known = known.and_then(|id| presets.iter().find(|preset| preset.id == id));
    let shown = if setting == "auto" {
        match known {
            Some(known) => {
                let protocol::Text { en, zh } = &known.name;
                ctx.t(&protocol::text!("Auto: {en}", "自动：{zh}")).to_owned()
            }
            None => ctx.t(&words::FROM_MODEL).to_owned(),
        }
    } else if is_text(setting) {
        ctx.t(&words::OWN_TEXT).to_owned()
    } else if let Some(preset) = preset {
        ctx.t(&preset.name).to_owned()
    } else {
        std::path::Path::new(setting).file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let combo = ComboBox::from_id_salt("template").selected_text(&shown).width(150.0).show_ui(ui, |ui| {
        if ui.selectable_label(setting == "auto", ctx.t(&words::FROM_MODEL)).clicked() {
            set(ctx, "auto");
        }
        for preset in presets {
            let label = ui.selectable_label(setting == preset.id, ctx.t(&preset.name));
            if label.on_hover_text(ctx.t(&preset.help)).clicked() {
                set(ctx, &preset.id);
            }
        }
        if ui.selectable_label(false, ctx.t(&words::FROM_FILE)).clicked() {
            let extensions = ["jinja", "j2", "txt", "json"].map(str::to_owned).to_vec();
            let purpose = Purpose::TemplateFile;
            ctx.push(Action::Desktop(DesktopRequest::PickFiles { purpose, extensions, many: false }));
        }
    });
    let name = ctx.t(&words::TEMPLATE);
    combo.response.widget_info(|| {
        let labelled = egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name);
        egui::WidgetInfo { current_text_value: Some(shown.clone()), ..labelled }
    });
    if let Some(from) = source.template.as_ref().filter(|from| from.len() < 200) {
        combo.response.on_hover_text(from);
    }
}

/// Drawn from right to left.
fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>, source: &PreviewSource, own: bool) {
    let setting = ctx.state.project.config.data.template.as_str();
    if setting != "auto" && button(ui, Some(Icon::Undo), ctx.t(&words::RESET)).clicked() {
        set(ctx, "auto");
    }
    let copy = is_text(&source.template_source);
    if !own && copy && button(ui, Some(Icon::Edit), ctx.t(&words::EDIT_COPY)).clicked() {
        set(ctx, &source.template_source);
    }
}

//! A text editor for templates: line numbers, colours, the line with the error.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align2, Color32, FontId, Galley, Margin, Rect, ScrollArea, TextBuffer, TextEdit, Ui, pos2};

use super::jinja::{self, Kind};
use crate::theme::{Tokens, UiTokens};

/// Room of the line numbers.
const GUTTER: f32 = 38.0;

/// What was coloured last.
#[derive(Default)]
pub struct CodeEdit {
    known: Option<(String, bool)>,
    job: LayoutJob,
    /// The line with the error that was shown last: a new one is scrolled to.
    revealed: Option<u64>,
}

/// What is shown beside the text.
pub struct CodeLook<'a> {
    /// Its accessible name.
    pub name: &'a str,
    pub editable: bool,
    /// 1-based line with an error.
    pub error_line: Option<u64>,
}

impl CodeEdit {
    /// True when the text was changed.
    pub fn ui(&mut self, ui: &mut Ui, text: &mut String, look: &CodeLook<'_>) -> bool {
        let tokens = ui.tokens();
        let fill = tokens.field;
        let frame = egui::Frame::new().fill(fill).corner_radius(6);
        frame
            .show(ui, |ui| {
                let area = ScrollArea::vertical().id_salt("code").auto_shrink(false);
                area.show(ui, |ui| self.edit(ui, text, look)).inner
            })
            .inner
    }

    fn edit(&mut self, ui: &mut Ui, text: &mut String, look: &CodeLook<'_>) -> bool {
        let tokens = ui.tokens();
        let ground = ui.painter().add(egui::Shape::Noop);
        let height = ui.available_height();
        let mut layouter =
            |ui: &Ui, buffer: &dyn TextBuffer, width: f32| self.galley(ui, buffer.as_str(), width);
        let mut shown = text.as_str();
        let edit = if look.editable {
            TextEdit::multiline(text).lock_focus(true)
        } else {
            TextEdit::multiline(&mut shown)
        };
        let output = edit
            .code_editor()
            .lock_focus(look.editable)
            .desired_width(f32::INFINITY)
            .min_size(egui::vec2(0.0, height))
            .background_color(Color32::TRANSPARENT)
            .frame(egui::Frame::NONE.inner_margin(Margin { left: GUTTER as i8, right: 8, top: 8, bottom: 8 }))
            .layouter(&mut layouter)
            .show(ui);
        let response = output.response.response;
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, look.editable, look.name)
        });
        let error = look.error_line;
        for (number, rect) in lines(&output.galley) {
            let rect = rect.translate(output.galley_pos.to_vec2());
            let bad = error == Some(number);
            if bad {
                let line = Rect::from_x_y_ranges(response.rect.x_range(), rect.y_range());
                ui.painter().set(ground, egui::Shape::rect_filled(line, 0.0, tokens.error_wash));
                if self.revealed != error {
                    ui.scroll_to_rect(line, None);
                }
            }
            let colour = if bad { tokens.error } else { tokens.text_faint };
            let at = pos2(output.galley_pos.x - 12.0, rect.top() + 1.0);
            if ui.is_rect_visible(Rect::from_min_max(pos2(at.x - GUTTER, rect.top()), rect.max)) {
                ui.painter().text(at, Align2::RIGHT_TOP, number.to_string(), FontId::monospace(11.0), colour);
            }
        }
        self.revealed = error;
        response.changed()
    }

    fn galley(&mut self, ui: &Ui, text: &str, width: f32) -> Arc<Galley> {
        let dark = ui.visuals().dark_mode;
        if self.known.as_ref().is_none_or(|(known, was_dark)| known != text || *was_dark != dark) {
            self.known = Some((text.to_owned(), dark));
            self.job = coloured(text, ui.tokens());
        }
        let mut job = self.job.clone();
        job.wrap.max_width = width;
        ui.fonts_mut(|fonts| fonts.layout_job(job))
    }
}

/// Number and place of the beginning of each line of the text.
fn lines(galley: &Galley) -> Vec<(u64, Rect)> {
    let mut number = 0;
    let mut begins = true;
    let mut lines = Vec::new();
    for row in &galley.rows {
        if begins {
            number += 1;
            lines.push((number, row.rect()));
        } else if let Some((_, rect)) = lines.last_mut() {
            // A long line is wrapped: it is one line still.
            rect.max.y = row.rect().max.y;
        }
        begins = row.ends_with_newline;
    }
    lines
}

fn coloured(text: &str, tokens: &Tokens) -> LayoutJob {
    let mut job = LayoutJob::default();
    for (range, kind) in jinja::highlight(text) {
        let colour = match kind {
            Kind::Plain => tokens.text_strong,
            Kind::Delimiter => tokens.accent,
            Kind::Comment => tokens.text_faint,
            Kind::String => tokens.series[2],
            Kind::Keyword => tokens.series[3],
            Kind::Number => tokens.series[4],
            Kind::Code => tokens.text,
            Kind::Filter => tokens.series[1],
        };
        let mut format = TextFormat::simple(FontId::monospace(12.5), colour);
        format.italics = kind == Kind::Comment;
        job.append(&text[range], 0.0, format);
    }
    job
}

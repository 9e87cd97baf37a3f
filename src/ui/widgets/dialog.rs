//! A dialog above everything else: its title, its body, and the row of buttons at its end.

use egui::{Align, Context, CornerRadius, Frame, Id, Label, Layout, RichText, ScrollArea, Stroke, Ui, Vec2};

use super::hint;
use crate::theme::{UiTokens, semibold};

/// Between the contents and the edge.
const MARGIN: i8 = 18;
const CORNER: u8 = 9;
/// What stays free of the window around it.
const AROUND: f32 = 24.0;
/// Between title, body and buttons.
const GAP: f32 = 12.0;
const BUTTONS: f32 = 30.0;

/// How a dialog looks before its contents are known.
#[derive(Debug)]
pub struct Dialog<'a> {
    id: &'static str,
    title: &'a str,
    help: &'a str,
    width: f32,
    height: Option<f32>,
}

impl<'a> Dialog<'a> {
    /// As wide as its contents may be, in points; a smaller window makes it smaller.
    pub fn new(id: &'static str, title: &'a str, width: f32) -> Self {
        Self { id, title, help: "", width, height: None }
    }

    /// One line below the title.
    pub fn help(self, help: &'a str) -> Self {
        Self { help, ..self }
    }

    /// The body is always so high where the window has room, and lays itself out in that. Otherwise it is as high as
    /// what it holds, and scrolls where the window is too low.
    pub fn height(self, height: f32) -> Self {
        Self { height: Some(height), ..self }
    }

    /// Draws it; `buttons` is laid out from the right, so the one that matters comes first. True when the user wants it
    /// closed: by Escape, or by a click beside it.
    pub fn show(self, egui: &Context, body: impl FnOnce(&mut Ui), buttons: impl FnOnce(&mut Ui)) -> bool {
        let window = egui.content_rect().size();
        let frame = frame(egui);
        let room = window - 2.0 * Vec2::splat(AROUND + f32::from(MARGIN));
        let shown = egui::Modal::new(Id::unique(self.id)).frame(frame).show(egui, |ui| {
            ui.set_width(self.width.min(room.x));
            self.head(ui);
            let left = room.y - ui.min_rect().height() - BUTTONS - 2.0 * GAP;
            ui.add_space(GAP);
            self.body(ui, left.max(80.0), body);
            ui.add_space(GAP - ui.spacing().item_spacing.y);
            let foot = Layout::right_to_left(Align::Center).with_main_wrap(true);
            ui.allocate_ui_with_layout(Vec2::new(ui.available_width(), BUTTONS), foot, buttons);
        });
        shown.should_close()
    }

    fn head(&self, ui: &mut Ui) {
        let title = RichText::new(self.title).family(semibold()).size(16.0);
        ui.add(Label::new(title.color(ui.tokens().text_strong)).wrap());
        if !self.help.is_empty() {
            hint(ui, self.help);
        }
    }

    fn body(&self, ui: &mut Ui, most: f32, body: impl FnOnce(&mut Ui)) {
        match self.height {
            Some(height) => {
                let size = Vec2::new(ui.available_width(), height.min(most));
                ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
                    ui.set_min_size(size);
                    body(ui);
                });
            }
            None => {
                // What the window has room for, and not what the dialog had in the frame before.
                let area = ScrollArea::vertical().id_salt(self.id).max_height(most).min_scrolled_height(most);
                area.auto_shrink([false, true]).show(ui, body);
            }
        }
    }
}

fn frame(egui: &Context) -> Frame {
    let tokens = egui.tokens();
    let shadow = egui.global_style().visuals.window_shadow;
    Frame::new()
        .fill(tokens.card)
        .stroke(Stroke::new(1.0, tokens.line))
        .corner_radius(CornerRadius::same(CORNER))
        .inner_margin(MARGIN)
        .shadow(shadow)
}

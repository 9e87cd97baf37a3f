//! Long work that waits its turn, moves, can be stopped, and comes to an end.

use egui::{RichText, Ui};
use protocol::Text;

use super::{Icon, button, card, error_box, hint, progress_line};
use crate::panels::PanelCtx;
use crate::state::{Progress, Requested};
use crate::theme::UiTokens;
use crate::words::work as words;

/// Work under way.
pub struct Work<'a> {
    pub progress: Option<&'a Progress>,
    /// Where it writes to, or what it is about.
    pub about: &'a str,
    /// It begins when the run under way ends. A wish to stop would end the run, and is not offered.
    pub waits: Option<&'a Text>,
    pub stop: &'a Text,
    pub stopping: bool,
}

impl Work<'_> {
    /// Whether it is to stop.
    pub fn ui(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) -> bool {
        card(ui, |ui| {
            match self.progress {
                Some(progress) => progress_line(ui, ctx, progress),
                None => {
                    let text = self.waits.unwrap_or(&words::BEGINS);
                    ui.label(RichText::new(ctx.t(text)).color(ui.tokens().text));
                }
            }
            if !self.about.is_empty() {
                hint(ui, self.about);
            }
            self.waits.is_none() && self.stop_button(ui, ctx)
        })
        .inner
    }

    fn stop_button(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) -> bool {
        let text = if self.stopping { &words::STOPPING } else { self.stop };
        ui.add_enabled_ui(!self.stopping, |ui| button(ui, Some(Icon::Stop), ctx.t(text)).clicked()).inner
    }
}

/// What came of work: why it failed, what it has made, or how far it is. `begins` stands there until it says so itself.
pub fn outcome<T>(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    work: &Requested<T>,
    begins: &Text,
    made: impl FnOnce(&mut Ui, &T),
) {
    if work.is_pending() {
        match &work.progress {
            Some(progress) => progress_line(ui, ctx, progress),
            None => drop(hint(ui, ctx.t(begins))),
        }
    } else if let Some(error) = &work.error {
        error_box(ui, ctx, error);
    } else if let Some(value) = &work.value {
        made(ui, value);
    }
}

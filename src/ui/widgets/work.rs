//! Long work that waits its turn, moves, and can be stopped.

use egui::{RichText, Ui};
use protocol::Text;

use super::{Icon, button, card, hint, progress_line};
use crate::panels::PanelCtx;
use crate::state::Progress;
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

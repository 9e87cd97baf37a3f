//! Long work: what, how far, how long yet.

use egui::{ProgressBar, RichText, Ui};

use super::number;
use crate::panels::PanelCtx;
use crate::state::Progress;
use crate::theme::UiTokens;
use protocol::Unit;

pub fn progress_line(ui: &mut Ui, ctx: &PanelCtx<'_>, progress: &Progress) {
    let mut text = ctx.t(&progress.stage).to_owned();
    if progress.total > 0 {
        let shown = match progress.unit {
            Unit::Count => number::count,
            Unit::Bytes => number::bytes,
        };
        text += &format!("  {} / {}", shown(progress.done), shown(progress.total));
    }
    if let Some(seconds) = progress.seconds_left {
        text += &format!("  ·  {}", ctx.t(&number::duration(seconds)));
    }
    ui.label(RichText::new(text).small().color(ui.tokens().text_weak));
    if progress.total > 0 {
        let part = progress.done as f32 / progress.total as f32;
        ui.add(ProgressBar::new(part.clamp(0.0, 1.0)).desired_height(4.0).fill(ui.tokens().accent));
    }
}

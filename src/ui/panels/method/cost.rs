//! What the settings cost, live: trainable parameters, the adapter on disk, memory beside full fine-tuning.

use egui::{Frame, Margin, RichText, Ui};

use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::number;
use crate::words::method as words;

/// What the last change of settings did to the memory.
#[derive(Default)]
pub struct Before {
    version: u64,
    total: u64,
    /// Bytes; None before the first change.
    change: Option<i128>,
}

impl Before {
    /// Takes in the newest estimate, once.
    fn update(&mut self, version: u64, total: u64) {
        if self.version == version {
            return;
        }
        if self.total > 0 && total > 0 && total != self.total {
            self.change = Some(i128::from(total) - i128::from(self.total));
        }
        self.version = version;
        self.total = total;
    }
}

pub fn strip(ui: &mut Ui, ctx: &PanelCtx<'_>, before: &mut Before) {
    let state = ctx.state;
    let Some(estimate) = state.estimate.value.as_deref() else { return };
    before.update(state.estimate.version, estimate.forecast.total);
    let stale =
        state.estimate.is_pending() || state.estimated_method.as_ref() != Some(&state.project.config.method);
    Frame::new().fill(ui.tokens().card).corner_radius(8).inner_margin(Margin::symmetric(14, 8)).show(
        ui,
        |ui| {
            ui.set_width(ui.available_width());
            if stale {
                ui.multiply_opacity(0.6);
            }
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                let share = number::percent(estimate.trainable, estimate.parameters);
                let detail = format!("({share})");
                figure(ui, ctx.t(&words::TRAINABLE), &number::count(estimate.trainable), &detail);
                ui.add_space(18.0);
                figure(ui, ctx.t(&words::ON_DISK), &number::bytes(estimate.adapter_bytes), "");
                ui.add_space(18.0);
                let total = estimate.forecast.total;
                figure(ui, ctx.t(&words::MEMORY), &number::bytes(total), &beside_full(ctx, total));
                if let Some(change) = before.change {
                    let (sign, colour) =
                        if change > 0 { ("+", ui.tokens().warning) } else { ("−", ui.tokens().success) };
                    let size = number::bytes(u64::try_from(change.unsigned_abs()).unwrap_or(u64::MAX));
                    let label = ui.label(RichText::new(format!("{sign}{size}")).small().color(colour));
                    label.on_hover_text(ctx.t(&words::LAST_CHANGE));
                }
            });
        },
    );
    ui.add_space(2.0);
}

fn figure(ui: &mut Ui, name: &str, value: &str, detail: &str) {
    let tokens = ui.tokens();
    ui.label(RichText::new(name).small().color(tokens.text_weak));
    ui.label(RichText::new(value).family(semibold()).color(tokens.text_strong));
    if !detail.is_empty() {
        ui.label(RichText::new(detail).small().color(tokens.text_weak));
    }
}

/// `7.1 GB less than full fine-tuning`
fn beside_full(ctx: &PanelCtx<'_>, total: u64) -> String {
    let full =
        ctx.state.full_cost.value.as_deref().filter(|_| ctx.state.project.config.method.kind != "full");
    let Some(full) = full.map(|full| full.forecast.total).filter(|full| *full > 0 && total > 0) else {
        return String::new();
    };
    let difference = number::bytes(full.abs_diff(total));
    let text = if full >= total {
        protocol::text!("{difference} less than full fine-tuning", "比全量微调少 {difference}")
    } else {
        protocol::text!("{difference} more than full fine-tuning", "比全量微调多 {difference}")
    };
    ctx.t(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_stands_until_the_next() {
        let mut before = Before::default();
        before.update(1, 100);
        assert_eq!(before.change, None);
        before.update(2, 160);
        before.update(2, 160);
        before.update(3, 160);
        assert_eq!(before.change, Some(60));
        before.update(4, 150);
        assert_eq!(before.change, Some(-10));
    }
}

//! How tokens are drawn.

use egui::{DragValue, Slider, Ui};
use protocol::Sampling;

use super::{Icon, field, icon_button, toggle};
use crate::panels::PanelCtx;
use crate::words::chat as words;

/// The temperature that comes back when greedy is switched off.
const WARM: f64 = 0.7;
/// Seeds stay within what JSON carries exactly.
const LARGEST_SEED: u64 = 1 << 31;

/// A form for all of them but the texts that end an answer.
pub fn sampling(ui: &mut Ui, ctx: &PanelCtx<'_>, sampling: &mut Sampling) {
    let mut greedy = sampling.temperature <= 0.0;
    if toggle(ui, &mut greedy, ctx.t(&words::GREEDY)).changed() {
        sampling.temperature = if greedy { 0.0 } else { WARM };
    }
    ui.add_enabled_ui(!greedy, |ui| {
        field(ui, ctx.t(&words::TEMPERATURE), ctx.t(&words::TEMPERATURE_HELP), |ui| {
            ui.add(Slider::new(&mut sampling.temperature, 0.0..=2.0).step_by(0.05).max_decimals(2))
        });
        field(ui, ctx.t(&words::TOP_P), ctx.t(&words::TOP_P_HELP), |ui| {
            ui.add(Slider::new(&mut sampling.top_p, 0.05..=1.0).step_by(0.01).max_decimals(2))
        });
        field(ui, ctx.t(&words::TOP_K), ctx.t(&words::TOP_K_HELP), |ui| {
            ui.add(DragValue::new(&mut sampling.top_k).range(0..=1000).speed(0.5))
        });
    });
    field(ui, ctx.t(&words::PENALTY), ctx.t(&words::PENALTY_HELP), |ui| {
        ui.add(Slider::new(&mut sampling.repetition_penalty, 1.0..=2.0).step_by(0.01).max_decimals(2))
    });
    longest_answer(ui, ctx, sampling);
    seed(ui, ctx, sampling);
}

/// The setting that even a greedy answer has.
pub fn longest_answer(ui: &mut Ui, ctx: &PanelCtx<'_>, sampling: &mut Sampling) {
    field(ui, ctx.t(&words::MAX_TOKENS), ctx.t(&words::MAX_TOKENS_HELP), |ui| {
        ui.add(DragValue::new(&mut sampling.max_new_tokens).range(1..=32_768).speed(4.0))
    });
}

fn seed(ui: &mut Ui, ctx: &PanelCtx<'_>, sampling: &mut Sampling) {
    ui.horizontal(|ui| {
        field(ui, ctx.t(&words::SEED), ctx.t(&words::SEED_HELP), |ui| {
            ui.add(DragValue::new(&mut sampling.seed).range(0..=LARGEST_SEED).speed(1.0))
        });
        if icon_button(ui, Icon::Refresh, ctx.t(&words::DICE)).clicked() {
            let time = ui.input(|input| input.time);
            sampling.seed = another(sampling.seed, time);
        }
    });
}

/// A seed that nobody chose: the old one and the time, well stirred (SplitMix64).
fn another(seed: u64, time: f64) -> u64 {
    let mut z = (seed ^ time.to_bits()).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % LARGEST_SEED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seed_is_another_one() {
        let seeds: std::collections::HashSet<_> = (0..50).map(|n| another(42, f64::from(n))).collect();
        assert!(seeds.len() == 50 && seeds.iter().all(|seed| *seed < LARGEST_SEED));
    }
}

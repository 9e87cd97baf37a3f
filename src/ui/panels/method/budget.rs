//! How much memory a run may take: what the device has, or a size.

use egui::{Response, RichText, Ui};
use protocol::UserError;
use protocol::config::TrainConfig;

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{card, error_box, field, hint, input, section, segmented};
use crate::words::method as words;

const KEY: &str = "train.memory_budget";
const AUTO: &str = "auto";
/// The size that is offered first where nobody knows what the device has.
const USUAL: &str = "8 GB";

/// Whether a problem is about the budget and nothing else: it stands at its field, and there alone.
pub fn is_its_own(problem: &UserError) -> bool {
    problem.place.item.as_deref() == Some(KEY)
}

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    section(ui, ctx.t(&words::MEMORY));
    card(ui, |ui| {
        field(ui, ctx.t(&words::BUDGET), ctx.t(&words::BUDGET_HELP), |ui| {
            ui.horizontal(|ui| size(ui, ctx, &mut train.memory_budget)).inner
        });
        let help = if is_auto(&train.memory_budget) { &words::BUDGET_AUTO_HELP } else { &words::BUDGET_HELP };
        hint(ui, ctx.t(help));
        for problem in ctx.state.problems_at(KEY) {
            if is_its_own(problem) {
                error_box(ui, ctx, problem);
            } else {
                // It stands in full above, because it is about other settings, too.
                let what = RichText::new(ctx.t(&problem.what)).small().color(ui.tokens().error);
                ui.add(egui::Label::new(what).wrap());
            }
        }
    });
    ui.add_space(4.0);
}

/// The choice, and the size beside it. A size is read when its field is left: half of one would be refused.
fn size(ui: &mut Ui, ctx: &PanelCtx<'_>, budget: &mut String) -> Response {
    let auto = is_auto(budget);
    let choices = [(true, ctx.t(&words::BUDGET_AUTO)), (false, ctx.t(&words::BUDGET_SIZE))];
    let inner = ui.horizontal(|ui| segmented(ui, auto, &choices));
    match inner.inner {
        Some(true) => AUTO.clone_into(budget),
        Some(false) => *budget = first_size(ctx),
        None => {}
    }
    if auto {
        return inner.response;
    }
    let (response, typed) = input::committed(ui, "budget", budget, 64.0);
    if let Some(typed) = typed {
        *budget = typed;
    }
    response
}

fn is_auto(budget: &str) -> bool {
    let budget = budget.trim();
    budget.is_empty() || budget.eq_ignore_ascii_case(AUTO)
}

/// What may be used now, in whole units.
fn first_size(ctx: &PanelCtx<'_>) -> String {
    let estimate = ctx.state.estimate.value.as_ref();
    match estimate.map_or(0, |estimate| estimate.forecast.available) {
        0 => USUAL.to_owned(),
        bytes => whole(bytes),
    }
}

fn whole(bytes: u64) -> String {
    if bytes >> 30 > 0 { format!("{} GB", bytes >> 30) } else { format!("{} MB", (bytes >> 20).max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_whole_and_never_more_than_there_is() {
        assert_eq!(whole(22 << 30 | 5), "22 GB");
        assert_eq!(whole(700 << 20), "700 MB");
        assert_eq!(whole(3), "1 MB");
        assert!(is_auto(" Auto ") && is_auto("") && !is_auto("8GB"));
    }
}

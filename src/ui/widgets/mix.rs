//! Several adapters at once: who joins, how much each counts, and who leaves.

use egui::{Align, Label, Layout, RichText, Ui, Vec2, WidgetInfo};
use protocol::text;

use super::{Icon, icon_button, input, run_menu};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::tuned::{Tuned, trains_whole_model};
use crate::theme::UiTokens;
use crate::words::chat as words;

/// How much an adapter can count: below 0, what it learned is taken away.
const WEIGHTS: std::ops::RangeInclusive<f64> = -10.0..=10.0;

/// A menu of all adapters that can join. `folder`: what an adapter's folder from elsewhere is chosen for, where it can be.
pub fn join_menu(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    tuned: &Tuned,
    folder: Option<Purpose>,
    action: impl Fn(Tuned) -> Action,
) {
    let name = ctx.t(&words::JOIN);
    let button = egui::Button::image(Icon::Plus.image(14.0, ui.tokens().text)).min_size(Vec2::splat(26.0));
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        ui.set_min_width(260.0);
        super::hint(ui, ctx.t(&words::JOIN_HELP));
        let adapters = ctx.state.runs.runs.iter().filter(|run| !trains_whole_model(run));
        run_menu(ui, ctx, adapters, |run, checkpoint| {
            let mut tuned = tuned.clone();
            if let Some(other) = Tuned::of_run(&run, checkpoint.as_deref()) {
                tuned.join(other);
            }
            action(tuned)
        });
        if let Some(purpose) = folder.clone() {
            ui.separator();
            if ui.button(ctx.t(&words::CHOOSE_FOLDER)).clicked() {
                let start = ctx.state.runs.dir.clone();
                ctx.push(Action::Desktop(DesktopRequest::PickFolder { purpose, start }));
                ui.close();
            }
        }
    });
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, ui.is_enabled(), name));
    response.on_hover_text(name);
}

/// A line for each of several adapters. Returns them as they are wanted, when that is otherwise.
pub fn members(ui: &mut Ui, ctx: &PanelCtx<'_>, tuned: &Tuned) -> Option<Tuned> {
    if tuned.mix.is_single() {
        return None;
    }
    let mut wanted = tuned.clone();
    let mut removed = None;
    for (index, (member, weight)) in tuned.members().enumerate() {
        let name = ctx.t(&member.label);
        let mut weighed = weight;
        if line(ui, ctx, name, member, &mut weighed) {
            removed = Some(index);
        }
        if let Some(place) = wanted.weight_mut(index) {
            *place = weighed;
        }
    }
    if let Some(index) = removed {
        wanted = wanted.without(index);
    }
    (wanted != *tuned).then_some(wanted)
}

/// Name, weight, and a way out; true when it was taken.
fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, name: &str, member: &Tuned, weight: &mut f64) -> bool {
    let inner = ui.horizontal(|ui| {
        let inner = ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let out = text!("leave {name} out", "移除 {name}");
            let removed = icon_button(ui, Icon::Close, ctx.t(&out)).clicked();
            let response = input::real(ui, weight, WEIGHTS);
            let label = text!("weight of {name}", "{name} 的权重");
            input::name_number(ui, &response, ctx.t(&label), *weight);
            response.on_hover_text(ctx.t(&words::WEIGHT_HELP));
            ui.label(RichText::new("×").color(ui.tokens().text_weak));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let label = ui.add(Label::new(RichText::new(name).color(ui.tokens().text)).truncate());
                if let Some(path) = member.path() {
                    label.on_hover_text(path.display().to_string());
                }
            });
            removed
        });
        inner.inner
    });
    inner.inner
}

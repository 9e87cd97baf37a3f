//! Notices at the lower edge, and the list of all of them.

use egui::{
    Align2, Area, Color32, Context, Frame, Id, Margin, Order, RichText, ScrollArea, Stroke, Ui, Vec2,
};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::toasts::{Level, Shown};
use crate::theme::{Tokens, UiTokens};
use crate::widgets::{Icon, error_box, icon_button};
use crate::words::frame as words;

/// Seconds that a notice stays; errors stay until they are dismissed.
const STAY: f64 = 6.0;

/// `right`: the width of what lies at the right, which toasts leave free.
pub fn ui(egui: &Context, ctx: &PanelCtx<'_>, right: f32) {
    let now = ctx.state.now;
    let visible =
        |shown: &&Shown| !shown.dismissed && (shown.toast.level == Level::Error || now - shown.since < STAY);
    let shown: Vec<_> = ctx.state.toasts.all.iter().filter(visible).rev().take(4).collect();
    if shown.is_empty() {
        return;
    }
    // Woken when the next one is to go.
    if let Some(next) =
        shown.iter().map(|shown| shown.since + STAY - now).filter(|left| *left > 0.0).reduce(f64::min)
    {
        egui.request_repaint_after(std::time::Duration::from_secs_f64(next + 0.05));
    }
    let area = Area::new(Id::unique("toasts")).order(Order::Foreground);
    area.anchor(Align2::RIGHT_BOTTOM, Vec2::new(-16.0 - right, -44.0)).show(egui, |ui| {
        ui.set_max_width(400.0);
        for shown in shown {
            toast(ui, ctx, shown);
        }
    });
}

fn toast(ui: &mut Ui, ctx: &PanelCtx<'_>, shown: &Shown) {
    let tokens = ui.tokens();
    let frame = Frame::new()
        .fill(tokens.card)
        .stroke(Stroke::new(1.0, tokens.line))
        .shadow(ui.visuals().popup_shadow)
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 9));
    frame.show(ui, |ui| {
        ui.horizontal_top(|ui| {
            let (icon, colour) = look(tokens, shown.toast.level);
            icon.ui(ui, 16.0, colour);
            ui.vertical(|ui| {
                ui.set_width(310.0);
                match &shown.toast.error {
                    Some(error) => error_box(ui, ctx, error),
                    None => {
                        ui.add(
                            egui::Label::new(RichText::new(ctx.t(&shown.toast.text)).color(tokens.text))
                                .wrap(),
                        );
                    }
                }
            });
            if icon_button(ui, Icon::Close, ctx.t(&words::CLOSE)).clicked() {
                ctx.push(Action::DismissToast(shown.id));
            }
        });
    });
    ui.add_space(6.0);
}

fn look(tokens: &Tokens, level: Level) -> (Icon, Color32) {
    match level {
        Level::Info => (Icon::Info, tokens.info),
        Level::Success => (Icon::Check, tokens.success),
        Level::Warning => (Icon::Warning, tokens.warning),
        Level::Error => (Icon::Error, tokens.error),
    }
}

/// Everything that was said, newest first.
pub fn list(egui: &Context, ctx: &PanelCtx<'_>, open: &mut bool) {
    if !*open {
        return;
    }
    egui::Window::new(ctx.t(&words::NOTICES))
        .id(Id::unique("notices"))
        .open(open)
        .anchor(Align2::RIGHT_BOTTOM, Vec2::new(-16.0, -44.0))
        .collapsible(false)
        .resizable(false)
        .default_width(420.0)
        .show(egui, |ui| {
            let all = &ctx.state.toasts.all;
            if all.is_empty() {
                ui.label(RichText::new(ctx.t(&words::NO_NOTICES)).color(ui.tokens().text_weak));
            }
            ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
                for shown in all.iter().rev() {
                    let (icon, colour) = look(ui.tokens(), shown.toast.level);
                    ui.horizontal_top(|ui| {
                        icon.ui(ui, 14.0, colour);
                        ui.vertical(|ui| match &shown.toast.error {
                            Some(error) => error_box(ui, ctx, error),
                            None => {
                                ui.add(egui::Label::new(ctx.t(&shown.toast.text)).wrap());
                            }
                        });
                    });
                }
            });
        });
}

//! The way through, at the left.

use egui::{Align2, Color32, FontId, Rect, Role, Sense, Ui, Vec2, WidgetInfo, pos2};

use crate::action::Action;
use crate::layout::Workspace;
use crate::panels::{PANELS, PanelCtx, PanelInfo, StepState};
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::icon::Icon;

pub const WIDTH: f32 = 148.0;
const ROW: f32 = 38.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, workspace: &Workspace) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.add_space(8.0);
    for info in PANELS.iter().filter(|info| info.step) {
        row(ui, ctx, info, workspace.is_visible(&info.panel_id()));
    }
    ui.add_space(10.0);
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 1.0), Sense::hover());
    ui.painter().rect_filled(rect.shrink2(Vec2::new(12.0, 0.0)), 0.0, ui.tokens().line);
    ui.add_space(10.0);
    for info in PANELS.iter().filter(|info| !info.step) {
        row(ui, ctx, info, workspace.is_visible(&info.panel_id()));
    }
}

fn row(ui: &mut Ui, ctx: &PanelCtx<'_>, info: &'static PanelInfo, active: bool) {
    let tokens = ui.tokens();
    let name = ctx.t(&info.name);
    let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, active, name));
    let fill = match (active, response.hovered() || response.has_focus()) {
        (true, _) => tokens.hover,
        (false, true) => tokens.card,
        (false, false) => Color32::TRANSPARENT,
    };
    let area = rect.shrink2(Vec2::new(8.0, 1.0));
    ui.painter().rect_filled(area, 6.0, fill);
    if active {
        let bar = Rect::from_min_size(pos2(area.left(), area.center().y - 8.0), Vec2::new(3.0, 16.0));
        ui.painter().rect_filled(bar, 1.5, tokens.accent);
    }
    let colour = if active { tokens.text_strong } else { tokens.text };
    let icon = Rect::from_center_size(pos2(area.left() + 22.0, area.center().y), Vec2::splat(17.0));
    info.icon.image(17.0, if active { tokens.accent } else { tokens.text_weak }).paint_at(ui, icon);
    let font = if active { FontId::new(13.5, semibold()) } else { FontId::proportional(13.5) };
    ui.painter().text(pos2(area.left() + 40.0, area.center().y), Align2::LEFT_CENTER, name, font, colour);
    mark(ui, tokens, (info.progress)(ctx.state), pos2(area.right() - 14.0, area.center().y));
    if response.on_hover_text(ctx.t(&info.help)).clicked() {
        ctx.push(Action::Open(info.panel_id()));
    }
}

/// How far a step is: by shape and colour, never by colour alone.
fn mark(ui: &Ui, tokens: &Tokens, state: StepState, centre: egui::Pos2) {
    let rect = Rect::from_center_size(centre, Vec2::splat(14.0));
    match state {
        StepState::Open => {}
        StepState::Busy => {
            ui.painter().circle_filled(centre, 4.0, tokens.accent);
        }
        StepState::Done => Icon::Check.image(14.0, tokens.success).paint_at(ui, rect),
        StepState::Warning => Icon::Warning.image(14.0, tokens.warning).paint_at(ui, rect),
        StepState::Problem => Icon::Error.image(14.0, tokens.error).paint_at(ui, rect),
    }
}

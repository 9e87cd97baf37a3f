//! Which columns, who speaks in them, and how answers are drawn.

use egui::{Align, Layout, RichText, Ui};
use protocol::Text;

use super::{Kept, columns};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::chat::ask::{Floor, is_plain, right};
use crate::state::chat::{ChatAction, Columns, Side};
use crate::state::train::RunPhase;
use crate::state::tuned::{Origin, Tuned, TunedKind};
use crate::theme::{UiTokens, semibold};
use crate::widgets::mix::{join_menu, members};
use crate::widgets::{Icon, hint, icon_button, menu_choice, notice, run_menu, segmented, toggle};
use crate::words::chat as words;

/// Below this width, as beside the plots, rows are broken in two.
pub(super) const NARROW: f32 = 600.0;
/// What the button takes by which others join.
const JOIN_WIDTH: f32 = 46.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, kept: &mut Kept) {
    let narrow = ui.available_width() < NARROW;
    ui.horizontal(|ui| {
        let choices = [
            (Columns::Both, ctx.t(&words::BOTH)),
            (Columns::Base, ctx.t(&words::BASE)),
            (Columns::Tuned, ctx.t(&words::TUNED)),
        ];
        if let Some(columns) = segmented(ui, ctx.state.chat.columns, &choices) {
            ctx.push(Action::Chat(ChatAction::Show(columns)));
        }
        if !narrow {
            ui.add_space(8.0);
            looks(ui, ctx, kept);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Sliders, ctx.t(&words::SETTINGS)).clicked() {
                kept.settings = !kept.settings;
            }
            if icon_button(ui, Icon::Trash, ctx.t(&words::CLEAR)).clicked() {
                ctx.push(Action::Chat(ChatAction::Clear));
            }
        });
    });
    if narrow {
        ui.horizontal(|ui| looks(ui, ctx, kept));
    }
}

/// How answers are drawn.
fn looks(ui: &mut Ui, ctx: &PanelCtx<'_>, kept: &mut Kept) {
    toggle(ui, &mut kept.formatted, ctx.t(&words::FORMATTED));
    ui.add_space(6.0);
    toggle(ui, &mut kept.tinted, ctx.t(&words::DIFFERENCES));
}

/// Who speaks in each column, and what one should know of them.
pub(super) fn heads(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    notices(ui, ctx);
    ui.add_space(2.0);
    let sides = columns(ctx);
    ui.columns(sides.len(), |uis| {
        for (ui, side) in uis.iter_mut().zip(&sides) {
            match side {
                Side::Base => {
                    ui.horizontal(|ui| base(ui, ctx));
                }
                Side::Tuned => {
                    ui.horizontal(|ui| tuned(ui, ctx));
                    several(ui, ctx);
                }
            }
        }
    });
}

/// What one should know before asking.
fn notices(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let state = ctx.state;
    let right = right(state);
    let origin = match &right {
        Some(tuned) => tuned.origin(state).into_owned(),
        None => Origin::of_project(state),
    };
    if is_plain(state, &origin) {
        notice(ui, ctx, &words::PLAIN);
    }
    let help = match Floor::of(state.train.phase) {
        Floor::Training if state.train.phase == RunPhase::Starting => Some(&words::STARTING_HELP),
        Floor::Training => Some(&words::LIVE_HELP),
        Floor::Paused => Some(&words::PAUSED_HELP).filter(|_| {
            state.chat.tuned.as_ref().is_none_or(|tuned| tuned.kind == TunedKind::Live) && right.is_some()
        }),
        Floor::Free => Some(&words::TWO_MODELS)
            .filter(|_| right.as_ref().is_some_and(|tuned| matches!(tuned.kind, TunedKind::Model(_)))),
    };
    if let Some(help) = help {
        hint(ui, ctx.t(help));
    }
}

fn name(ui: &mut Ui, icon: Icon, text: &str) {
    let tokens = ui.tokens();
    icon.ui(ui, 15.0, tokens.text_weak);
    ui.label(RichText::new(text).family(semibold()).color(tokens.text_strong));
}

fn base(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    name(ui, Icon::Model, ctx.t(&words::BASE));
    let right = right(ctx.state);
    let origin = right.as_ref().map(|tuned| tuned.origin(ctx.state).into_owned());
    let origin = origin.unwrap_or_else(|| Origin::of_project(ctx.state));
    let folder = origin.model.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let shown = RichText::new(folder.unwrap_or_default()).color(ui.tokens().text_weak);
    ui.add(egui::Label::new(shown).truncate()).on_hover_text(origin.model.path.display().to_string());
}

fn tuned(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    name(ui, Icon::Bolt, ctx.t(&words::TUNED));
    let right = right(ctx.state);
    let label = right.as_ref().map_or_else(|| words::NOBODY.clone(), Tuned::short_name);
    let button =
        egui::Button::image_and_text(Icon::ChevronDown.image(13.0, ui.tokens().text_weak), ctx.t(&label));
    ui.scope(|ui| {
        ui.set_max_width(ui.available_width() - JOIN_WIDTH);
        let (response, _) = egui::containers::menu::MenuButton::from_button(button.truncate()).ui(ui, |ui| {
            ui.set_min_width(260.0);
            pick(ui, ctx);
        });
        if let Some(path) = right.as_ref().and_then(Tuned::path) {
            response.on_hover_text(path.display().to_string());
        }
    });
    if let Some(tuned) = right.filter(Tuned::takes_others) {
        join_menu(ui, ctx, &tuned, Some(Purpose::JoinFolder), speak_to);
    }
}

/// Those who speak together, each with a weight.
fn several(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let Some(tuned) = right(ctx.state).filter(|tuned| !tuned.mix.is_single()) else { return };
    let mut wanted = members(ui, ctx, &tuned).unwrap_or_else(|| tuned.clone());
    ui.horizontal(|ui| {
        toggle(ui, &mut wanted.mix.merged, ctx.t(&words::MERGED)).on_hover_text(ctx.t(&words::MERGED_HELP));
    });
    if wanted != tuned {
        ctx.push(speak_to(wanted));
    }
}

fn speak_to(tuned: Tuned) -> Action {
    Action::Chat(ChatAction::Use(Box::new(tuned)))
}

/// Everybody who can speak at the right.
fn pick(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let state = ctx.state;
    if state.train.is_active() {
        menu_choice(ui, ctx, ctx.t(&words::LIVE), || Action::Chat(ChatAction::UseLive));
        ui.separator();
    }
    let runs = || state.runs.runs.iter().filter(|run| run.result.is_some() || !run.checkpoints.is_empty());
    if runs().next().is_none() {
        hint(ui, ctx.t(&words::NO_RUNS));
    }
    run_menu(ui, ctx, runs(), |run, checkpoint| Action::Chat(ChatAction::UseRun { run, checkpoint }));
    ui.separator();
    if ui.button(ctx.t(&words::CHOOSE_FOLDER)).clicked() {
        let start = state.runs.dir.clone();
        ctx.push(Action::Desktop(DesktopRequest::PickFolder { purpose: Purpose::AdapterFolder, start }));
        ui.close();
    }
}

/// Where the engine's finish lies among our words.
pub(super) fn finish(reason: &str) -> Option<&'static Text> {
    match reason {
        "end-token" => Some(&words::FINISH_END),
        "stop-text" => Some(&words::FINISH_STOP_TEXT),
        "length" => Some(&words::FINISH_LENGTH),
        "stopped" => Some(&words::FINISH_STOPPED),
        _ => None,
    }
}

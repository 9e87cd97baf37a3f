//! Which model is meant: a run's result, a checkpoint, an adapter's folder, or the model as it was.

use egui::{RichText, Ui};
use protocol::Text;

use super::mix::{join_menu, members};
use super::{Icon, hint, menu_choice, run_menu};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::toasts::{Level, Toast};
use crate::state::tuned::{Tuned, TunedKind};
use crate::theme::UiTokens;
use crate::words::chat::CHOOSE_FOLDER;
use crate::words::export as words;

/// What can be chosen, and what becomes of the choice.
pub struct Source<'a> {
    pub current: Option<&'a Tuned>,
    /// Whether the project's model itself can be chosen.
    pub base: bool,
    /// Whether the model of the run under way can be.
    pub live: bool,
    /// What an adapter's folder is chosen for, where it can be.
    pub folder: Option<Purpose>,
    pub choose: &'a dyn Fn(Tuned) -> Action,
}

impl Source<'_> {
    /// The choice, the adapters that join it, and where it lies.
    pub fn ui(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        ui.horizontal(|ui| {
            self.menu(ui, ctx);
            if let Some(current) = self.current.filter(|current| current.takes_others()) {
                join_menu(ui, ctx, current, None, self.choose);
            }
            self.base_of(ui, ctx);
        });
        let Some(current) = self.current else { return };
        if let Some(wanted) = members(ui, ctx, current) {
            ctx.push((self.choose)(wanted));
        }
        if let Some(path) = current.path().filter(|_| current.mix.is_single()) {
            let path = path.display().to_string();
            let text = RichText::new(&path).small().color(ui.tokens().text_weak);
            ui.add(egui::Label::new(text).truncate()).on_hover_text(path);
        }
    }

    /// The choice alone, as a button with a menu.
    pub fn menu(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let label = self.current.map_or_else(|| words::NOBODY.clone(), Tuned::short_name);
        let icon = Icon::ChevronDown.image(13.0, ui.tokens().text_weak);
        let button = egui::Button::image_and_text(icon, ctx.t(&label));
        egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
            ui.set_min_width(240.0);
            self.entries(ui, ctx);
        });
    }

    /// `on Qwen2.5-0.5B`
    fn base_of(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let adapter = self.current.filter(|current| matches!(current.kind, TunedKind::Adapter(_)));
        let Some(origin) = adapter.map(|current| current.origin(ctx.state)) else { return };
        if let Some(base) = origin.model.path.file_name() {
            let text = format!("{} {}", ctx.t(&words::ON_BASE), base.to_string_lossy());
            let label = egui::Label::new(RichText::new(text).color(ui.tokens().text_weak)).truncate();
            ui.add(label).on_hover_text(origin.model.path.display().to_string());
        }
    }

    fn entries(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let state = ctx.state;
        let offer = |ui: &mut Ui, text: &str, tuned: &Tuned| {
            menu_choice(ui, ctx, text, || (self.choose)(tuned.clone()));
        };
        if self.live && state.train.is_active() {
            let live = Tuned::live();
            offer(ui, ctx.t(&live.label), &live);
        }
        let chat = state.chat.tuned.as_ref().filter(|tuned| tuned.kind != TunedKind::Live);
        if let Some(chat) = chat.filter(|tuned| Some(*tuned) != self.current) {
            offer(ui, &format!("{}: {}", ctx.t(&words::FROM_CHAT), ctx.t(&chat.name())), chat);
        }
        if let Some(base) = Tuned::base(state).filter(|_| self.base) {
            let name = ctx.t(&base.label);
            let text = protocol::text!("Untuned: {name}", "未微调：{name}");
            offer(ui, ctx.t(&text), &base);
        }
        let runs =
            || state.runs.runs.iter().filter(|run| run.result.is_some() || !run.checkpoints.is_empty());
        if runs().next().is_some() {
            ui.separator();
        } else {
            hint(ui, ctx.t(&crate::words::chat::NO_RUNS));
        }
        run_menu(ui, ctx, runs(), |run, checkpoint| match Tuned::of_run(&run, checkpoint.as_deref()) {
            Some(tuned) => (self.choose)(tuned),
            None => Action::Toast(Toast::new(Level::Warning, NOTHING_THERE.clone())),
        });
        if let Some(purpose) = self.folder.clone() {
            ui.separator();
            if ui.button(ctx.t(&CHOOSE_FOLDER)).clicked() {
                let start = state.runs.dir.clone();
                ctx.push(Action::Desktop(DesktopRequest::PickFolder { purpose, start }));
                ui.close();
            }
        }
    }
}

static NOTHING_THERE: Text = Text::fixed(
    "There is nothing here yet: the run has no result, or it is a full fine-tune, whose checkpoints are no models",
    "暂时没有可用的模型：该训练尚无结果；若为全量微调，其检查点不是完整模型",
);

//! How the model is trained: the method and its targets, the optimizer and the schedule.

mod budget;
mod catalogue;
mod cost;
mod curve;
mod devices;
mod recipes;
mod samples;
mod settings;
mod targets;
mod training;

use egui::{Align, Key, Layout, ScrollArea, Ui};
use protocol::{RunConfig, Text, UserError};

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::state::AppState;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::{button, error_whole, heading, hint, segmented, tall_column, toggle};
use crate::words::method as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "method",
    name: Text::fixed("Method", "方法"),
    help: Text::fixed("Choose how to train, and what", "选择训练方法与训练范围"),
    icon: Icon::Method,
    shortcut: Key::Num3,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    if state.project.config.model.path.as_os_str().is_empty() {
        return StepState::Open;
    }
    let estimate = state.estimate.value.as_deref();
    if state.estimate.error.is_some() || estimate.is_some_and(|estimate| !estimate.problems.is_empty()) {
        return StepState::Problem;
    }
    match estimate {
        None if state.estimate.is_pending() => StepState::Busy,
        None => StepState::Open,
        Some(estimate) if estimate.forecast.available > 0 && !estimate.forecast.fits => StepState::Problem,
        Some(_) => StepState::Done,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Tab {
    #[default]
    Method,
    Training,
}

#[derive(Default)]
struct View {
    tab: Tab,
    targets: targets::TargetsPart,
    before: cost::Before,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let mut config = ctx.state.project.config.clone();
        self.top(ui, ctx, &mut config);
        cost::strip(ui, ctx, &mut self.before);
        self.problems(ui, ctx);
        match self.tab {
            Tab::Method => self.method(ui, ctx, &mut config),
            Tab::Training => training::ui(ui, ctx, &mut config),
        }
        ctx.edit(config);
    }

    fn save(&self) -> serde_json::Value {
        (self.tab == Tab::Training).into()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        self.tab = if saved.as_bool() == Some(true) { Tab::Training } else { Tab::Method };
    }
}

impl View {
    /// All that the engine has against the settings, whole; but for what stands at its own setting.
    fn problems(&self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let elsewhere = |problem: &UserError| {
            self.tab == Tab::Training && (budget::is_its_own(problem) || devices::is_its_own(problem))
        };
        let mut all = ctx.state.estimate_problems();
        all.retain(|problem| !elsewhere(problem));
        if all.is_empty() {
            return;
        }
        let most = ui.available_height() * 0.4;
        ScrollArea::vertical().id_salt("problems").max_height(most).show(ui, |ui| {
            for problem in all {
                error_whole(ui, ctx, problem);
            }
        });
    }

    /// Which part is shown, the recipes, and how much is shown of it.
    fn top(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
        let beside = ui.available_width() > 740.0;
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                heading(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help));
            });
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                recipes::menu(ui, ctx, config);
                let mut expert = ctx.state.preferences.expert;
                if toggle(ui, &mut expert, ctx.t(&words::EXPERT)).changed() {
                    let preferences =
                        crate::persisted::Preferences { expert, ..ctx.state.preferences.clone() };
                    ctx.push(Action::Preferences(Box::new(preferences)));
                }
                if beside {
                    ui.add_space(6.0);
                    self.tabs(ui, ctx);
                }
            });
        });
        if !beside {
            self.tabs(ui, ctx);
        }
        ui.add_space(2.0);
    }

    fn tabs(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let tabs = [(Tab::Method, ctx.t(&words::TAB_METHOD)), (Tab::Training, ctx.t(&words::TAB_TRAINING))];
        if let Some(tab) = segmented(ui, self.tab, &tabs) {
            self.tab = tab;
        }
    }

    fn method(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
        let methods = &ctx.state.engine.catalog.methods;
        catalogue::names(ui, ctx, config);
        let Some(method) = methods.iter().find(|method| method.id == ctx.state.project.config.method.kind)
        else {
            hint(ui, ctx.t(&words::UNKNOWN_METHOD));
            return;
        };
        let has_targets = targets::targets_spec(method).is_some();
        let wide = ui.available_width() > 700.0;
        if wide && has_targets {
            let height = ui.available_height();
            ui.horizontal_top(|ui| {
                let form = 300.0;
                let rest = ui.available_width() - form - 12.0;
                tall_column(ui, form, height, |ui| {
                    ScrollArea::vertical().id_salt("form").auto_shrink(false).show(ui, |ui| {
                        settings::form(ui, ctx, method, config);
                    });
                });
                ui.add_space(4.0);
                tall_column(ui, rest, height, |ui| self.tree(ui, ctx, method, config));
            });
        } else {
            ScrollArea::vertical().id_salt("narrow").auto_shrink(false).show(ui, |ui| {
                settings::form(ui, ctx, method, config);
                if has_targets {
                    tall_column(ui, ui.available_width(), 460.0, |ui| self.tree(ui, ctx, method, config));
                } else {
                    hint(ui, ctx.t(&words::ALL_TRAINED));
                }
            });
        }
    }

    fn tree(
        &mut self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        method: &protocol::Descriptor,
        config: &mut RunConfig,
    ) {
        match ctx.state.model.value.as_deref() {
            Some(report) => self.targets.ui(ui, ctx, method, report, config),
            None => {
                ui.label(egui::RichText::new(ctx.t(&words::NO_MODEL)).color(ui.tokens().text_weak));
                if button(ui, Some(Icon::Model), ctx.t(&words::GO_MODEL)).clicked() {
                    ctx.push(Action::Open(super::model::PANEL.panel_id()));
                }
            }
        }
    }
}

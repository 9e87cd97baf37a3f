//! Which suite, on which data, and who is asked.

use std::path::Path;

use egui::{Label, RichText, Ui};

use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::evaluate::{EvaluateAction, EvaluateChoices, can_compare, request, suite};
use crate::state::tuned::Tuned;
use crate::theme::UiTokens;
use crate::widgets::source::Source;
use crate::widgets::{Icon, button, card, field, form, hint, input, primary_button, section, toggle};
use crate::words::evaluate as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut choices = ctx.state.evaluate.choices.clone();
    ui.add_enabled_ui(!ctx.state.evaluate.is_busy(), |ui| {
        card(ui, |ui| which(ui, ctx, &mut choices));
        card(ui, |ui| who(ui, ctx, &mut choices));
        card(ui, |ui| settings(ui, ctx, &mut choices));
    });
    if choices != ctx.state.evaluate.choices {
        ctx.push(Action::Evaluate(EvaluateAction::Choose(Box::new(choices))));
    }
}

/// The button, or why it waits.
pub(super) fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let state = ctx.state;
    let wanted = request(state);
    let at_work = state.is_at_work();
    let ready = state.engine.is_ready() && !at_work && wanted.is_some();
    let help = match (&wanted, state.train.is_active()) {
        (Some(_), _) if at_work => Some(&crate::words::work::ANOTHER),
        (None, _) => Some(&words::NO_DATA),
        (Some(_), true) => Some(&words::WAITS_BEFORE),
        (Some(_), false) => None,
    };
    if let Some(help) = help.filter(|_| !state.evaluate.is_busy()) {
        hint(ui, ctx.t(help));
    }
    if primary_button(ui, Some(Icon::Gauge), ctx.t(&words::START), ready).clicked() {
        ctx.push(Action::Evaluate(EvaluateAction::Start));
    }
}

fn which(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut EvaluateChoices) {
    section(ui, ctx.t(&words::SUITE));
    let Some(chosen) = suite(ctx.state) else { return };
    let mut id = chosen.id.clone();
    let suites = &ctx.state.engine.catalog.suites;
    let named = suites.iter().map(|suite| (suite.id.as_str(), ctx.t(&suite.name), ctx.t(&suite.help)));
    let response = input::choice(ui, "suite", &mut id, named);
    let enabled = response.enabled();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, enabled, ctx.t(&words::SUITE)));
    if id != chosen.id {
        choices.suite.clone_from(&id);
    }
    hint(ui, ctx.t(&chosen.help));
    ui.add_space(2.0);
    data(ui, ctx, choices.data.get(&id).map(std::path::PathBuf::as_path));
}

fn data(ui: &mut Ui, ctx: &PanelCtx<'_>, path: Option<&Path>) {
    section(ui, ctx.t(&words::DATA));
    if let Some(path) = path {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let text = RichText::new(name.as_ref()).color(ui.tokens().text_strong);
        ui.add(Label::new(text).truncate()).on_hover_text(path.display().to_string());
    }
    ui.horizontal(|ui| {
        if button(ui, Some(Icon::Folder), ctx.t(&words::FOLDER)).clicked() {
            let start = path.and_then(Path::parent).map(Path::to_path_buf);
            let purpose = Purpose::EvaluationFolder;
            ctx.push(Action::Desktop(DesktopRequest::PickFolder { purpose, start }));
        }
        if button(ui, Some(Icon::File), ctx.t(&words::FILE)).clicked() {
            let purpose = Purpose::EvaluationFile;
            let request = DesktopRequest::PickFiles { purpose, extensions: Vec::new(), many: false };
            ctx.push(Action::Desktop(request));
        }
    });
}

fn who(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut EvaluateChoices) {
    section(ui, ctx.t(&words::MODEL));
    let chosen = Tuned::or_newest(ctx.state.evaluate.source.as_ref(), ctx.state);
    let choose = |tuned| Action::Evaluate(EvaluateAction::Use(Box::new(tuned)));
    let folder = Some(Purpose::EvaluationAdapter);
    Source { current: chosen.as_ref(), base: true, live: false, folder, choose: &choose }.ui(ui, ctx);
    let able = chosen.is_some_and(|chosen| can_compare(&chosen.on(protocol::ModelRef::default())));
    if able {
        toggle(ui, &mut choices.compare, ctx.t(&words::COMPARE)).on_hover_text(ctx.t(&words::COMPARE_HELP));
    }
}

fn settings(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut EvaluateChoices) {
    section(ui, ctx.t(&words::SETTINGS));
    let expert = ctx.state.preferences.expert;
    if let Some(suite) = suite(ctx.state) {
        let mut values = choices.settings.get(&suite.id).cloned().unwrap_or_default();
        let before = values.clone();
        let shown =
            suite.params.iter().filter(|param| expert || !param.advanced || values_has(&before, param));
        form::settings(ui, ctx, shown, &mut values);
        if values != before {
            choices.settings.insert(suite.id.clone(), values);
        }
    }
    field(ui, ctx.t(&words::LIMIT), ctx.t(&words::LIMIT_HELP), |ui| {
        input::integer(ui, &mut choices.limit, 0..=1_000_000, "")
    });
    if expert || choices.batch_tokens > 0 {
        field(ui, ctx.t(&words::BATCH_TOKENS), ctx.t(&words::BATCH_TOKENS_HELP), |ui| {
            input::integer(ui, &mut choices.batch_tokens, 0..=1 << 24, "")
        });
    }
}

/// What was set is shown, whoever set it.
fn values_has(values: &serde_json::Map<String, serde_json::Value>, param: &protocol::ParamSpec) -> bool {
    values.contains_key(&param.key)
}

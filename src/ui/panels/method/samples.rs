//! Prompts that the model answers at each evaluation.

use egui::Ui;
use protocol::config::TrainConfig;

use crate::panels::PanelCtx;
use crate::widgets::icon::Icon;
use crate::widgets::{button, field, hint, icon_button, input};
use crate::words::method as words;

pub fn list(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    hint(ui, ctx.t(&words::SAMPLES_HELP));
    let mut removed = None;
    for (index, sample) in train.samples.iter_mut().enumerate() {
        ui.horizontal(|ui| {
            let width = ui.available_width() - 60.0;
            let salt = format!("sample-{index}");
            let response = input::text(ui, &salt, sample, ctx.t(&words::SAMPLE_HINT), width);
            let name = format!("{} {}", ctx.t(&words::SAMPLE), index + 1);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, name.as_str()));
            let remove = format!("{} {name}", ctx.t(&words::REMOVE));
            if icon_button(ui, Icon::Trash, &remove).clicked() {
                removed = Some(index);
            }
        });
    }
    if let Some(index) = removed {
        train.samples.remove(index);
    }
    // An empty prompt waits for its words: no second one beside it.
    let waiting = train.samples.last().is_some_and(|sample| sample.trim().is_empty());
    ui.add_enabled_ui(!waiting, |ui| {
        if button(ui, Some(Icon::Plus), ctx.t(&words::ADD_SAMPLE)).clicked() {
            train.samples.push(String::new());
        }
    });
    if !train.samples.is_empty() {
        field(ui, ctx.t(&words::SAMPLE_TOKENS), ctx.t(&words::SAMPLE_TOKENS_HELP), |ui| {
            input::integer(ui, &mut train.sample_tokens, 1..=4096, ctx.t(&words::TOKENS_UNIT))
        });
    }
}

//! Which devices share the run, and how. Only where there is more than one to choose from.

use egui::{RichText, Ui};
use protocol::config::{Parallel, TrainConfig};
use protocol::{DeviceForecast, DeviceReport, UserError};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{card, error_box, hint, number, section, segmented, toggle};
use crate::words::method as words;

const KEYS: [&str; 2] = ["train.devices", "train.parallel"];

/// Whether a problem is about the devices and nothing else: it stands here, and here alone.
pub fn is_its_own(problem: &UserError) -> bool {
    problem.place.item.as_deref().is_some_and(|item| KEYS.contains(&item))
}

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    let offered = offered(&ctx.state.engine.devices, &train.devices);
    if offered.len() < 2 && train.devices.is_empty() {
        return;
    }
    section(ui, ctx.t(&words::DEVICES));
    card(ui, |ui| {
        for (word, report) in &offered {
            one(ui, ctx, train, word, *report);
        }
        let count = train.devices.len();
        if count < 2 {
            hint(ui, ctx.t(&words::DEVICES_HELP));
        } else {
            sharing(ui, ctx, &mut train.parallel);
        }
        for problem in KEYS.iter().flat_map(|key| ctx.state.problems_at(key)).filter(|it| is_its_own(it)) {
            error_box(ui, ctx, problem);
        }
    });
    ui.add_space(4.0);
}

/// What the engine offers, and what the run file names beside that: from another machine, or workers of the CPU.
fn offered<'a>(devices: &'a [DeviceReport], wanted: &[String]) -> Vec<(String, Option<&'a DeviceReport>)> {
    let mut all: Vec<_> = devices.iter().map(|report| (report.word(), Some(report))).collect();
    for word in wanted {
        if all.iter().all(|(known, _)| known != word) {
            all.push((word.clone(), None));
        }
    }
    all
}

/// A device with its name and memory, and what the run would take of it.
fn one(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig, word: &str, report: Option<&DeviceReport>) {
    let mut on = train.devices.iter().any(|wanted| wanted == word);
    let name = match report {
        Some(report) => format!("{word}: {}, {}", report.name, number::bytes(report.memory_bytes)),
        None => word.to_owned(),
    };
    ui.horizontal_wrapped(|ui| {
        if toggle(ui, &mut on, &name).changed() {
            train.devices = chosen(&ctx.state.engine.devices, &train.devices, word, on);
        }
        let estimate = ctx.state.estimate.value.as_deref();
        let parts = estimate.map(|estimate| estimate.forecast.devices.as_slice()).unwrap_or_default();
        if let Some(part) = parts.iter().find(|part| on && part.device == word) {
            needs(ui, ctx, part);
        }
    });
}

fn needs(ui: &mut Ui, ctx: &PanelCtx<'_>, part: &DeviceForecast) {
    let tokens = ui.tokens();
    let full = part.available > 0 && part.total > part.available;
    let colour = if full { tokens.error } else { tokens.text_weak };
    let mut text = format!("{} {}", ctx.t(&words::DEVICE_NEEDS), number::bytes(part.total));
    if part.blocks > 0 {
        text = format!("{text}, {} {}", part.blocks, ctx.t(&words::DEVICE_LAYERS));
    }
    ui.label(RichText::new(text).small().color(colour));
}

/// With `word` on or off; in the engine's order, so that the first device is the same whatever was clicked first.
fn chosen(devices: &[DeviceReport], before: &[String], word: &str, on: bool) -> Vec<String> {
    let mut names: Vec<String> = before.iter().filter(|name| *name != word).cloned().collect();
    if on {
        names.push(word.to_owned());
    }
    let place = |name: &String| devices.iter().position(|report| report.word() == *name);
    names.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
    names
}

fn sharing(ui: &mut Ui, ctx: &PanelCtx<'_>, parallel: &mut Parallel) {
    let choices = [
        (Parallel::Auto, ctx.t(&words::SHARE_AUTO)),
        (Parallel::Data, ctx.t(&words::SHARE_ROWS)),
        (Parallel::Layers, ctx.t(&words::SHARE_LAYERS)),
    ];
    if let Some(choice) = ui.horizontal_wrapped(|ui| segmented(ui, *parallel, &choices)).inner {
        *parallel = choice;
    }
    let help = match parallel {
        Parallel::Auto => &words::SHARE_AUTO_HELP,
        Parallel::Data => &words::SHARE_ROWS_HELP,
        Parallel::Layers => &words::SHARE_LAYERS_HELP,
    };
    hint(ui, ctx.t(help));
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DeviceKind;

    fn card(index: u32) -> DeviceReport {
        DeviceReport { kind: DeviceKind::Cuda, index, name: "GPU".into(), memory_bytes: 8 << 30, note: None }
    }

    #[test]
    fn devices_keep_the_engines_order() {
        let cards = [card(0), card(1), card(2)];
        let two = chosen(&cards, &["cuda:2".into()], "cuda:0", true);
        assert_eq!(two, ["cuda:0", "cuda:2"]);
        assert_eq!(chosen(&cards, &two, "cuda:2", false), ["cuda:0"]);
        assert_eq!(chosen(&cards, &["cuda:7".into()], "cuda:1", true), ["cuda:1", "cuda:7"]);
    }

    #[test]
    fn what_a_run_file_names_can_be_taken_away() {
        let known: Vec<String> = offered(&[card(0)], &["cuda:0".into(), "cuda:5".into()])
            .into_iter()
            .map(|(word, _)| word)
            .collect();
        assert_eq!(known, ["cuda:0", "cuda:5"]);
    }
}

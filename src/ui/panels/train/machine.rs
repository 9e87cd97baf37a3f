//! The device at work, and where the time of a step goes.

use egui::{Color32, Rect, RichText, Sense, Ui, Vec2, pos2};
use protocol::{DeviceStats, Phases, Text};

use crate::panels::PanelCtx;
use crate::state::monitor::WINDOW;
use crate::theme::UiTokens;
use crate::widgets::plot::sparkline;
use crate::widgets::{Icon, number, section};
use crate::words::train as words;

/// A reading with its course over the last two minutes.
struct Gauge {
    icon: Icon,
    name: &'static Text,
    value: String,
    /// The greatest that can be, where it is known.
    most: Option<f64>,
    of: fn(&DeviceStats) -> Option<f64>,
}

pub fn device(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    section(ui, ctx.t(&words::DEVICE));
    let Some(stats) = ctx.state.engine.stats else {
        ui.label(RichText::new(ctx.t(&words::NO_STATS)).small().color(ui.tokens().text_weak));
        return;
    };
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 18.0;
        for gauge in gauges(&stats) {
            line(ui, ctx, &gauge);
        }
    });
}

fn gauges(stats: &DeviceStats) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    if let Some(part) = stats.utilization.filter(|part| part.is_finite()) {
        gauges.push(Gauge {
            icon: Icon::Bolt,
            name: &words::UTILIZATION,
            value: format!("{:.0} %", part * 100.0),
            most: Some(1.0),
            of: |stats| stats.utilization,
        });
    }
    if stats.memory_total > 0 {
        let total = number::bytes(stats.memory_total);
        let used = used_of(stats.memory_used, &total);
        gauges.push(Gauge {
            icon: Icon::Memory,
            name: &words::DEVICE_MEMORY,
            value: used,
            most: Some(stats.memory_total as f64),
            of: |stats| Some(stats.memory_used as f64),
        });
    }
    if let Some(celsius) = stats.temperature_celsius.filter(|celsius| celsius.is_finite()) {
        gauges.push(Gauge {
            icon: Icon::Thermometer,
            name: &words::TEMPERATURE,
            value: format!("{celsius:.0} °C"),
            most: Some(110.0),
            of: |stats| stats.temperature_celsius,
        });
    }
    if let Some(watts) = stats.power_watts.filter(|watts| watts.is_finite()) {
        gauges.push(Gauge {
            icon: Icon::Power,
            name: &words::POWER,
            value: format!("{watts:.0} W"),
            most: None,
            of: |stats| stats.power_watts,
        });
    }
    if stats.process_bytes > 0 {
        gauges.push(Gauge {
            icon: Icon::Layers,
            name: &words::PROCESS,
            value: number::bytes(stats.process_bytes),
            most: None,
            of: |stats| Some(stats.process_bytes as f64),
        });
    }
    gauges
}

fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, gauge: &Gauge) {
    let tokens = ui.tokens();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        gauge.icon.ui(ui, 14.0, tokens.text_weak);
        ui.label(RichText::new(ctx.t(gauge.name)).small().color(tokens.text_weak));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let now = ctx.state.now;
            let points =
                ctx.state.monitor.readings().filter_map(|(then, stats)| Some((*then, (gauge.of)(stats)?)));
            let most =
                gauge.most.unwrap_or_else(|| points.clone().map(|(_, y)| y).fold(1e-9, f64::max) * 1.1);
            let size = Vec2::new(58.0, 18.0);
            sparkline(ui, size, tokens.accent, points, Some((now - WINDOW, now)), Some((0.0, most)));
            ui.add(
                egui::Label::new(RichText::new(&gauge.value).small().color(tokens.text_strong)).truncate(),
            );
        });
    });
}

/// The parts of a step as a bar, the slowest in words. Nothing where no step tells.
pub fn phases(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let Some(phases) = ctx.state.train.phases() else { return };
    let parts = parts(&phases);
    let whole: f64 = parts.iter().map(|part| part.1).sum();
    if whole <= 0.0 {
        return;
    }
    ui.add_space(6.0);
    section(ui, ctx.t(&words::PHASES));
    let tokens = ui.tokens();
    let colours = [5, 1, 3, 0, 2].map(|index: usize| tokens.series[index]);
    bar(ui, ctx, &parts, &colours, whole);
    let text = sentence(&parts, &phases, whole);
    ui.add(egui::Label::new(RichText::new(ctx.t(&text)).small().color(tokens.text)).wrap());
    ui.spacing_mut().item_spacing = Vec2::new(8.0, 1.0);
    ui.spacing_mut().interact_size.y = 15.0;
    ui.horizontal_wrapped(|ui| {
        for ((name, seconds), colour) in parts.iter().zip(colours) {
            // Square, name and share stay on one line.
            let share = format!("{} {:.0} %", ctx.t(name), seconds / whole * 100.0);
            let mut text = egui::text::LayoutJob::default();
            let format = |color| egui::TextFormat { font_id: small(ui), color, ..Default::default() };
            text.append("■ ", 0.0, format(colour));
            text.append(&share.replace(' ', "\u{a0}"), 0.0, format(tokens.text_weak));
            ui.add(egui::Label::new(text).extend());
        }
    });
}

fn small(ui: &Ui) -> egui::FontId {
    egui::TextStyle::Small.resolve(ui.style())
}

/// `10.9 / 24.0 GB`: the unit once, where it is the same.
fn used_of(used: u64, total: &str) -> String {
    let used = number::bytes(used);
    match (used.split_once(' '), total.split_once(' ')) {
        (Some((value, unit)), Some((_, same))) if unit == same => format!("{value} / {total}"),
        _ => format!("{used} / {total}"),
    }
}

fn parts(phases: &Phases) -> [(&'static Text, f64); 5] {
    [
        (&words::PHASE_DATA, phases.data),
        (&words::PHASE_FORWARD, phases.forward),
        (&words::PHASE_HEAD, phases.head),
        (&words::PHASE_BACKWARD, phases.backward),
        (&words::PHASE_OPTIMIZER, phases.optimizer),
    ]
}

fn bar(ui: &mut Ui, ctx: &PanelCtx<'_>, parts: &[(&'static Text, f64)], colours: &[Color32], whole: f64) {
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 10.0), Sense::hover());
    let mut x = rect.left();
    for ((name, seconds), colour) in parts.iter().zip(colours) {
        let width = rect.width() * (seconds / whole) as f32;
        let part = Rect::from_min_size(pos2(x, rect.top()), Vec2::new(width, rect.height()));
        ui.painter().rect_filled(part, 2.0, *colour);
        let response = ui.interact(part, ui.scope_id().with(("phase", &name.en)), Sense::hover());
        response.on_hover_text(format!("{}  {}", ctx.t(name), ctx.t(&milliseconds(*seconds))));
        x += width;
    }
}

/// What limits the run: the slowest part, and how long it waits for data.
fn sentence(parts: &[(&'static Text, f64)], phases: &Phases, whole: f64) -> Text {
    let slowest = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(&parts[0]);
    let wait = milliseconds(phases.data);
    if std::ptr::eq(slowest.0, &raw const words::PHASE_DATA) {
        return Text::new(
            format!("The run waits for data: {} a step", wait.en),
            format!("训练在等待数据：每步 {}", wait.zh),
        );
    }
    let share = |seconds: f64| (seconds / whole * 100.0).round();
    let (most, waits) = (share(slowest.1), share(phases.data));
    Text::new(
        format!(
            "The slowest part is {} ({most} %); waiting for data takes {} ({waits} %)",
            slowest.0.en, wait.en
        ),
        format!("最慢的是{}（{most} %）；等待数据 {}（{waits} %）", slowest.0.zh, wait.zh),
    )
}

fn milliseconds(seconds: f64) -> Text {
    if seconds >= 1.0 {
        protocol::text!("{seconds:.2} s", "{seconds:.2} 秒")
    } else {
        let ms = seconds * 1e3;
        let ms = if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
        protocol::text!("{ms} ms", "{ms} 毫秒")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_part_is_named() {
        let phases = Phases { data: 0.002, forward: 0.1, head: 0.02, backward: 0.2, optimizer: 0.01 };
        let text = sentence(&parts(&phases), &phases, 0.332);
        assert_eq!(text.en, "The slowest part is backward (60 %); waiting for data takes 2.0 ms (1 %)");
        let hungry = Phases { data: 1.5, ..phases };
        assert_eq!(sentence(&parts(&hungry), &hungry, 1.83).zh, "训练在等待数据：每步 1.50 秒");
    }
}

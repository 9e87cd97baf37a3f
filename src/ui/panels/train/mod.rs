//! Train: start and steer a run, and watch it.

mod compare;
mod controls;
mod figures;
mod handoff;
mod labels;
mod machine;
mod marks;
mod outcome;
mod plots;
mod readout;
mod samples;
mod shown;
mod toolbar;
mod waiting;

use std::path::PathBuf;

use egui::{Key, Rect, RichText, ScrollArea, Ui, UiBuilder, Vec2};
use protocol::{Outcome, Text};
use serde::{Deserialize, Serialize};

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::state::train::RunPhase;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::{icon_button, notice, progress_line, segmented};
use crate::words::train as words;
pub use compare::shown_value;
use figures::Axis;
pub use outcome::peak_told;

pub const PANEL: PanelInfo = PanelInfo {
    id: "train",
    name: Text::fixed("Train", "训练"),
    help: Text::fixed("Watch the loss fall", "观察损失下降"),
    icon: Icon::Train,
    shortcut: Key::Num4,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let train = &state.train;
    match (&train.outcome, train.phase) {
        (Some(Outcome::Failed { .. } | Outcome::Crashed { .. }), _) => StepState::Problem,
        (Some(Outcome::Finished { .. }), _) => StepState::Done,
        (None, RunPhase::None) => StepState::Open,
        // The engine went in the middle of it.
        (None, RunPhase::Ended) => StepState::Warning,
        (None, _) => StepState::Busy,
    }
}

/// What of its looks the panel keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Looks {
    axis: Axis,
    /// From 0 to below 1.
    smoothing: f64,
    log: bool,
    bottom: Bottom,
    #[serde(skip)]
    hidden: Vec<PathBuf>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { axis: Axis::Step, smoothing: 0.9, log: false, bottom: Bottom::Samples, hidden: Vec::new() }
    }
}

/// What lies below the plots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bottom {
    #[default]
    Samples,
    Settings,
}

struct View {
    looks: Looks,
    kept: shown::Kept,
    hover: Option<f64>,
    zoomed: bool,
    reset: bool,
    part: Option<std::ops::RangeInclusive<f64>>,
    from: Option<egui::Pos2>,
    area: Option<Rect>,
    prompt: usize,
    factor: f64,
    /// How many of the run's notices were dismissed.
    notices_seen: usize,
}

impl Default for View {
    fn default() -> Self {
        Self {
            looks: Looks::default(),
            kept: shown::Kept::new(),
            hover: None,
            zoomed: false,
            reset: false,
            part: None,
            from: None,
            area: None,
            prompt: 0,
            factor: 1.0,
            notices_seen: 0,
        }
    }
}

/// Below this height everything scrolls.
const LEAST_HEIGHT: f32 = 470.0;
const MACHINE_WIDTH: f32 = 262.0;

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        handoff::ui(ui.ctx(), ctx);
        let empty = ctx.state.train.phase == RunPhase::None && shown::compared(ctx).next().is_none();
        if empty {
            return waiting::ui(ui, ctx);
        }
        ui.horizontal(|ui| {
            toolbar::ui(ui, ctx, &mut self.factor);
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                controls::take_out(ui, ctx, &self.looks, self.area);
                controls::under_way(ui, ctx);
            });
        });
        self.news(ui, ctx);
        self.reset |= controls::ui(ui, ctx, &mut self.looks, self.zoomed);
        let height = ui.available_height();
        let narrow = ui.available_width() < plots::NARROW;
        if narrow || height < LEAST_HEIGHT {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                self.plots(ui, ctx, if narrow { 460.0 } else { 300.0 });
                self.below(ui, ctx, if narrow { 470.0 } else { 230.0 });
            });
        } else {
            let plots = (height * 0.58).min(height - 220.0);
            self.plots(ui, ctx, plots);
            let rest = ui.available_height();
            self.below(ui, ctx, rest);
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.looks).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        self.looks = serde_json::from_value(saved.clone()).unwrap_or_default();
        self.looks.smoothing = self.looks.smoothing.clamp(0.0, 0.995);
    }
}

impl View {
    /// How it ended, what is under way, and what should be known.
    fn news(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let train = &ctx.state.train;
        outcome::ui(ui, ctx);
        match &train.progress {
            // Later ones stand in the first row, so that the plots stay where they are.
            Some(progress) if train.history.steps.is_empty() => progress_line(ui, ctx, progress),
            Some(_) => {}
            None if train.phase == RunPhase::Starting => {
                ui.label(RichText::new(ctx.t(&words::LOADING)).small().color(ui.tokens().text_weak));
            }
            None => {}
        }
        self.notices(ui, ctx);
    }

    /// What the user has not seen yet, the newest first.
    fn notices(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let all = &ctx.state.train.notices;
        self.notices_seen = self.notices_seen.min(all.len());
        let new = &all[self.notices_seen..];
        if new.is_empty() {
            return;
        }
        ui.horizontal_top(|ui| {
            let width = ui.available_width() - 48.0;
            ui.vertical(|ui| {
                ui.set_width(width);
                ScrollArea::vertical().max_height(84.0).id_salt("train-notices").show(ui, |ui| {
                    for text in new.iter().rev() {
                        notice(ui, ctx, text);
                    }
                });
            });
            if icon_button(ui, Icon::Close, ctx.t(&words::DISMISS)).clicked() {
                self.notices_seen = all.len();
            }
        });
    }

    fn plots(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, height: f32) {
        let reset = std::mem::take(&mut self.reset);
        let look = plots::Look {
            axis: self.looks.axis,
            log: self.looks.log,
            reset,
            hover: self.hover,
            part: self.part.take(),
            from: self.from,
        };
        let Looks { hidden, axis, smoothing, .. } = &mut self.looks;
        let tokens = ui.tokens();
        let mut runs = shown::collect(ctx, tokens, &mut self.kept, hidden, *axis, *smoothing);
        let chips: Vec<_> = runs.iter().map(|shown| controls::Chip::new(ctx, shown)).collect();
        if chips.len() > 1 {
            controls::legend(ui, ctx, hidden, &chips);
        }
        let drawn = plots::ui(ui, ctx, &look, &mut runs, height);
        if drawn.hover != self.hover || reset || drawn.part.is_some() {
            ui.ctx().request_repaint();
        }
        self.part = drawn.part;
        self.from = drawn.from;
        self.hover = drawn.hover;
        self.zoomed = drawn.zoomed;
        self.area = drawn.area;
    }

    /// Samples or settings at the left, the machine at the right.
    fn below(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, height: f32) {
        let size = Vec2::new(ui.available_width(), height.max(120.0));
        let (area, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let area = area.with_min_y(area.top() + 2.0);
        let (left, right) = if area.width() < plots::NARROW {
            let split = area.center().y;
            (area.with_max_y(split - 4.0), area.with_min_y(split + 4.0))
        } else {
            let split = area.right() - MACHINE_WIDTH;
            (area.with_max_x(split - 8.0), area.with_min_x(split))
        };
        ui.painter().rect_filled(left, 8.0, ui.tokens().card);
        ui.painter().rect_filled(right, 8.0, ui.tokens().card);
        let inside = |rect: Rect| rect.shrink2(Vec2::new(12.0, 10.0));
        let mut child = ui.new_child(UiBuilder::new().max_rect(inside(left)).id_salt("answers"));
        child.set_clip_rect(left.intersect(ui.clip_rect()));
        let names = [(Bottom::Samples, ctx.t(&words::SAMPLES)), (Bottom::Settings, ctx.t(&words::COMPARE))];
        child.horizontal(|ui| {
            if let Some(bottom) = segmented(ui, self.looks.bottom, &names) {
                self.looks.bottom = bottom;
            }
            if self.looks.bottom == Bottom::Samples {
                ui.add_space(6.0);
                samples::chooser(ui, ctx, &mut self.prompt);
            }
        });
        match self.looks.bottom {
            Bottom::Samples => samples::ui(&mut child, ctx, &mut self.prompt),
            Bottom::Settings => compare::ui(&mut child, ctx),
        }
        let mut child = ui.new_child(UiBuilder::new().max_rect(inside(right)).id_salt("machine"));
        child.set_clip_rect(right.intersect(ui.clip_rect()));
        ScrollArea::vertical().auto_shrink(false).show(&mut child, |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            machine::device(ui, ctx);
            machine::phases(ui, ctx);
        });
    }
}

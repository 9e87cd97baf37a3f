//! How the plots are looked at, and which runs are in them.

use std::path::PathBuf;

use egui::{Label, RichText, ScrollArea, Sense, Slider, Ui, Vec2, WidgetInfo};

use super::figures::Axis;
use super::shown::Shown;
use super::{Looks, shown};
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::runs::RunsAction;
use crate::state::train::TrainAction;
use crate::theme::UiTokens;
use crate::widgets::button::icon_button;
use crate::widgets::{Icon, segmented, toggle};
use crate::words::train as words;

/// Axis, smoothing, scale, comparison. `zoomed` shows the button that shows all again; true
/// when it was clicked.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, looks: &mut Looks, zoomed: bool) -> bool {
    let mut reset = false;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 10.0;
        let names = Axis::ALL.map(|(axis, name)| (axis, ctx.t(name)));
        if let Some(axis) = segmented(ui, looks.axis, &names) {
            looks.axis = axis;
            reset = true;
        }
        room(ui, 230.0);
        ui.horizontal(|ui| {
            ui.spacing_mut().slider_width = 84.0;
            let slider = Slider::new(&mut looks.smoothing, 0.0..=0.995).max_decimals(3).step_by(0.005);
            let label = ui.label(RichText::new(ctx.t(&words::SMOOTH)).color(ui.tokens().text_weak));
            ui.add(slider).labelled_by(label.id).on_hover_text(ctx.t(&words::SMOOTH_HELP));
        });
        room(ui, 130.0);
        toggle(ui, &mut looks.log, ctx.t(&words::LOG)).on_hover_text(ctx.t(&words::LOG_HELP));
        add_run(ui, ctx);
        if zoomed {
            let button = crate::widgets::button(ui, Some(Icon::Refresh), ctx.t(&words::FOLLOW));
            reset |= button.on_hover_text(ctx.t(&words::FOLLOW_HELP)).clicked();
        } else if ui.available_size_before_wrap().x > 15.0 {
            Icon::Info.ui(ui, 15.0, ui.tokens().text_faint).on_hover_text(ctx.t(&words::FOLLOW_HELP));
        }
    });
    reset
}

/// Goes to the next line where what comes is wider than what is left: a group of widgets does not wrap by itself.
fn room(ui: &mut Ui, width: f32) {
    if ui.available_size_before_wrap().x < width {
        ui.end_row();
    }
}

/// A menu of the runs that are not in the plots yet.
fn add_run(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let icon = Icon::Compare.image(15.0, ui.tokens().text);
    let button = egui::Button::image_and_text(icon, ctx.t(&words::ADD_RUN));
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        let main = shown::main_key(ctx);
        let compared = &ctx.state.runs.compared;
        let others: Vec<_> = ctx
            .state
            .runs
            .runs
            .iter()
            .filter(|run| run.dir != main && !compared.contains(&run.dir))
            .collect();
        ui.set_min_width(240.0);
        if others.is_empty() {
            ui.label(RichText::new(ctx.t(&words::NO_RUNS)).color(ui.tokens().text_weak));
        }
        ScrollArea::vertical().max_height(300.0).show_rows(ui, 26.0, others.len(), |ui, rows| {
            for run in &others[rows] {
                if ui.add(egui::Button::new(&run.name).min_size(Vec2::new(230.0, 24.0))).clicked() {
                    ctx.push(Action::Runs(RunsAction::Compare(run.dir.clone())));
                    ui.close();
                }
            }
        });
    });
    response.on_hover_text(ctx.t(&words::ADD_RUN_HELP));
}

/// Buttons for the table and the picture.
pub fn take_out(ui: &mut Ui, ctx: &PanelCtx<'_>, looks: &Looks, area: Option<egui::Rect>) {
    if let Some(area) = area
        && icon_button(ui, Icon::Chart, ctx.t(&words::PICTURE)).clicked()
    {
        ctx.push(Action::Train(TrainAction::SavePicture(area)));
    }
    if icon_button(ui, Icon::Download, ctx.t(&words::FIGURES)).clicked() {
        let shown = shown::compared(ctx).filter(|dir| !looks.hidden.contains(dir));
        ctx.push(Action::Train(TrainAction::SaveFigures(shown.cloned().collect())));
    }
}

/// What the engine does beside training, for the right end of a row: evaluating, saving.
pub fn under_way(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let train = &ctx.state.train;
    let Some(progress) = train.progress.as_ref().filter(|_| !train.history.steps.is_empty()) else { return };
    let stage = ctx.t(&progress.stage);
    if progress.total > 0 {
        let part = progress.done as f32 / progress.total as f32;
        let bar = egui::ProgressBar::new(part.clamp(0.0, 1.0)).desired_height(4.0).desired_width(72.0);
        ui.add(bar.fill(ui.tokens().accent)).on_hover_text(stage);
    }
    if ui.available_width() > 110.0 {
        let text = RichText::new(stage).small().color(ui.tokens().text_weak);
        ui.add(Label::new(text).truncate());
    }
}

/// The runs in the plots, each with its colour: a click shows or hides it.
pub fn legend(ui: &mut Ui, ctx: &PanelCtx<'_>, hidden: &mut Vec<PathBuf>, runs: &[Chip]) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for chip in runs {
            room(ui, 56.0 + 7.5 * chip.name.chars().count() as f32);
            if entry(ui, ctx, chip) {
                match hidden.iter().position(|dir| *dir == chip.key) {
                    Some(place) => {
                        hidden.remove(place);
                    }
                    None => hidden.push(chip.key.clone()),
                }
            }
        }
    });
}

/// A run in the legend.
pub struct Chip {
    key: PathBuf,
    main: bool,
    name: String,
    colour: egui::Color32,
    hidden: bool,
    reading: bool,
}

impl Chip {
    pub fn new(ctx: &PanelCtx<'_>, shown: &Shown<'_>) -> Self {
        let key = shown.dir.clone().unwrap_or_else(|| shown::main_key(ctx));
        Self {
            reading: ctx.state.runs.is_first_reading(&key),
            main: shown.main,
            name: shown.name.clone(),
            colour: shown.colour,
            hidden: shown.hidden,
            key,
        }
    }
}

/// True when it was clicked.
fn entry(ui: &mut Ui, ctx: &PanelCtx<'_>, chip: &Chip) -> bool {
    let tokens = ui.tokens();
    let mut clicked = false;
    egui::Frame::new().fill(tokens.card).corner_radius(10).inner_margin(egui::Margin::symmetric(8, 2)).show(
        ui,
        |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().interact_size.y = 16.0;
                ui.set_height(16.0);
                ui.spacing_mut().item_spacing.x = 6.0;
                let (rect, dot) = ui.allocate_exact_size(Vec2::splat(10.0), Sense::click());
                let fill = if chip.hidden { tokens.pressed } else { chip.colour };
                ui.painter().circle_filled(rect.center(), 4.5, fill);
                let colour = if chip.hidden { tokens.text_faint } else { tokens.text };
                let mut text = chip.name.clone();
                if chip.reading {
                    text += &format!("  {}", ctx.t(&words::READING));
                }
                let name =
                    ui.add(Label::new(RichText::new(&text).small().color(colour)).sense(Sense::click()));
                let on = !chip.hidden;
                let spoken = format!("{}: {}", ctx.t(&words::SHOW), chip.name);
                name.widget_info(|| WidgetInfo::selected(egui::Role::CheckBox, true, on, &spoken));
                clicked = dot.clicked() || name.on_hover_text(ctx.t(&words::SHOW)).clicked();
                if !chip.main && remove(ui, ctx, &chip.name) {
                    ctx.push(Action::Runs(RunsAction::Uncompare(chip.key.clone())));
                }
            });
        },
    );
    clicked
}

/// A small cross.
fn remove(ui: &mut Ui, ctx: &PanelCtx<'_>, name: &str) -> bool {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(14.0), Sense::click());
    let strong = response.hovered() || response.has_focus();
    let colour = if strong { tokens.text_strong } else { tokens.text_weak };
    Icon::Close.image(12.0, colour).paint_at(ui, rect.shrink(1.0));
    let spoken = format!("{}: {name}", ctx.t(&words::REMOVE));
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &spoken));
    response.on_hover_text(ctx.t(&words::REMOVE)).clicked()
}

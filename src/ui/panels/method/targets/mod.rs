//! The matrices that a method adapts, chosen on the module tree.
//!
//! What is on is what the engine's estimate says; until it has answered, what the settings mean by the engine's rules
//! is shown fainter.

mod bar;
mod patterns;
mod select;

use std::collections::{HashMap, HashSet};

use egui::{RichText, Ui};
use protocol::{Descriptor, Estimate, ModelReport, ParamKind, ParamSpec, RunConfig};
use serde_json::{Map, Value};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::chip::{Tri, tri_check};
use crate::widgets::form::number_of;
use crate::widgets::module_tree::{ModuleTree, Node, ROW, TreeView, cell, cell_centred, header, row_name};
use crate::widgets::{card, number, section_line};
use crate::words::{method as words, model as tree_words};
use select::Vocabulary;

const NUMBER_WIDTH: f32 = 58.0;
const PARAMETERS_WIDTH: f32 = 70.0;

/// The setting that says which matrices: the first of its kind.
pub fn targets_spec(method: &Descriptor) -> Option<&ParamSpec> {
    method.params.iter().find(|spec| matches!(spec.kind, ParamKind::Targets { .. }))
}

/// Settings that the tree has columns for: a table of patterns `x_pattern` beside a number `x`.
pub fn columns_of(method: &Descriptor) -> Vec<(&ParamSpec, &ParamSpec)> {
    let tables = method.params.iter().filter(|spec| spec.kind == ParamKind::Patterns);
    tables
        .filter_map(|table| {
            let base = table.key.strip_suffix("_pattern")?;
            Some((method.params.iter().find(|spec| spec.key == base)?, table))
        })
        .collect()
}

/// The tree with what was computed for it.
#[derive(Default)]
pub struct TargetsPart {
    view: TreeView,
    tree: ModuleTree,
    vocabulary: Vocabulary,
    model: Option<u64>,
    shown: Shown,
    made_for: Option<Made>,
    /// A glob being typed.
    glob: String,
}

/// What the rows show, for each matrix.
#[derive(Default)]
struct Shown {
    /// By the settings: what an edit starts from.
    wanted: Vec<bool>,
    /// By the engine, or by the settings while it has not answered.
    on: Vec<bool>,
    /// The engine has not answered to these settings.
    pending: bool,
    /// Trainable parameters, by the engine.
    parameters: Vec<u64>,
    columns: Vec<Column>,
}

struct Column {
    /// Keys of the number and of its table.
    key: String,
    table_key: String,
    base: f64,
    whole: bool,
    least: f64,
    most: f64,
    values: Vec<f64>,
}

/// What [`Shown`] was computed from.
#[derive(Clone, PartialEq)]
struct Made {
    model: u64,
    estimate: u64,
    settled: bool,
    method: protocol::config::MethodConfig,
}

impl TargetsPart {
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        method: &Descriptor,
        report: &ModelReport,
        config: &mut RunConfig,
    ) {
        let Some(spec) = targets_spec(method) else { return };
        self.update(ctx, method, spec, report);
        self.title(ui, ctx, method, report);
        card(ui, |ui| {
            ui.set_height(ui.available_height());
            self.bar(ui, ctx, spec, config);
            self.header(ui, ctx, method);
            self.view.update(&self.tree, &report.linears, ctx.state.model.version);
            if self.view.is_empty() {
                ui.label(RichText::new(ctx.t(&tree_words::NO_MATCH)).color(ui.tokens().text_weak));
            }
            self.rows(ui, ctx, spec, config);
        });
    }

    fn title(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, report: &ModelReport) {
        let name = targets_spec(method).map_or("", |spec| ctx.t(&spec.name));
        let on = self.shown.on.iter().filter(|on| **on).count();
        let all = report.linears.len();
        let mut line =
            ctx.t(&protocol::text!("{on} of {all} matrices", "{all} 个矩阵中选中 {on} 个")).to_owned();
        if self.shown.pending {
            line += &format!("  ·  {}", ctx.t(&words::UPDATING));
        }
        section_line(ui, name, &line);
    }

    /// Computes what the rows show, if anything changed since.
    fn update(&mut self, ctx: &PanelCtx<'_>, method: &Descriptor, spec: &ParamSpec, report: &ModelReport) {
        let state = ctx.state;
        let model = state.model.version;
        if self.model != Some(model) {
            self.tree = ModuleTree::new(&report.linears);
            self.vocabulary = Vocabulary::new(report);
            self.model = Some(model);
        }
        let config = &state.project.config.method;
        let settled = !state.estimate.is_pending()
            && state.estimate.error.is_none()
            && state.estimated_method.as_ref() == Some(config);
        let made = Made { model, estimate: state.estimate.version, settled, method: config.clone() };
        if self.made_for.as_ref() == Some(&made) {
            return;
        }
        let value = config.params.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        let wanted = self.vocabulary.chosen(&value);
        let estimate = state.estimate.value.as_deref().filter(|_| settled);
        // An estimate that refuses the settings knows no targets.
        let told = estimate.filter(|estimate| !estimate.targets.is_empty() || estimate.problems.is_empty());
        let (on, parameters) = match told {
            Some(estimate) => self.as_told(estimate),
            None => (wanted.clone(), vec![0; wanted.len()]),
        };
        let columns = self.columns(method, &config.params);
        // Settings that the engine refuses are shown as they are written.
        let pending = told.is_none() && !settled && state.estimate.error.is_none();
        self.shown = Shown { wanted, on, pending, parameters, columns };
        self.made_for = Some(made);
    }

    fn as_told(&self, estimate: &Estimate) -> (Vec<bool>, Vec<u64>) {
        let told: HashMap<&str, u64> =
            estimate.targets.iter().map(|target| (target.path.as_str(), target.parameters)).collect();
        let paths = (0..self.vocabulary.len() as u32).map(|index| self.vocabulary.path(index));
        paths.map(|path| told.get(path).map_or((false, 0), |parameters| (true, *parameters))).unzip()
    }

    fn columns(&self, method: &Descriptor, params: &Map<String, Value>) -> Vec<Column> {
        let empty = Map::new();
        columns_of(method)
            .into_iter()
            .filter_map(|(base, table)| {
                let (whole, least, most) = match base.kind {
                    ParamKind::Integer { min, max, .. } => (true, min as f64, max as f64),
                    ParamKind::Number { min, max, .. } => (false, min, max),
                    _ => return None,
                };
                let default = base.kind.default_value();
                let number = params.get(&base.key).unwrap_or(&default).as_f64()?;
                let given = params.get(&table.key).and_then(Value::as_object).unwrap_or(&empty);
                Some(Column {
                    key: base.key.clone(),
                    table_key: table.key.clone(),
                    base: number,
                    whole,
                    least,
                    most,
                    values: patterns::values(&self.vocabulary, given, number),
                })
            })
            .collect()
    }

    fn header(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor) {
        let faint = ui.tokens().text_faint;
        let name = |text: &str| RichText::new(text).small().color(faint);
        header(ui, |ui| {
            cell(ui, PARAMETERS_WIDTH, name(ctx.t(&words::TRAINED)));
            for column in self.shown.columns.iter().rev() {
                let spec = method.params.iter().find(|spec| spec.key == column.key);
                cell_centred(ui, NUMBER_WIDTH, name(spec.map_or("", |spec| ctx.t(&spec.name))));
            }
        });
    }

    fn rows(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, config: &mut RunConfig) {
        let mut toggled: Option<(Vec<u32>, bool)> = None;
        let mut numbered: Option<(usize, Vec<u32>, f64)> = None;
        let shown = &self.shown;
        self.view.ui(
            ui,
            ctx,
            &self.tree,
            |ui, node| {
                let on = count(&shown.on, node);
                let state = Tri::of(on, node.members.len());
                ui.scope(|ui| {
                    if shown.pending {
                        ui.multiply_opacity(0.55);
                    }
                    let name = format!("{} {}", ctx.t(&words::TRAIN_THIS), row_name(ctx, node));
                    if tri_check(ui, state, &name).clicked() {
                        let wanted = count(&shown.wanted, node);
                        toggled = Some((node.members.clone(), wanted < node.members.len()));
                    }
                });
            },
            |ui, node| {
                if let Some((column, figure)) = numbers(ui, ctx, shown, node) {
                    numbered = Some((column, node.members.clone(), figure));
                }
            },
        );
        if let Some((members, on)) = toggled {
            self.set(spec, config, &members, on);
        }
        if let Some((column, members, figure)) = numbered {
            self.set_number(config, column, &members, figure);
        }
    }

    /// Turns matrices on or off.
    fn set(&self, spec: &ParamSpec, config: &mut RunConfig, members: &[u32], on: bool) {
        let mut mask = self.shown.wanted.clone();
        for member in members {
            mask[*member as usize] = on;
        }
        let value = config.method.params.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        // Parts of a matrix stay parts unless the matrix itself is asked for.
        let apart =
            |word: &&str| self.vocabulary.matching(word).iter().all(|member| !members.contains(member));
        let parts: Vec<&str> = self.vocabulary.part_words(&value).into_iter().filter(apart).collect();
        config.method.params.insert(spec.key.clone(), self.vocabulary.with_parts(&mask, &parts));
    }

    /// Adds a part of fused matrices to what is adapted, in place of these matrices as a whole; or takes it out.
    fn set_part(&self, spec: &ParamSpec, config: &mut RunConfig, role: &str, on: bool) {
        let value = config.method.params.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        let mut parts = self.vocabulary.part_words(&value);
        parts.retain(|word| *word != role);
        let mut mask = self.shown.wanted.clone();
        self.vocabulary.matching(role).iter().for_each(|member| mask[*member as usize] = false);
        if on {
            parts.push(role);
        }
        config.method.params.insert(spec.key.clone(), self.vocabulary.with_parts(&mask, &parts));
    }

    fn set_number(&self, config: &mut RunConfig, column: usize, members: &[u32], figure: f64) {
        let Some(column) = self.shown.columns.get(column) else { return };
        let params = &mut config.method.params;
        // Everything that is trained at another number: that is the number itself.
        let edited: HashSet<u32> = members.iter().copied().collect();
        let whole = (0u32..).zip(&self.shown.on).all(|(member, on)| !on || edited.contains(&member));
        if whole {
            params.insert(column.key.clone(), number_of(figure));
            params.remove(&column.table_key);
            return;
        }
        let empty = Map::new();
        let before = params.get(&column.table_key).and_then(Value::as_object).unwrap_or(&empty);
        let table = patterns::edited(&self.vocabulary, before, members, figure, column.base);
        if table.is_empty() {
            params.remove(&column.table_key);
        } else {
            params.insert(column.table_key.clone(), Value::Object(table));
        }
    }
}

fn count(mask: &[bool], node: &Node) -> usize {
    node.members.iter().filter(|member| mask.get(**member as usize).copied().unwrap_or(false)).count()
}

/// The columns of a row. Returns the number that was changed: its column and the new figure.
fn numbers(ui: &mut Ui, ctx: &PanelCtx<'_>, shown: &Shown, node: &Node) -> Option<(usize, f64)> {
    let tokens = ui.tokens();
    ui.add_space(4.0);
    let on: Vec<u32> = node.members.iter().copied().filter(|member| shown.on[*member as usize]).collect();
    let parameters: u64 = on.iter().map(|member| shown.parameters[*member as usize]).sum();
    let text = match on.is_empty() {
        true => RichText::new("–").color(tokens.text_faint),
        _ if shown.pending => RichText::new("…").color(tokens.text_faint),
        _ if parameters == 0 => RichText::new("–").color(tokens.text_faint),
        _ => RichText::new(number::short(parameters)).color(tokens.text_weak),
    };
    cell(ui, PARAMETERS_WIDTH, text);
    let mut changed = None;
    for (index, column) in shown.columns.iter().enumerate().rev() {
        if on.is_empty() {
            cell_centred(ui, NUMBER_WIDTH, RichText::new("–").color(tokens.text_faint));
            continue;
        }
        if let Some(figure) = number_cell(ui, ctx, column, node, &on) {
            changed = Some((index, figure));
        }
    }
    changed
}

/// A number that several matrices share, or a star where they differ; dragged or typed.
fn number_cell(ui: &mut Ui, ctx: &PanelCtx<'_>, column: &Column, node: &Node, on: &[u32]) -> Option<f64> {
    let tokens = ui.tokens();
    let first = column.values[*on.first()? as usize];
    let mixed = on.iter().any(|member| column.values[*member as usize] != first);
    let mut figure = first;
    let mut field = egui::DragValue::new(&mut figure)
        .range(column.least..=column.most)
        .speed(0.1)
        .clamp_existing_to_range(false)
        .update_while_editing(false)
        .min_size(egui::vec2(NUMBER_WIDTH, ROW - 4.0));
    if column.whole {
        field = field.max_decimals(0);
    } else {
        field = field.custom_formatter(|value, _| crate::widgets::input::exact((value * 1e4).round() / 1e4));
    }
    let colour = match (mixed, first == column.base) {
        (true, _) => tokens.text_faint,
        (_, true) => tokens.text_weak,
        _ => tokens.accent,
    };
    let response = ui
        .scope(|ui| {
            ui.visuals_mut().widgets.inactive.weak_bg_fill = egui::Color32::TRANSPARENT;
            ui.visuals_mut().widgets.inactive.fg_stroke.color = colour;
            ui.visuals_mut().override_text_color = Some(colour);
            ui.add(if mixed { field.suffix("*") } else { field })
        })
        .inner;
    let name = format!("{} {}", column.key, row_name(ctx, node));
    crate::widgets::input::name_number(ui, &response, &name, figure);
    let response = if mixed { response.on_hover_text(ctx.t(&words::MIXED)) } else { response };
    (response.changed() && (figure != first || mixed)).then_some(figure)
}

//! Every matrix of the checkpoint.

use egui::{RichText, Ui};
use protocol::ModelReport;

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::module_tree::{ModuleTree, Node, TreeView, cell, search_field};
use crate::widgets::{card, number, section};
use crate::words::model as words;

const ROLE_WIDTH: f32 = 52.0;
const SHAPE_WIDTH: f32 = 110.0;
const PARAMETERS_WIDTH: f32 = 76.0;

/// The tree of the model that was read last.
#[derive(Default)]
pub struct TreePart {
    view: TreeView,
    tree: ModuleTree,
    version: Option<u64>,
}

impl TreePart {
    pub fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, report: &ModelReport) {
        let version = ctx.state.model.version;
        if self.version != Some(version) {
            self.tree = ModuleTree::new(&report.linears);
            self.version = Some(version);
        }
        ui.horizontal(|ui| {
            section(ui, ctx.t(&words::TREE));
            let matrices = number::count(report.linears.len() as u64);
            let text = protocol::text!("{matrices} matrices", "{matrices} 个矩阵");
            ui.label(RichText::new(ctx.t(&text)).small().color(ui.tokens().text_weak));
        });
        card(ui, |ui| {
            ui.set_height(ui.available_height());
            search_field(ui, ctx, &mut self.view.search, 200.0);
            header(ui, ctx);
            self.view.update(&self.tree, &report.linears, version);
            if self.view.is_empty() {
                ui.label(RichText::new(ctx.t(&words::NO_MATCH)).color(ui.tokens().text_weak));
            }
            self.view.ui(ui, ctx, &self.tree, |_, _| {}, |ui, node| columns(ui, report, node));
        });
    }
}

fn header(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.allocate_ui_with_layout(
        egui::vec2(ui.available_width(), 20.0),
        egui::Layout::right_to_left(egui::Align::Center),
        |ui| {
            ui.add_space(12.0);
            let weak = |text: &str| RichText::new(text).small().color(ui.tokens().text_faint);
            let (parameters, shape, role) =
                (weak(ctx.t(&words::PARAMS)), weak(ctx.t(&words::SHAPE)), weak(ctx.t(&words::ROLE)));
            cell(ui, PARAMETERS_WIDTH, parameters);
            cell(ui, SHAPE_WIDTH, shape);
            cell(ui, ROLE_WIDTH, role);
        },
    );
}

fn columns(ui: &mut Ui, report: &ModelReport, node: &Node) {
    let tokens = ui.tokens();
    ui.add_space(4.0);
    cell(ui, PARAMETERS_WIDTH, RichText::new(number::short(node.parameters)).color(tokens.text_weak));
    let matrix = node.members.first().filter(|_| node.is_matrix());
    let Some(linear) = matrix.and_then(|member| report.linears.get(*member as usize)) else { return };
    let times = match node.members.len() {
        1 => String::new(),
        layers => format!("{layers} × "),
    };
    let shape = format!("{times}[{}, {}]", linear.shape[0], linear.shape[1]);
    cell(ui, SHAPE_WIDTH, RichText::new(shape).color(tokens.text_weak));
    cell(ui, ROLE_WIDTH, RichText::new(&linear.role).color(tokens.accent));
}

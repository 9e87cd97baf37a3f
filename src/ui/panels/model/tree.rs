//! Every matrix of the checkpoint.

use egui::{RichText, Ui};
use protocol::ModelReport;

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::module_tree::{ModuleTree, Node, TreeView, cell, header, search_field};
use crate::widgets::{card, number, section_line};
use crate::words::model as words;

const ROLE_WIDTH: f32 = 46.0;
const SHAPE_WIDTH: f32 = 118.0;
const PARAMETERS_WIDTH: f32 = 66.0;

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
        let matrices = number::count(report.linears.len() as u64);
        let text = protocol::text!("{matrices} matrices", "{matrices} 个矩阵");
        section_line(ui, ctx.t(&words::TREE), ctx.t(&text));
        card(ui, |ui| {
            ui.set_height(ui.available_height());
            search_field(ui, ctx, &mut self.view.search, 200.0);
            names(ui, ctx);
            self.view.update(&self.tree, &report.linears, version);
            if self.view.is_empty() {
                ui.label(RichText::new(ctx.t(&words::NO_MATCH)).color(ui.tokens().text_weak));
            }
            self.view.ui(ui, ctx, &self.tree, |_, _| {}, |ui, node| columns(ui, report, node));
        });
    }
}

fn names(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let faint = ui.tokens().text_faint;
    let name = |text: &protocol::Text| RichText::new(ctx.t(text)).small().color(faint);
    header(ui, |ui| {
        cell(ui, PARAMETERS_WIDTH, name(&words::PARAMS));
        cell(ui, SHAPE_WIDTH, name(&words::SHAPE));
        cell(ui, ROLE_WIDTH, name(&words::ROLE));
    });
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

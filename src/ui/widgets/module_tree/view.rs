//! What of the tree is unfolded or looked for, and its rows: only those in sight are drawn.

use std::collections::BTreeSet;

use egui::{Align, Layout, Rect, RichText, ScrollArea, Sense, Ui, UiBuilder, Vec2};
use protocol::LinearReport;

use super::{ModuleTree, Node, NodeId, NodeKind};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::icon_button;
use crate::words::model as words;

/// Height of a row in points.
pub const ROW: f32 = 26.0;
/// Points a level is set in.
const INDENT: f32 = 16.0;

/// Folding and search: what a panel keeps of a tree.
#[derive(Clone, Debug, Default)]
pub struct TreeView {
    /// Paths of nodes that are folded other than by default.
    toggled: BTreeSet<String>,
    pub search: String,
    rows: Vec<Row>,
    /// What `rows` were made for: the model's version, the number of folds, the search.
    made_for: Option<(u64, u64, String)>,
    folds: u64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    node: NodeId,
    depth: usize,
}

/// How a row is called: its path, or "each layer".
pub fn row_name(ctx: &PanelCtx<'_>, node: &Node) -> String {
    match node.kind {
        NodeKind::EachLayer => {
            let of = node.path.trim_end_matches(".…");
            format!("{} · {of}", ctx.t(&words::EACH_LAYER))
        }
        _ => node.path.clone(),
    }
}

impl TreeView {
    fn is_open(&self, node: &Node) -> bool {
        node.open != self.toggled.contains(&node.path)
    }

    fn toggle(&mut self, node: &Node) {
        if !self.toggled.remove(&node.path) {
            self.toggled.insert(node.path.clone());
        }
        self.folds += 1;
    }

    /// How many rows there are now.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes the rows anew if something changed. `version` is the model's.
    pub fn update(&mut self, tree: &ModuleTree, linears: &[LinearReport], version: u64) {
        let wanted = (version, self.folds, self.search.trim().to_lowercase());
        if self.made_for.as_ref() == Some(&wanted) {
            return;
        }
        self.rows.clear();
        if wanted.2.is_empty() {
            let mut rows = Vec::new();
            for root in &tree.roots {
                self.unfold(tree, *root, 0, &mut rows);
            }
            self.rows = rows;
        } else {
            // Only matrices one by one: a hit is a place in the checkpoint.
            let hit = |node: &Node| {
                let [member] = node.members.as_slice() else { return false };
                let linear = &linears[*member as usize];
                node.is_matrix()
                    && (linear.path.to_lowercase().contains(&wanted.2) || linear.role == wanted.2)
            };
            let hits = tree.nodes.iter().enumerate().filter(|(_, node)| hit(node));
            let mut rows: Vec<Row> = hits.map(|(node, _)| Row { node, depth: 0 }).collect();
            // A stack of one layer has a matrix twice only if the tree had; the model's order is the reader's.
            rows.sort_by_key(|row| tree.nodes[row.node].members.first().copied());
            rows.dedup_by_key(|row| tree.nodes[row.node].members.first().copied());
            self.rows = rows;
        }
        self.made_for = Some(wanted);
    }

    fn unfold(&self, tree: &ModuleTree, id: NodeId, depth: usize, rows: &mut Vec<Row>) {
        rows.push(Row { node: id, depth });
        let node = &tree.nodes[id];
        if self.is_open(node) {
            for child in &node.children {
                self.unfold(tree, *child, depth + 1, rows);
            }
        }
    }

    /// Draws the rows in sight: an optional widget before the name, the name, and columns from the right.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        tree: &ModuleTree,
        mut before: impl FnMut(&mut Ui, &Node),
        mut columns: impl FnMut(&mut Ui, &Node),
    ) {
        ui.spacing_mut().item_spacing.y = 0.0;
        let rows = std::mem::take(&mut self.rows);
        let searching = !self.search.trim().is_empty();
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, rows.len(), |ui, range| {
            for row in rows.get(range).unwrap_or_default() {
                let Some(node) = tree.nodes.get(row.node) else { continue };
                row_ui(ui, |ui| {
                    ui.add_space(INDENT * row.depth as f32);
                    self.chevron(ui, ctx, node, searching);
                    before(ui, node);
                    name(ui, ctx, node, searching, |ui| columns(ui, node));
                });
            }
        });
        self.rows = rows;
    }

    fn chevron(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, node: &Node, searching: bool) {
        if searching {
            return;
        }
        if node.children.is_empty() {
            ui.allocate_exact_size(Vec2::splat(18.0), Sense::hover());
            return;
        }
        let open = self.is_open(node);
        let (icon, verb) =
            if open { (Icon::ChevronDown, &words::FOLD) } else { (Icon::ChevronRight, &words::UNFOLD) };
        let name = format!("{} {}", ctx.t(verb), row_name(ctx, node));
        let clicked = ui
            .scope(|ui| {
                ui.spacing_mut().button_padding = Vec2::ZERO;
                ui.allocate_ui(Vec2::splat(18.0), |ui| fold_button(ui, icon, &name)).inner
            })
            .inner;
        if clicked {
            self.toggle(node);
        }
    }
}

fn fold_button(ui: &mut Ui, icon: Icon, name: &str) -> bool {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(18.0), Sense::click());
    let colour =
        if response.hovered() || response.has_focus() { tokens.text_strong } else { tokens.text_weak };
    icon.image(13.0, colour).paint_at(ui, Rect::from_center_size(rect.center(), Vec2::splat(13.0)));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
    response.clicked()
}

/// A row of fixed height over the whole width, lit under the pointer.
fn row_ui(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::hover());
    if ui.rect_contains_pointer(rect) {
        ui.painter().rect_filled(rect, 4.0, ui.tokens().hover);
    }
    let layout = Layout::left_to_right(Align::Center);
    let inner = rect.shrink2(Vec2::new(4.0, 0.0));
    ui.scope_builder(UiBuilder::new().max_rect(inner).layout(layout), |ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        contents(ui);
    });
}

/// The name takes what the columns leave.
fn name(ui: &mut Ui, ctx: &PanelCtx<'_>, node: &Node, searching: bool, columns: impl FnOnce(&mut Ui)) {
    let tokens = ui.tokens();
    let text = match node.kind {
        NodeKind::EachLayer => RichText::new(ctx.t(&words::EACH_LAYER)).color(tokens.text_weak),
        NodeKind::Layer if !node.label.contains('.') => {
            let number = &node.label;
            let label = protocol::text!("layer {number}", "第 {number} 层");
            RichText::new(ctx.t(&label)).color(tokens.text)
        }
        NodeKind::Matrix if searching => RichText::new(&node.path).monospace().color(tokens.text),
        _ => RichText::new(&node.label).monospace().color(tokens.text),
    };
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        columns(ui);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.add(egui::Label::new(text).truncate()).on_hover_text(&node.path);
        });
    });
}

/// A cell of a column, from the right: `width` points, its text at the right edge.
pub fn cell(ui: &mut Ui, width: f32, text: RichText) {
    ui.allocate_ui_with_layout(Vec2::new(width, ROW), Layout::right_to_left(Align::Center), |ui| {
        ui.set_min_width(width);
        ui.add(egui::Label::new(text).truncate());
    });
}

/// As [`cell`], its text in the middle.
pub fn cell_centred(ui: &mut Ui, width: f32, text: RichText) {
    let layout = Layout::centered_and_justified(egui::Direction::LeftToRight);
    ui.allocate_ui_with_layout(Vec2::new(width, ROW), layout, |ui| ui.add(egui::Label::new(text)));
}

/// The names of the columns, from the right.
pub fn header(ui: &mut Ui, columns: impl FnOnce(&mut Ui)) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let size = Vec2::new(ui.available_width(), ROW - 2.0);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        ui.add_space(8.0);
        columns(ui);
    });
}

/// The search field of a tree.
pub fn search_field(ui: &mut Ui, ctx: &PanelCtx<'_>, search: &mut String, width: f32) {
    ui.horizontal(|ui| {
        Icon::Search.ui(ui, 14.0, ui.tokens().text_weak);
        let hint = ctx.t(&words::SEARCH_HINT);
        let response = crate::widgets::input::text(ui, "search", search, hint, width);
        response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, ctx.t(&words::SEARCH)));
        if !search.is_empty() && icon_button(ui, Icon::Close, ctx.t(&words::CLEAR_SEARCH)).clicked() {
            search.clear();
        }
    });
}

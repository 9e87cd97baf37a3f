//! The centre: a workspace of tiles in which panels can be split, tabbed and moved.

use std::collections::BTreeMap;

use egui::{Ui, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, Tile, TileId, Tiles, Tree, UiResponse};

use crate::frame::palette::Palette;
use crate::panels::{PANELS, Panel, PanelCtx, PanelId};
use crate::theme::UiTokens;

/// Tiles, the panels in them, and what floats above.
pub struct Workspace {
    tree: Tree<PanelId>,
    panels: BTreeMap<&'static str, Box<dyn Panel>>,
    pub palette: Palette,
    pub show_frame_times: bool,
    pub show_notices: bool,
}

impl Workspace {
    pub fn new(tree: Option<Tree<PanelId>>, saved: &BTreeMap<String, serde_json::Value>) -> Self {
        let mut panels: BTreeMap<&'static str, Box<dyn Panel>> =
            PANELS.iter().map(|info| (info.id, (info.new)())).collect();
        for (id, panel) in &mut panels {
            if let Some(saved) = saved.get(*id) {
                panel.load(saved);
            }
        }
        let sound = |tree: &Tree<PanelId>| {
            tree.root().is_some()
                && tree.tiles.tiles().all(|tile| match tile {
                    Tile::Pane(id) => id.info().is_some(),
                    Tile::Container(_) => true,
                })
        };
        let tree = tree.filter(sound).unwrap_or_else(|| single(&PANELS[0].panel_id()));
        Self { tree, panels, palette: Palette::default(), show_frame_times: false, show_notices: false }
    }

    /// Puts a panel in front: where it is already, else in place of the one that is looked at.
    pub fn open(&mut self, panel: &PanelId) {
        if panel.info().is_none() {
            return;
        }
        if let Some(tile) = self.tree.tiles.find_pane(panel) {
            self.tree.make_active(|id, _| id == tile);
            return;
        }
        match self.tree.root() {
            // The usual case: one panel fills the centre.
            Some(root) if matches!(self.tree.tiles.get(root), Some(Tile::Pane(_))) => {
                self.tree = single(panel);
            }
            Some(_) => self.replace_active(panel),
            None => self.tree = single(panel),
        }
    }

    /// In a workspace of several panels, the first one that is looked at gives way.
    fn replace_active(&mut self, panel: &PanelId) {
        let active = self.tree.active_tiles();
        let pane = active.into_iter().find(|id| matches!(self.tree.tiles.get(*id), Some(Tile::Pane(_))));
        if let Some(id) = pane
            && let Some(Tile::Pane(place)) = self.tree.tiles.get_mut(id)
        {
            *place = panel.clone();
        }
    }

    /// Whether a panel is in front somewhere.
    pub fn is_visible(&self, panel: &PanelId) -> bool {
        self.tree
            .active_tiles()
            .into_iter()
            .any(|id| matches!(self.tree.tiles.get(id), Some(Tile::Pane(pane)) if pane == panel))
    }

    /// Plots and conversation side by side.
    pub fn split_chat(&mut self) {
        self.split(&[crate::panels::train::PANEL.panel_id(), crate::panels::chat::PANEL.panel_id()]);
    }

    pub fn split(&mut self, panels: &[PanelId]) {
        let mut tiles = Tiles::default();
        let panes = panels.iter().map(|panel| tiles.insert_pane(panel.clone())).collect();
        let root = tiles.insert_horizontal_tile(panes);
        self.tree = Tree::new(egui::Id::unique("workspace"), root, tiles);
    }

    pub fn reset(&mut self) {
        self.tree = single(&PANELS[0].panel_id());
    }

    pub fn tree(&self) -> &Tree<PanelId> {
        &self.tree
    }

    /// What panels keep of their looks.
    pub fn save_panels(&self) -> BTreeMap<String, serde_json::Value> {
        let kept = self.panels.iter().map(|(id, panel)| ((*id).to_owned(), panel.save()));
        kept.filter(|(_, value)| !value.is_null()).collect()
    }

    pub fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let alone =
            matches!(self.tree.root().and_then(|root| self.tree.tiles.get(root)), Some(Tile::Pane(_)));
        let mut behavior = Tiled { panels: &mut self.panels, ctx, alone };
        self.tree.ui(&mut behavior, ui);
    }
}

fn single(panel: &PanelId) -> Tree<PanelId> {
    let mut tiles = Tiles::default();
    let root = tiles.insert_pane(panel.clone());
    Tree::new(egui::Id::unique("workspace"), root, tiles)
}

struct Tiled<'a, 'c> {
    panels: &'a mut BTreeMap<&'static str, Box<dyn Panel>>,
    ctx: &'a PanelCtx<'c>,
    /// A panel alone needs no tab above it.
    alone: bool,
}

impl Behavior<PanelId> for Tiled<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, pane: &mut PanelId) -> UiResponse {
        let fill = ui.tokens().panel;
        let frame = egui::Frame::new().fill(fill).inner_margin(egui::Margin::symmetric(18, 14));
        frame.show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            if let Some(panel) = self.panels.get_mut(pane.0.as_ref()) {
                panel.ui(ui, self.ctx);
            }
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &PanelId) -> WidgetText {
        pane.info().map_or_else(String::new, |info| self.ctx.t(&info.name).to_owned()).into()
    }

    fn is_tab_closable(&self, _tiles: &Tiles<PanelId>, _tile: TileId) -> bool {
        !self.alone
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: !self.alone, ..SimplificationOptions::default() }
    }
}

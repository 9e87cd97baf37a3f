//! Above the tree: presets, roles, the words of the setting, and a field for a glob.

use egui::{RichText, Ui};
use protocol::{ParamSpec, RunConfig};
use serde_json::Value;

use super::TargetsPart;
use super::select::target_words;
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::chip::{Tri, chip, removable_chip};
use crate::widgets::module_tree::search_field;
use crate::widgets::{Icon, button, input};
use crate::words::method as words;

const ATTENTION: [&str; 5] = ["q", "k", "v", "qkv", "o"];
const MLP: [&str; 4] = ["gate", "up", "gate_up", "down"];

impl TargetsPart {
    pub(super) fn bar(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, config: &mut RunConfig) {
        ui.spacing_mut().item_spacing.y = 5.0;
        self.presets(ui, ctx, spec, config);
        self.roles(ui, ctx, spec, config);
        self.typed(ui, ctx, spec, config);
    }

    fn presets(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, config: &mut RunConfig) {
        let mask_of = |wanted: &[&str]| {
            let mut mask = vec![false; self.vocabulary.len()];
            for (_, members) in self.vocabulary.roles().filter(|(role, _)| wanted.contains(role)) {
                members.iter().for_each(|member| mask[*member as usize] = true);
            }
            mask
        };
        let presets = [
            (&words::PRESET_AUTO, &words::PRESET_AUTO_HELP, self.vocabulary.chosen(&"auto".into())),
            (&words::PRESET_ATTENTION, &words::PRESET_ATTENTION_HELP, mask_of(&ATTENTION)),
            (&words::PRESET_MLP, &words::PRESET_MLP_HELP, mask_of(&MLP)),
            (&words::PRESET_ALL, &words::PRESET_ALL_HELP, self.vocabulary.chosen(&"all-linear".into())),
        ];
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            for (name, help, mask) in presets {
                if !mask.contains(&true) {
                    continue;
                }
                let state = if self.shown.on == mask { Tri::On } else { Tri::Off };
                if chip(ui, state, ctx.t(name)).on_hover_text(ctx.t(help)).clicked() {
                    config.method.params.insert(spec.key.clone(), self.vocabulary.shortest(&mask));
                }
            }
        });
    }

    /// A chip for each role of the model, and for each part of its fused matrices.
    fn roles(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, config: &mut RunConfig) {
        let mut clicked: Option<(Vec<u32>, bool)> = None;
        let mut part_clicked: Option<(&str, bool)> = None;
        let value = config.method.params.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        let parts_on = self.vocabulary.part_words(&value);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            ui.label(RichText::new(ctx.t(&words::ROLES)).small().color(ui.tokens().text_weak));
            for (role, members) in self.vocabulary.roles() {
                let on = |mask: &[bool]| members.iter().filter(|member| mask[**member as usize]).count();
                let state = Tri::of(on(&self.shown.on), members.len());
                let count = members.len();
                let help = protocol::text!("{count} matrices", "{count} 个矩阵");
                if chip(ui, state, role).on_hover_text(ctx.t(&help)).clicked() {
                    clicked = Some((members.to_vec(), on(&self.shown.wanted) < members.len()));
                }
            }
            for (role, members) in self.vocabulary.parts() {
                let on = parts_on.contains(&role);
                let count = members.len();
                let help =
                    protocol::text!("its rows in {count} fused matrices", "{count} 个合并矩阵中的相应行");
                if chip(ui, if on { Tri::On } else { Tri::Off }, role).on_hover_text(ctx.t(&help)).clicked() {
                    part_clicked = Some((role, !on));
                }
            }
        });
        if let Some((role, on)) = part_clicked {
            self.set_part(spec, config, role, on);
        }
        if let Some((members, on)) = clicked {
            self.set(spec, config, &members, on);
        }
    }

    /// What the run file will say, word by word, and a field for one more.
    fn typed(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, config: &mut RunConfig) {
        let value = config.method.params.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        let current = target_words(&value);
        let mut next: Option<Value> = None;
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            ui.label(
                RichText::new(format!("{} =", spec.key)).small().monospace().color(ui.tokens().text_weak),
            );
            for (index, word) in current.iter().enumerate().take(24) {
                let count = self.vocabulary.matching(word).len();
                let name = format!("{} {word}", ctx.t(&words::REMOVE));
                if removable_chip(ui, &format!("{word}  {count}"), &name).clicked() {
                    let rest = current.iter().enumerate().filter(|(other, _)| *other != index);
                    next = Some(rest.map(|(_, word)| *word).collect::<Vec<_>>().into());
                }
            }
            if current.len() > 24 {
                let more = current.len() - 24;
                ui.label(RichText::new(ctx.t(&protocol::text!("{more} more", "另有 {more} 个"))).small());
            }
        });
        ui.horizontal(|ui| {
            let response = input::text(ui, "glob", &mut self.glob, ctx.t(&words::GLOB_HINT), 170.0);
            response
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, ctx.t(&words::GLOB)));
            let glob = self.glob.trim().to_owned();
            if glob.is_empty() {
                search_field(ui, ctx, &mut self.view.search, 130.0);
                return;
            }
            let count = self.vocabulary.matching(&glob).len();
            let colour = if count == 0 { ui.tokens().error } else { ui.tokens().text_weak };
            let text = protocol::text!("{count} matches", "匹配 {count} 个");
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let add =
                ui.add_enabled_ui(count > 0, |ui| button(ui, Some(Icon::Plus), ctx.t(&words::ADD)).clicked());
            ui.label(RichText::new(ctx.t(&text)).small().color(colour));
            if count > 0 && (add.inner || entered) {
                let mut list: Vec<&str> = current.iter().copied().filter(|word| !word.is_empty()).collect();
                if !list.contains(&glob.as_str()) {
                    list.push(&glob);
                }
                next = Some(list.into());
                self.glob.clear();
            }
        });
        if let Some(next) = next {
            config.method.params.insert(spec.key.clone(), next);
        }
    }
}

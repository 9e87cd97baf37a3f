//! The chosen method's settings, drawn from its descriptor.

use egui::{RichText, Ui};
use protocol::{Descriptor, ParamKind, RunConfig};
use serde_json::Value;

use super::targets;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{Icon, card, field, form, icon_button, input, section};
use crate::words::method as words;

pub fn form(ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, config: &mut RunConfig) {
    let expert = ctx.state.preferences.expert;
    let tree = targets::targets_spec(method).map(|spec| spec.key.as_str());
    // Tables have their columns in the tree; the expert sees what is written, too.
    let shown = |spec: &&protocol::ParamSpec| {
        Some(spec.key.as_str()) != tree && (expert || !spec.advanced || is_set(spec, config))
    };
    let specs: Vec<_> = method.params.iter().filter(shown).collect();
    if specs.is_empty() && !expert {
        return;
    }
    section(ui, ctx.t(&words::SETTINGS));
    card(ui, |ui| {
        form::settings(ui, ctx, specs.into_iter(), &mut config.method.params);
        scale(ui, ctx, method, config);
        if expert && tree.is_some() {
            init_from(ui, ctx, config);
        }
        unknown(ui, ctx, method, config);
    });
}

/// Whether the file sets it otherwise than by default: such a setting is never hidden.
fn is_set(spec: &protocol::ParamSpec, config: &RunConfig) -> bool {
    let value = config.method.params.get(&spec.key);
    let by_tree = spec.kind == ParamKind::Patterns;
    !by_tree && value.is_some_and(|value| *value != spec.kind.default_value())
}

/// Alpha over rank: what the learned change is multiplied by.
fn scale(ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, config: &RunConfig) {
    let number = |key: &str| {
        let spec = method.params.iter().find(|spec| spec.key == key)?;
        let default = spec.kind.default_value();
        config.method.params.get(key).unwrap_or(&default).as_f64()
    };
    let (Some(rank), Some(alpha)) = (number("rank"), number("alpha")) else { return };
    if rank <= 0.0 {
        return;
    }
    let stable = config.method.params.get("rslora").and_then(Value::as_bool).unwrap_or(false);
    let (divisor, formula) =
        if stable { (rank.sqrt(), &words::SCALE_ROOT) } else { (rank, &words::SCALE_PLAIN) };
    field(ui, ctx.t(formula), ctx.t(&words::SCALE), |ui| {
        ui.label(RichText::new(input::factor(alpha / divisor)).color(ui.tokens().accent))
    });
}

fn init_from(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    field(ui, ctx.t(&words::INIT_FROM), ctx.t(&words::INIT_FROM_HELP), |ui| {
        let mut path = config.method.init_from.display().to_string();
        let inner = ui.horizontal(|ui| {
            let response = input::text(ui, "init_from", &mut path, ctx.t(&words::INIT_FROM_HINT), 70.0);
            if icon_button(ui, Icon::FolderOpen, ctx.t(&words::CHOOSE_ADAPTER)).clicked() {
                let start = config.method.init_from.parent().map(std::path::Path::to_path_buf);
                let request = DesktopRequest::PickFolder { purpose: Purpose::InitFrom, start };
                ctx.push(crate::action::Action::Desktop(request));
            }
            response
        });
        if inner.inner.changed() {
            config.method.init_from = path.into();
        }
        inner.inner
    });
}

/// Keys of the file that the method does not know: kept, shown, and taken away with a click.
fn unknown(ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, config: &mut RunConfig) {
    let known = |key: &str| method.params.iter().any(|spec| spec.key == key);
    let strange: Vec<String> = config.method.params.keys().filter(|key| !known(key)).cloned().collect();
    if strange.is_empty() {
        return;
    }
    ui.label(RichText::new(ctx.t(&words::UNKNOWN_SETTINGS)).small().color(ui.tokens().warning));
    for key in strange {
        let value = config.method.params.get(&key).map(Value::to_string).unwrap_or_default();
        let remove = format!("{} {key}", ctx.t(&words::REMOVE));
        if crate::widgets::chip::removable_chip(ui, &format!("{key} = {value}"), &remove).clicked() {
            config.method.params.remove(&key);
        }
    }
}

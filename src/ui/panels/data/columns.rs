//! Which column of the file plays which part.

use egui::Ui;
use protocol::{Descriptor, Preset, PreviewRow, RunConfig};

use super::source::effective_format;
use crate::panels::PanelCtx;
use crate::widgets::column_map::ColumnMap;
use crate::widgets::{Icon, button, hint, section};
use crate::words::data as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, row: Option<&PreviewRow>) {
    let mut config = ctx.state.project.config.clone();
    let format = effective_format(ctx).unwrap_or_else(|| "columns".to_owned());
    let described = ctx.state.engine.format(&format);
    let columns = columns(ctx, row);
    let fields = described.map(|format| format.params.as_slice()).unwrap_or_default();
    let row = row.map(|row| row.fields.as_slice()).unwrap_or_default();
    let map = ColumnMap { fields, columns: &columns, row };
    ui.horizontal(|ui| {
        let name = ctx.state.engine.format_name(&format, ctx.language);
        section(ui, &format!("{} · {name}", ctx.t(&words::FORMAT)));
        buttons(ui, ctx, &mut config, described, &map);
    });
    if map.fields.is_empty() {
        hint(ui, ctx.t(&words::NO_FIELDS));
    } else {
        map.ui(ui, ctx, &mut config.data.columns);
    }
    ctx.edit(config);
}

/// The columns' names: those of all rows looked at, else those of this row.
fn columns(ctx: &PanelCtx<'_>, row: Option<&PreviewRow>) -> Vec<String> {
    let known =
        ctx.state.data.page.value.as_ref().map(|page| page.source.columns.clone()).unwrap_or_default();
    if known.is_empty()
        && let Some(row) = row
    {
        return row.fields.iter().map(|(name, _)| name.clone()).collect();
    }
    known
}

fn buttons(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    config: &mut RunConfig,
    format: Option<&Descriptor>,
    map: &ColumnMap<'_>,
) {
    ui.menu_button(ctx.t(&words::COLUMN_PRESETS), |ui| {
        for preset in &ctx.state.engine.catalog.column_maps {
            if ui.button(ctx.t(&preset.name)).on_hover_text(ctx.t(&preset.help)).clicked() {
                apply_preset(config, preset);
                ui.close();
            }
        }
    });
    if format.is_some() && button(ui, Some(Icon::Bolt), ctx.t(&words::BEST_GUESS)).clicked() {
        map.guess(&mut config.data.columns);
    }
    if !config.data.columns.is_empty() && button(ui, Some(Icon::Close), ctx.t(&words::CLEAR)).clicked() {
        config.data.columns.clear();
    }
}

/// Takes the format and the map of a preset's `[data]`.
fn apply_preset(config: &mut RunConfig, preset: &Preset) {
    let Ok(table) = preset.source.parse::<toml::Table>() else { return };
    let Some(data) = table.get("data").and_then(toml::Value::as_table) else { return };
    if let Some(format) = data.get("format").and_then(toml::Value::as_str) {
        config.data.format = format.to_owned();
    }
    let map = data.get("columns").and_then(toml::Value::as_table).into_iter().flatten();
    let map = map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    config.data.columns = map.collect();
}

#[cfg(test)]
mod tests {
    use protocol::Text;

    use super::*;

    #[test]
    fn a_preset_sets_the_format_and_the_map_and_a_broken_one_nothing() {
        let preset = |source: &str| Preset {
            id: "x".into(),
            name: Text::fixed("", ""),
            help: Text::fixed("", ""),
            source: source.into(),
        };
        let mut config = RunConfig::default();
        apply_preset(&mut config, &preset("[data"));
        assert_eq!(config, RunConfig::default());
        let source = "[data]\nformat = \"completion\"\n[data.columns]\nprompt = \"# {{ title }}\"";
        apply_preset(&mut config, &preset(source));
        assert_eq!(config.data.format, "completion");
        assert_eq!(config.data.columns["prompt"], "# {{ title }}");
    }
}

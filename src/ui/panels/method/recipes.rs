//! Recipes: method and training settings of a run file, to take, keep and hand on.

use std::path::{Path, PathBuf};

use egui::Ui;
use protocol::config::{DataConfig, Validation, parse_run_file};
use protocol::{Preset, RunConfig};

use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::toasts::{Level, Toast};
use crate::theme::UiTokens;
use crate::widgets::hint;
use crate::widgets::icon::Icon;
use crate::words::method as words;

pub fn menu(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let icon = Icon::Star.image(15.0, ui.tokens().text);
    ui.menu_image_text_button(icon, ctx.t(&words::RECIPE), |ui| {
        ui.set_min_width(260.0);
        let recipes = &ctx.state.engine.catalog.recipes;
        hint(ui, ctx.t(if recipes.is_empty() { &words::NO_RECIPES } else { &words::RECIPE_HELP }));
        for recipe in recipes {
            if ui.button(ctx.t(&recipe.name)).on_hover_text(ctx.t(&recipe.help)).clicked() {
                take(ctx, recipe, config);
                ui.close();
            }
        }
        ui.separator();
        if ui.button(ctx.t(&words::SAVE_RECIPE)).clicked() {
            let suggested = format!("{}.toml", ctx.state.project.file_name());
            let request = DesktopRequest::PickSave { purpose: Purpose::SaveRecipe, suggested };
            ctx.push(Action::Desktop(request));
            ui.close();
        }
        if ui.button(ctx.t(&words::COPY_RUN)).clicked() {
            copy(ui, ctx);
            ui.close();
        }
    });
}

/// Method and training settings come from the recipe; model, data and the user's own prompts stay. A recipe without
/// files of its own also says how a kind of file is read.
fn take(ctx: &PanelCtx<'_>, recipe: &Preset, config: &mut RunConfig) {
    match parse_run_file(&recipe.source, Path::new(&recipe.id)) {
        Ok(parsed) => {
            let samples = std::mem::take(&mut config.train.samples);
            if parsed.data.train.is_empty() {
                config.data = data_settings(parsed.data, std::mem::take(&mut config.data));
            }
            config.method = parsed.method;
            config.train = parsed.train;
            if config.train.samples.is_empty() {
                config.train.samples = samples;
            }
        }
        Err(error) => {
            let toast = Toast { level: Level::Error, text: error.what.clone(), error: Some(error) };
            ctx.push(Action::Toast(toast));
        }
    }
}

/// How the recipe reads data, over the user's own files.
fn data_settings(recipe: DataConfig, own: DataConfig) -> DataConfig {
    let validation = match own.validation {
        files @ Validation::Files(_) => files,
        Validation::Fraction(_) => recipe.validation,
    };
    DataConfig { train: own.train, weights: own.weights, validation, ..recipe }
}

/// The run file as text, its paths made whole: it will stand in another folder.
fn copy(ui: &Ui, ctx: &PanelCtx<'_>) {
    let project = &ctx.state.project;
    let (level, text) = match toml::to_string_pretty(&whole_paths(project.config.clone(), &project.base)) {
        Ok(source) => {
            ui.copy_text(source);
            (Level::Success, &words::COPIED)
        }
        Err(err) => {
            tracing::warn!("run file: {err}");
            (Level::Error, &words::NOT_COPIED)
        }
    };
    ctx.push(Action::Toast(Toast::new(level, text.clone())));
}

fn whole_paths(mut config: RunConfig, base: &Path) -> RunConfig {
    let whole = |path: &mut PathBuf| {
        if !path.as_os_str().is_empty() {
            *path = base.join(&*path);
        }
    };
    whole(&mut config.model.path);
    config.vocabulary.paths_mut().for_each(whole);
    whole(&mut config.method.init_from);
    config.data.change_paths(whole);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_for_a_kind_of_data_keeps_the_users_files() {
        let recipe = DataConfig { format: "columns".into(), max_length: 512, ..DataConfig::default() };
        let own = DataConfig {
            train: vec!["mine.csv".into()],
            weights: [("mine.csv".to_owned(), 0.5)].into(),
            validation: Validation::Files(vec!["held.csv".into()]),
            max_length: 7,
            ..DataConfig::default()
        };
        let taken = data_settings(recipe, own.clone());
        assert_eq!((&taken.train, &taken.validation), (&own.train, &own.validation));
        assert_eq!(taken.weights, own.weights);
        assert_eq!((taken.format.as_str(), taken.max_length), ("columns", 512));
    }

    #[test]
    fn a_copied_run_file_is_read_again_anywhere() {
        let mut config = RunConfig::default();
        config.model.path = "m".into();
        config.data.train = vec!["d.jsonl".into()];
        config.data.weights = [("d.jsonl".into(), 2.0)].into();
        config.vocabulary.file = "words.txt".into();
        config.method.params.insert("rank_pattern".into(), serde_json::json!({"q": 4}));
        let whole = whole_paths(config, Path::new("/base"));
        let source = toml::to_string_pretty(&whole).unwrap();
        let back = parse_run_file(&source, Path::new("x")).unwrap();
        assert_eq!(back, whole);
        assert_eq!(back.model.path, Path::new("/base/m"));
        assert_eq!(back.data.weights["/base/d.jsonl"], 2.0);
        assert_eq!(back.vocabulary.file, Path::new("/base/words.txt"));
        assert_eq!(back.method.init_from, PathBuf::new());
    }
}

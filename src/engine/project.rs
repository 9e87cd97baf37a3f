//! A run file's settings, moved to another folder.

use std::path::{Component, Path, PathBuf};

use data::Preset;
use protocol::RunConfig;

use crate::plan;

/// The settings as a run file in `folder` has them, which had relative paths from `base`: relative where they lie
/// below `folder`, so that the folder can be moved, and absolute elsewhere.
pub fn moved(config: RunConfig, base: &Path, folder: &Path) -> RunConfig {
    let mut config = plan::absolute(config, base);
    config.data.template = moved_template(&config.data.template, base, folder);
    let relative = |path: &mut PathBuf| *path = relative_to(folder, path);
    relative(&mut config.model.path);
    relative(&mut config.method.init_from);
    config.vocabulary.paths_mut().for_each(relative);
    config.data.change_paths(relative);
    config
}

/// Only a template that names a file has a place.
fn moved_template(choice: &str, base: &Path, folder: &Path) -> String {
    let named = choice == "auto" || Preset::named(choice).is_some();
    let itself = choice.contains("{{") || choice.contains("{%");
    let file = base.join(choice);
    if named || itself || choice.is_empty() || !file.is_file() {
        return choice.to_owned();
    }
    let file = std::path::absolute(&file).unwrap_or(file);
    let moved = relative_to(folder, &file);
    // A file that is named like a preset, or like a template, is only found by its whole path.
    let moved = moved.to_str().filter(|name| *name != "auto" && Preset::named(name).is_none());
    moved.or(file.to_str()).map_or_else(|| choice.to_owned(), str::to_owned)
}

/// With `/` between the parts, which every system reads.
fn relative_to(folder: &Path, path: &Path) -> PathBuf {
    let Ok(below) = path.strip_prefix(folder) else { return path.to_owned() };
    if path.as_os_str().is_empty() || folder.as_os_str().is_empty() {
        return path.to_owned();
    }
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    match below.to_str() {
        Some("") => PathBuf::from("."),
        Some(name) if plain && cfg!(windows) => PathBuf::from(name.replace('\\', "/")),
        _ if plain => below.to_owned(),
        _ => path.to_owned(),
    }
}

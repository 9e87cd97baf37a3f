//! What the window is set to: a run file that can be saved, opened and handed to the command line.

use std::path::PathBuf;

use protocol::{Remedy, RunConfig};

use crate::persisted::SavedProject;

/// How many changes can be undone.
const UNDO_DEPTH: usize = 200;
/// Changes of the same keys within this many seconds are one.
const ONE_CHANGE_SECONDS: f64 = 0.8;

#[derive(Debug, Default)]
pub struct Project {
    /// Where it was opened from or saved to.
    pub path: Option<PathBuf>,
    pub name: String,
    /// What relative paths in the settings are relative to.
    pub base: PathBuf,
    pub config: RunConfig,
    /// The settings as saved.
    pub saved: RunConfig,
    undo: Vec<RunConfig>,
    redo: Vec<RunConfig>,
    last_edit: Option<(f64, Vec<String>)>,
}

impl Project {
    /// A project as read from a run file.
    pub fn opened(path: PathBuf, config: RunConfig) -> Self {
        let base = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self { path: Some(path), name, base, saved: config.clone(), config, ..Self::default() }
    }

    /// A project with nothing but a model.
    pub fn new(model: protocol::config::ModelConfig, base: PathBuf) -> Self {
        let config = RunConfig { model, ..RunConfig::default() };
        Self { base, saved: config.clone(), config, ..Self::default() }
    }

    /// A project as the window left it.
    pub fn restored(saved: SavedProject) -> Self {
        let SavedProject { path, name, base, config, saved } = saved;
        Self { path, name, base, config, saved, ..Self::default() }
    }

    /// Nothing was opened and nothing was set.
    pub fn is_blank(&self) -> bool {
        self.path.is_none() && self.config == RunConfig::default()
    }

    /// A name for files of this project.
    pub fn file_name(&self) -> &str {
        if self.name.is_empty() { "project" } else { &self.name }
    }

    /// The settings now lie in this run file. Relative paths keep what they are relative to.
    pub fn saved_to(&mut self, path: PathBuf) {
        self.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        self.path = Some(path);
        self.saved = self.config.clone();
    }

    pub fn is_changed(&self) -> bool {
        self.config != self.saved
    }

    /// Takes new settings at `now` (seconds); dragging a slider is one change.
    pub fn edit(&mut self, config: RunConfig, now: f64) {
        if config == self.config {
            return;
        }
        let keys = changed_keys(&self.config, &config);
        let goes_on = self
            .last_edit
            .as_ref()
            .is_some_and(|(then, before)| now - then < ONE_CHANGE_SECONDS && *before == keys);
        if !goes_on {
            self.undo.push(self.config.clone());
            if self.undo.len() > UNDO_DEPTH {
                self.undo.remove(0);
            }
        }
        self.redo.clear();
        self.last_edit = Some((now, keys));
        self.config = config;
    }

    /// The settings with a remedy's changes; None if they do not fit the run file.
    pub fn mended(&self, remedy: &Remedy) -> Option<RunConfig> {
        let mut value = serde_json::to_value(&self.config).ok()?;
        for (key, new) in &remedy.changes {
            set(&mut value, key, new.clone())?;
        }
        serde_json::from_value(value).ok()
    }

    pub fn can_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.redo.is_empty()
    }

    pub fn undo(&mut self) {
        if let Some(config) = self.undo.pop() {
            self.redo.push(std::mem::replace(&mut self.config, config));
            self.last_edit = None;
        }
    }

    pub fn redo(&mut self) {
        if let Some(config) = self.redo.pop() {
            self.undo.push(std::mem::replace(&mut self.config, config));
            self.last_edit = None;
        }
    }
}

/// Sets a dotted key; sections that are missing are made.
fn set(value: &mut serde_json::Value, key: &str, new: serde_json::Value) -> Option<()> {
    let mut place = value;
    for part in key.split('.') {
        place = place.as_object_mut()?.entry(part).or_insert_with(|| serde_json::json!({}));
    }
    *place = new;
    Some(())
}

/// Dotted keys in which two settings differ: `train.epochs`.
pub fn changed_keys(one: &RunConfig, other: &RunConfig) -> Vec<String> {
    let (one, other) = (serde_json::to_value(one), serde_json::to_value(other));
    let (Ok(one), Ok(other)) = (one, other) else { return Vec::new() };
    let mut keys = Vec::new();
    collect(&one, &other, "", 0, &mut keys);
    keys
}

fn collect(
    one: &serde_json::Value,
    other: &serde_json::Value,
    path: &str,
    depth: usize,
    keys: &mut Vec<String>,
) {
    if one == other {
        return;
    }
    let empty = serde_json::Map::new();
    match (one.as_object(), other.as_object()) {
        (Some(_), _) | (_, Some(_)) if depth < 2 => {
            let (one, other) = (one.as_object().unwrap_or(&empty), other.as_object().unwrap_or(&empty));
            let mut names: Vec<_> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let null = serde_json::Value::Null;
                let (a, b) = (one.get(name).unwrap_or(&null), other.get(name).unwrap_or(&null));
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(a, b, &path, depth + 1, keys);
            }
        }
        _ => keys.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_epochs(epochs: f64) -> RunConfig {
        let mut config = RunConfig::default();
        config.train.epochs = epochs;
        config
    }

    #[test]
    fn dragging_is_one_change_and_can_be_undone() {
        let mut project = Project::default();
        for (now, epochs) in [(0.0, 4.0), (0.1, 5.0), (0.2, 6.0)] {
            project.edit(with_epochs(epochs), now);
        }
        project.edit(with_epochs(9.0), 5.0);
        project.undo();
        assert_eq!(project.config.train.epochs, 6.0);
        project.undo();
        assert_eq!(project.config, RunConfig::default());
        project.redo();
        assert_eq!(project.config.train.epochs, 6.0);
        assert!(project.is_changed() && project.can_undo() && project.can_redo());
    }

    #[test]
    fn a_remedy_changes_the_keys_it_names() {
        let remedy = Remedy {
            label: protocol::Text::fixed("x", "x"),
            changes: vec![("data.max_length".into(), 1536.into()), ("method.rank".into(), 4.into())],
        };
        let mended = Project::default().mended(&remedy).unwrap();
        assert_eq!(mended.data.max_length, 1536);
        assert_eq!(mended.method.params["rank"], 4);
        assert_eq!(changed_keys(&RunConfig::default(), &mended), ["data.max_length", "method.rank"]);
        let bad = Remedy { changes: vec![("data.max_length".into(), "x".into())], ..remedy };
        assert!(Project::default().mended(&bad).is_none());
    }
}

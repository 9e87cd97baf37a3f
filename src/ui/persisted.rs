//! What outlives the window, besides egui's own memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::{HubSettings, Language, RunConfig};
use serde::{Deserialize, Serialize};

use crate::hosting::Hosting;
use crate::panels::PanelId;

/// Raised when old files need care in [`Persisted`].
pub const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    #[default]
    System,
    Dark,
    Light,
}

/// What the user set in Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// None: as the system has it.
    pub language: Option<Language>,
    pub theme: ThemeChoice,
    pub zoom: f32,
    /// Every setting in the forms, not only the usual ones.
    pub expert: bool,
    /// Where the engine runs.
    pub hosting: Hosting,
    /// None: where runs go by default.
    pub runs_dir: Option<PathBuf>,
    pub notify: bool,
    pub keep_awake: bool,
    /// Newest first.
    pub recent_models: Vec<PathBuf>,
    pub recent_projects: Vec<PathBuf>,
    /// The summary at the right is folded.
    pub summary_folded: bool,
    /// Addresses of hubs, and whether they are asked at all; tokens stand elsewhere.
    pub hubs: HubSettings,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            language: None,
            theme: ThemeChoice::System,
            zoom: 1.0,
            expert: false,
            hosting: Hosting::default(),
            runs_dir: None,
            notify: true,
            keep_awake: true,
            recent_models: Vec::new(),
            recent_projects: Vec::new(),
            summary_folded: false,
            hubs: HubSettings::default(),
        }
    }
}

/// The window's file. Every part has a default, so that older files are read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Persisted {
    pub version: u32,
    pub preferences: Preferences,
    /// The settings as they were left, saved or not.
    pub project: Option<SavedProject>,
    pub layout: Option<egui_tiles::Tree<PanelId>>,
    /// What panels keep, by id.
    pub panels: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedProject {
    pub path: Option<PathBuf>,
    pub name: String,
    pub base: PathBuf,
    pub config: RunConfig,
    pub saved: RunConfig,
}

/// How many models and projects are remembered.
const RECENT: usize = 8;

/// Puts a path first in a short list.
pub fn remember(list: &mut Vec<PathBuf>, path: &Path) {
    list.retain(|known| known != path);
    list.insert(0, path.to_path_buf());
    list.truncate(RECENT);
}

//! Descriptors of everything that can be chosen. Forms, command-line help and documents are drawn
//! from these, so that a new method or family needs no change anywhere else.

use serde::{Deserialize, Serialize};

use crate::Text;

/// Everything the engine offers, sent once at the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    pub families: Vec<Descriptor>,
    pub methods: Vec<Descriptor>,
    pub formats: Vec<Descriptor>,
    pub targets: Vec<Descriptor>,
    pub schedules: Vec<Descriptor>,
    pub optimizers: Vec<Descriptor>,
    /// Evaluation suites.
    #[serde(default)]
    pub suites: Vec<Descriptor>,
    /// Ids of the formats that a dataset can be written in.
    #[serde(default)]
    pub written_formats: Vec<String>,
    /// What a run can be handed to on other machines.
    #[serde(default)]
    pub engines: Vec<Descriptor>,
    /// Ids of the methods that can be handed over.
    #[serde(default)]
    pub handed_methods: Vec<String>,
    /// Where models and datasets are fetched from and published.
    #[serde(default)]
    pub hubs: Vec<Descriptor>,
    /// Complete runs (presets/recipes).
    #[serde(default)]
    pub recipes: Vec<Preset>,
    /// Chat templates (presets/templates).
    #[serde(default)]
    pub templates: Vec<Preset>,
    /// Column maps (presets/datasets).
    #[serde(default)]
    pub column_maps: Vec<Preset>,
}

/// A file that comes with the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// What a run file calls it.
    pub id: String,
    pub name: Text,
    pub help: Text,
    /// The file's text.
    pub source: String,
}

/// One thing that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    pub id: String,
    pub name: Text,
    pub help: Text,
    pub params: Vec<ParamSpec>,
}

/// One setting of a [`Descriptor`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// The key in the run file.
    pub key: String,
    pub name: Text,
    pub help: Text,
    pub kind: ParamKind,
    /// Hidden behind "more" in a form.
    pub advanced: bool,
}

/// Type, range and default of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParamKind {
    Integer {
        default: i64,
        min: i64,
        max: i64,
    },
    Number {
        default: f64,
        min: f64,
        max: f64,
    },
    Switch {
        default: bool,
    },
    Choice {
        default: String,
        choices: Vec<String>,
    },
    Text {
        default: String,
    },
    /// Roles, globs, or one of the words "auto" and "all-linear".
    Targets {
        default: String,
    },
    /// Pattern → number, such as rank per module.
    Patterns,
}

impl ParamKind {
    /// The value that stands when the run file says nothing.
    pub fn default_value(&self) -> serde_json::Value {
        match self {
            Self::Integer { default, .. } => (*default).into(),
            Self::Number { default, .. } => (*default).into(),
            Self::Switch { default } => (*default).into(),
            Self::Choice { default, .. } | Self::Text { default } | Self::Targets { default } => {
                default.clone().into()
            }
            Self::Patterns => serde_json::Value::Object(serde_json::Map::new()),
        }
    }
}

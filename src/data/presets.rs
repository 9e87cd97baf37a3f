//! The files that come with the program, inside it: recipes, column maps, chat templates.

use protocol::{Preset, Text, config::about};

use crate::template::PRESETS;

macro_rules! files {
    ($folder:literal $($id:literal)*) => {
        &[$(($id, include_str!(concat!("../../presets/", $folder, "/", $id, ".toml")))),*]
    };
}

/// Id and text of each file, in the order in which they are offered.
type Files = &'static [(&'static str, &'static str)];

const RECIPES: Files = files! { "recipes"
    "quickstart" "quickstart-zh" "starter-base"
    "cpm-bee-choice" "belle-chat" "paper-classification" "ultrachat-gpt2"
};
const COLUMN_MAPS: Files = files! { "datasets"
    "instruction" "question" "completion" "title" "summary" "paper" "choice"
};

/// Complete runs, and such as want a model and data of the user's.
pub fn recipes() -> Vec<Preset> {
    described(RECIPES)
}

/// `[data]` settings for common tables.
pub fn column_maps() -> Vec<Preset> {
    described(COLUMN_MAPS)
}

/// Chat templates.
pub fn templates() -> Vec<Preset> {
    let preset = |preset: &crate::template::Preset| Preset {
        id: preset.name.to_owned(),
        name: Text::fixed(preset.title.0, preset.title.1),
        help: Text::fixed(preset.help.0, preset.help.1),
        source: preset.source.to_owned(),
    };
    PRESETS.iter().map(preset).collect()
}

/// Files with their own `[about]`; one without is called by its id.
fn described(files: Files) -> Vec<Preset> {
    let preset = |(id, source): &(&'static str, &'static str)| {
        let (name, help) = about(source).unwrap_or((Text::fixed(id, id), Text::fixed("", "")));
        Preset { id: (*id).to_owned(), name, help, source: (*source).to_owned() }
    };
    files.iter().map(preset).collect()
}

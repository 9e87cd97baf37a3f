//! Handing a run to other machines: a folder that trains there with what people run there, and what comes back of it. An
//! engine is one file here and one word in `engines!`.

mod able;
mod folder;
mod import;
mod job;
mod launch;
mod notes;
mod start;

use protocol::{Descriptor, Result, Text, UserError, text};

pub use able::METHODS;
pub use folder::hand_off;
pub use import::import;
pub use launch::Cluster;

/// What marks a run folder that other machines fill.
pub const MARK: &str = "handoff.json";
/// The run folder among what is handed over.
const RUN: &str = "run";
/// The base model's folder, where it is copied.
const MODEL: &str = "model";
const ADAPTER: &str = "adapter";

/// What one engine's file exports.
pub struct Engine {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// Releases it needs beyond those of the script, a line each of requirements.txt.
    pub requirements: &'static [&'static str],
    /// Its settings: paths in the folder, and texts.
    pub files: fn(&Cluster) -> Vec<(&'static str, String)>,
    /// What starts the script on one machine, and on each of several.
    pub alone: fn(&Cluster) -> String,
    pub together: fn(&Cluster) -> String,
}

macro_rules! engines {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every engine this program knows.
        pub const ENGINES: &[&Engine] = &[$(&$module::ENGINE),*];
    };
}

engines! { accelerate_fsdp, accelerate_deepspeed, torchrun }

/// The engine of a request.
///
/// # Errors
/// When nobody knows it; names the nearest.
pub fn engine_of(id: &str) -> Result<&'static Engine> {
    ENGINES.iter().copied().find(|engine| engine.id == id).ok_or_else(|| {
        let known: Vec<_> = ENGINES.iter().map(|engine| engine.id).collect();
        let near = protocol::config::nearest(id, known.iter().copied()).unwrap_or("accelerate-fsdp");
        let known = known.join(", ");
        UserError::bad_input(text!("A run cannot be handed to `{id}`", "无法将训练移交给 `{id}`"))
            .at_item("--engine")
            .mend(text!("did you mean `{near}`? Known are: {known}", "是否想用 `{near}`？已知的有：{known}"))
    })
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    let descriptor = |engine: &&Engine| Descriptor {
        id: engine.id.into(),
        name: engine.name.clone(),
        help: engine.help.clone(),
        params: Vec::new(),
    };
    ENGINES.iter().map(descriptor).collect()
}

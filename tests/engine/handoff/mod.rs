//! A run that is handed to other machines, and one that comes back.

mod back;
mod folder;
mod refused;

use std::path::Path;

use data::Silent;
use engine::handoff::hand_off;
use protocol::config::parse_run_file;
use protocol::{HandoffReport, HandoffRequest, UserError};

use crate::project::run_file;
use crate::runs::support::Project;

/// What most of these runs are: a LoRA with rates and decays of its own.
pub const LORA: &str = "max_steps = 5\ngradient_accumulation = 2\nsave_every = 2\neval_every = 2\nweight_decay = 0.01\n\
    [model]\ndtype = \"f32\"\n[method]\nkind = \"lora\"\nrank = 3\ntargets = \"all-linear\"\nloraplus_ratio = 4.0\n";

/// A request over a project's model and data.
pub fn request(project: &Project, settings: &str, engine: &str, out: &str) -> HandoffRequest {
    let config = parse_run_file(&run_file(settings), Path::new("run.toml")).unwrap();
    HandoffRequest {
        config: Box::new(config),
        base: project.dir.path().to_owned(),
        name: "a run".into(),
        engine: engine.into(),
        out: project.path(out),
        nodes: 1,
        cards: 2,
        ..HandoffRequest::default()
    }
}

pub fn write(request: &HandoffRequest) -> Result<HandoffReport, UserError> {
    let chosen = engine::device::choose("cpu").unwrap();
    hand_off(request, &chosen, &Silent)
}

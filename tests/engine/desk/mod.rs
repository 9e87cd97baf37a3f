//! What the window's panels ask of the data thread, through [`engine::spawn`].

mod costs;
mod passes;
mod rows;

use std::path::Path;

use protocol::config::parse_run_file;
use protocol::{Command, Estimate, Event, RequestId, RunConfig, Verdict};

use crate::project::run_file;
use crate::runs::support::{Engine, Project};

pub fn config(settings: &str) -> Box<RunConfig> {
    Box::new(parse_run_file(&run_file(settings), Path::new("run.toml")).unwrap())
}

fn estimate(engine: &mut Engine, project: &Project, config: &RunConfig, steps: Option<u64>) -> Estimate {
    let (config, base) = (Box::new(config.clone()), project.path(""));
    let ask = |request| Command::Estimate { request, config, base, steps, longest: None };
    engine.ask(ask, |event| match event {
        Event::Estimated { estimate, .. } => Some(*estimate),
        other => panic!("{other:?}"),
    })
}

pub fn check(engine: &mut Engine, project: &Project, config: &RunConfig) -> Verdict {
    let (config, base) = (Box::new(config.clone()), project.path(""));
    engine.ask(
        |request| Command::Check { request, config, base },
        |event| match event {
            Event::Checked { verdict, .. } => Some(*verdict),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

/// Everything that a request tells until it ends.
fn told(engine: &mut Engine, command: impl FnOnce(RequestId) -> Command) -> Vec<Event> {
    let mut events = Vec::new();
    engine.ask(command, |event| {
        let last = !matches!(event, Event::Progress { .. } | Event::Checking { .. });
        events.push(event);
        last.then_some(())
    });
    events
}

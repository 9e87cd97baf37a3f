//! What goes over all rows for a long time, beside everything else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{EngineHandle, EngineOptions, spawn};
use protocol::{AnalysisChecks, AnalysisRequest, Command, ConvertRequest, Event, RequestId, RunConfig, Wish};

use super::config;
use crate::project::conversations;
use crate::runs::support::Project;

/// Rows whose analysis takes seconds on any machine.
const MANY: u64 = 200_000;
/// For an answer that should take milliseconds.
const SOON: Duration = Duration::from_secs(20);

fn many_rows() -> String {
    let line = |n: u64| {
        let turns = serde_json::json!([
            {"role": "user", "content": format!("question {n} {} {}", n * 7 % 1009, "wood ".repeat(20))},
            {"role": "assistant", "content": format!("ember {} of {n}", n * 31 % 4093)},
        ]);
        serde_json::json!({ "messages": turns }).to_string() + "\n"
    };
    (0..MANY).map(line).collect()
}

/// An engine that waits for nobody.
fn start() -> EngineHandle {
    let nowhere = PathBuf::from("/nonexistent");
    let options = EngineOptions { device: "cpu".into(), runs_dir: nowhere.clone(), log_dir: nowhere };
    spawn(options, Arc::new(|| {}))
}

/// Events until one is wanted; one that ends another request before is a failure.
fn until(engine: &EngineHandle, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = engine.events.recv_timeout(SOON).unwrap_or_else(|_| panic!("nothing came of {what}"));
        if wanted(&event) {
            return event;
        }
        let is_over = event.request().is_some() && event.is_last();
        assert!(!is_over, "{what}: {event:?} came first");
    }
}

fn moves(event: &Event, wanted: RequestId) -> bool {
    matches!(event, Event::Progress { request, done, .. } if *request == wanted && *done > 0)
}

fn is_preview(event: &Event, wanted: RequestId) -> bool {
    matches!(event, Event::Preview { request, rows, .. } if *request == wanted && rows.len() == 2)
}

fn over_many(project: &Project) -> Box<RunConfig> {
    let mut config = config("");
    (config.model.path, config.data.train) = (project.path("model"), vec![project.path("many.jsonl")]);
    config
}

/// A preview answers meanwhile, a wish to stop that is for a run does not end the work, and cancelling does.
fn goes_on_beside_previews(project: &Project, command: Command) {
    let (engine, base) = (start(), project.path(""));
    let working = command.request().unwrap();
    engine.send(command);
    until(&engine, "the work", |event| moves(event, working));
    engine.control.wish(Wish::Stop);
    let looking = RequestId(working.0 + 1);
    let look = Command::Preview { request: looking, config: config(""), base, first: 0, count: 2 };
    engine.send(look);
    until(&engine, "a preview", |event| is_preview(event, looking));
    let begun = Instant::now();
    engine.control.wish(Wish::Cancel(working));
    let ended = until(&engine, "a stop", |event| event.request() == Some(working) && event.is_last());
    assert!(matches!(ended, Event::Failed { .. }), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    engine.send(Command::Shutdown);
    while !matches!(engine.events.recv(), Ok(Event::Stopped) | Err(_)) {}
    engine.join();
}

#[test]
fn an_analysis_holds_no_preview_up_and_is_cancelled() {
    let project = Project::new();
    project.write("data.jsonl", &conversations(5));
    project.write("many.jsonl", &many_rows());
    let checks = AnalysisChecks { near_duplicates: Some(0.8), leaks: true, ..AnalysisChecks::default() };
    let (config, base) = (over_many(&project), project.path(""));
    let analysis = Box::new(AnalysisRequest { config, base, checks, filter: None });
    goes_on_beside_previews(&project, Command::Analyze { request: RequestId(1), analysis });
}

#[test]
fn a_conversion_holds_no_preview_up_and_leaves_no_file() {
    let project = Project::new();
    project.write("data.jsonl", &conversations(5));
    project.write("many.jsonl", &many_rows());
    let (config, base, out) = (over_many(&project), project.path(""), project.path("out.jsonl"));
    let convert = Box::new(ConvertRequest { config, base, to: "sharegpt".into() });
    goes_on_beside_previews(&project, Command::Convert { request: RequestId(1), convert, out: out.clone() });
    assert!(!out.exists());
}

#[test]
fn what_was_cancelled_while_it_waited_is_not_begun() {
    let project = Project::new();
    let engine = start();
    engine.control.wish(Wish::Cancel(RequestId(7)));
    let (config, base) = (config(""), project.path(""));
    engine.send(Command::Preview { request: RequestId(7), config, base, first: 0, count: 2 });
    let over = until(&engine, "a preview", |event| event.request() == Some(RequestId(7)));
    assert_eq!(over, Event::Superseded { request: RequestId(7) });
    engine.send(Command::Shutdown);
    while !matches!(engine.events.recv(), Ok(Event::Stopped) | Err(_)) {}
    engine.join();
}

//! Faults inside the worker: told as events, survived by the engine.

use std::sync::atomic::Ordering;

use protocol::{Command, Event, ModelRef, Outcome, StopReason};

use super::support::{Engine, Project, stepped};

#[test]
fn a_panic_ends_the_run_and_not_the_engine() {
    let project = Project::new();
    let settings = "max_steps = 8\nsave_every = 2\n";
    project.run(settings, "whole").finished();
    let mut engine = Engine::start();
    let trip = engine.trip.clone();
    let told = engine.run(project.start(settings, "a"), |update, _| {
        if stepped(update) == Some(5) {
            trip.store(true, Ordering::Release);
        }
    });
    let Outcome::Crashed { message, .. } = &told.outcome else { panic!("{:?}", told.outcome) };
    assert!(message.contains("told to panic"), "{message}");

    let model = ModelRef { path: project.path("model"), dtype: "auto".into(), ..ModelRef::default() };
    let layers = engine.ask(
        |request| Command::Inspect { request, model },
        |event| match event {
            Event::Inspected { report, .. } => Some(report.layers),
            _ => None,
        },
    );
    assert_eq!(layers, 2, "the next command is answered");

    // The lock is free, and the run goes on from its newest checkpoint.
    let resumed = engine.run(project.resume("a"), |_, _| {});
    assert_eq!(resumed.finished().0, StopReason::Completed);
    assert_eq!(resumed.steps().first(), Some(&5));
    assert_eq!(project.lines("whole"), project.lines("a"));
}

#[test]
fn a_panic_in_another_command_is_a_failed_request() {
    let project = Project::new();
    let mut engine = Engine::start();
    let model = || ModelRef { path: project.path("model"), dtype: "auto".into(), ..ModelRef::default() };
    let trip = engine.trip.clone();
    let error = engine.ask(
        |request| Command::Generate {
            request,
            generate: protocol::GenerateRequest {
                model: model(),
                adapter: None,
                live: None,
                prompt: protocol::Prompt::Ids(vec![1, 5, 9]),
                sampling: protocol::Sampling { max_new_tokens: 4, ..protocol::Sampling::default() },
            },
        },
        |event| match event {
            Event::Progress { .. } => {
                trip.store(true, Ordering::Release);
                None
            }
            Event::Failed { error, .. } => Some(error),
            other => panic!("{other:?}"),
        },
    );
    assert!(error.to_string().contains("told to panic"), "{error}");
    assert_eq!(error.exit_code(), 1);
    engine.ask(
        |request| Command::Inspect { request, model: model() },
        |event| matches!(event, Event::Inspected { .. }).then_some(()),
    );
}

//! Pause, and the wishes during it.

use protocol::{RunEvent, StopReason};

use super::support::{Engine, Project, stepped};

const SETTINGS: &str = "max_steps = 8\neval_every = 4\n[method]\nkind = \"lora\"\ndropout = 0.1\n";

#[test]
fn a_paused_run_goes_on_bit_for_bit() {
    let project = Project::new();
    project.run(SETTINGS, "whole").finished();
    let mut pauses = Vec::new();
    let told = Engine::start().run(project.start(SETTINGS, "paused"), |update, control| match update {
        RunEvent::Paused { step } => {
            pauses.push(*step);
            control.resume();
        }
        _ if matches!(stepped(update), Some(2 | 5)) => control.pause(),
        _ => {}
    });
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(pauses, [2, 5]);
    assert_eq!(told.saved(), [2, 5, 8], "a pause saves");
    let resumed = told.updates.iter().filter(|update| matches!(update, RunEvent::Resumed { .. })).count();
    assert_eq!(resumed, 2);
    assert_eq!(project.lines("whole"), project.lines("paused"));
}

#[test]
fn a_paused_run_can_be_stopped() {
    let project = Project::new();
    let mut engine = Engine::start();
    let told = engine.run(project.start(SETTINGS, "a"), |update, control| match update {
        RunEvent::Paused { .. } => control.stop(),
        _ if stepped(update) == Some(3) => control.pause(),
        _ => {}
    });
    assert_eq!(told.finished().0, StopReason::Stopped);
    assert_eq!(told.steps(), [1, 2, 3]);
    assert_eq!(engine.run(project.resume("a"), |_, _| {}).steps(), [4, 5, 6, 7, 8]);
}

/// A stop before the first step keeps everything for later, too.
#[test]
fn a_run_stopped_before_its_first_step_can_be_resumed() {
    let project = Project::new();
    project.run(SETTINGS, "whole").finished();
    let mut engine = Engine::start();
    let told = engine.run(project.start(SETTINGS, "a"), |update, control| {
        if matches!(update, RunEvent::Planned { .. }) {
            control.stop();
        }
    });
    assert_eq!(told.finished().0, StopReason::Stopped);
    assert_eq!(told.steps(), [] as [u64; 0]);
    engine.run(project.resume("a"), |_, _| {}).finished();
    assert_eq!(project.lines("whole"), project.lines("a"));
}

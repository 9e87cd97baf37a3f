//! Runs that must not begin, or not go on.

use protocol::StopReason;

use super::support::{Engine, Project, stepped};
use crate::project::{conversations, damage};

const SETTINGS: &str = "max_steps = 6\n";

/// A run in `a` that was stopped after its second step.
fn stopped(project: &Project) -> Engine {
    let mut engine = Engine::start();
    let told = engine.run(project.start(SETTINGS, "a"), |update, control| {
        if stepped(update) == Some(2) {
            control.stop();
        }
    });
    assert_eq!(told.finished().0, StopReason::Stopped);
    engine
}

#[test]
fn changed_data_is_not_trained_on() {
    let project = Project::new();
    let mut engine = stopped(&project);
    let data = conversations(22);
    project.write("data.jsonl", &data.replacen("ember", "amber", 1));
    let told = engine.run(project.resume("a"), |_, _| {});
    assert!(told.failed().to_string().contains("data files"), "{}", told.failed());
    assert_eq!(told.failed().exit_code(), 2);
    project.write("data.jsonl", &data);
    assert_eq!(engine.run(project.resume("a"), |_, _| {}).finished().0, StopReason::Completed);
}

#[test]
fn a_changed_model_is_not_trained_on() {
    let project = Project::new();
    let mut engine = stopped(&project);
    damage(&project.path("model/model.safetensors"));
    let told = engine.run(project.resume("a"), |_, _| {});
    assert!(told.failed().to_string().contains("model's files"), "{}", told.failed());
    assert_eq!(told.failed().exit_code(), 2);
}

#[test]
fn a_changed_template_is_not_trained_with() {
    let project = Project::new();
    let mut engine = stopped(&project);
    let text = std::fs::read_to_string(project.path("model/tokenizer_config.json")).unwrap();
    project.write("model/tokenizer_config.json", &text.replace("'<|im_end|>' }}", "' <|im_end|>' }}"));
    let told = engine.run(project.resume("a"), |_, _| {});
    assert!(told.failed().to_string().contains("template"), "{}", told.failed());
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let project = Project::new();
    let mut engine = stopped(&project);
    let before = project.names("a");
    let told = engine.run(project.start(SETTINGS, "a"), |_, _| {});
    assert!(told.failed().what.en.contains("in use"), "{}", told.failed());
    assert_eq!(told.failed().exit_code(), 2);
    assert_eq!(project.names("a"), before);
    // Somebody's own files are no place for a run either.
    std::fs::create_dir(project.path("mine")).unwrap();
    project.write("mine/thesis.txt", "precious");
    let told = engine.run(project.start(SETTINGS, "mine"), |_, _| {});
    assert!(told.failed().what.en.contains("in use"), "{}", told.failed());
    assert_eq!(project.names("mine"), ["thesis.txt"]);
}

#[test]
fn an_empty_folder_can_be_used() {
    let project = Project::new();
    std::fs::create_dir(project.path("a")).unwrap();
    assert_eq!(project.run(SETTINGS, "a").finished().0, StopReason::Completed);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let project = Project::new();
    let mut other = None;
    Engine::start().run(project.start(SETTINGS, "a"), |update, _| {
        if stepped(update) == Some(2) {
            let mut engine = Engine::start();
            other = Some((
                engine.run(project.start(SETTINGS, "a"), |_, _| {}),
                engine.run(project.resume("a"), |_, _| {}),
            ));
        }
    });
    let (started, resumed) = other.unwrap();
    assert!(started.failed().what.en.contains("in use"), "{}", started.failed());
    assert!(resumed.failed().what.en.contains("in use by another process"), "{}", resumed.failed());
    assert_eq!(project.lines("a").len(), 7, "six steps and the evaluation at the end");
}

#[test]
fn a_refused_run_leaves_no_folder() {
    let project = Project::new();
    project.write("data.jsonl", "{\"messages\": 3}\n");
    let told = project.run(SETTINGS, "runs/a");
    assert_eq!(told.failed().exit_code(), 2);
    assert!(!project.path("runs").exists());
}

/// A start that was killed before its plan was written is no run, and in nobody's way.
#[test]
fn a_start_without_a_plan_can_be_repeated() {
    let project = Project::new();
    std::fs::create_dir(project.path("a")).unwrap();
    project.write("a/run.lock", "1");
    project.write("a/.plan.json.tmp-xyz", "{");
    assert_eq!(project.run(SETTINGS, "a").finished().0, StopReason::Completed);
    assert!(!project.path("a/.plan.json.tmp-xyz").exists());
}

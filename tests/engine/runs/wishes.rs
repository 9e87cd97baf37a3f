//! What a user may wish of a run under way, and what it leaves as it was.

use protocol::{Event, MetricsLine, RunEvent, StepMetrics, StopReason, Wish};

use super::support::{Engine, Project, stepped};

const SETTINGS: &str = "max_steps = 8\neval_every = 4\nsave_every = 4\nearly_stop_patience = 2\nkeep_best = true\n\
    keep_checkpoints = 9\n[method]\nkind = \"lora\"\ndropout = 0.1\n";

fn steps(project: &Project, run: &str) -> Vec<StepMetrics> {
    let text = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    let step = |line: &str| match serde_json::from_str(line).unwrap() {
        MetricsLine::Step(step) => Some(step),
        _ => None,
    };
    text.lines().filter_map(step).collect()
}

/// The counters of a checkpoint, without the clock's.
fn counters(project: &Project, run: &str, step: u64) -> serde_json::Value {
    let mut state = project.json(&format!("{run}/checkpoints/step-{step:08}/state.json"));
    state.as_object_mut().unwrap().remove("seconds").unwrap();
    state
}

#[test]
fn an_evaluation_that_was_wished_for_changes_nothing() {
    let project = Project::new();
    project.run(SETTINGS, "plain").finished();
    let mut evaluated = Vec::new();
    let told = Engine::start().run(project.start(SETTINGS, "asked"), |update, control| {
        if let RunEvent::Evaluated { eval } = update {
            evaluated.push((eval.step, eval.best));
        }
        // At 4 it is due anyway: once is enough.
        if matches!(stepped(update), Some(1 | 2 | 4)) {
            control.wish(Wish::EvaluateNow);
        }
    });
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(evaluated.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 4, 8]);
    assert_eq!(evaluated[..2], [(1, false), (2, false)], "what was wished for does not count");
    let (plain, mut asked) = (project.lines("plain"), project.lines("asked"));
    let extra = |line: &String| {
        line.contains("eval_loss") && (line.contains("\"step\":1,") || line.contains("\"step\":2,"))
    };
    assert_eq!(asked.iter().filter(|line| extra(line)).count(), 2);
    asked.retain(|line| !extra(line));
    assert_eq!(plain, asked);
    for step in [4, 8] {
        assert_eq!(counters(&project, "plain", step), counters(&project, "asked", step));
    }
    let adapter =
        |run: &str| std::fs::read(project.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter("plain") == adapter("asked"));
}

#[test]
fn a_run_without_validation_says_that_it_has_nothing_to_evaluate_on() {
    let project = Project::new();
    let settings = "max_steps = 3\n[data]\nvalidation = 0.0\n";
    let told = Engine::start().run(project.start(settings, "a"), |update, control| {
        if stepped(update) == Some(1) {
            control.wish(Wish::EvaluateNow);
        }
    });
    assert_eq!(told.finished().0, StopReason::Completed);
    assert!(
        told.notices().iter().any(|notice| notice.contains("nothing to evaluate on")),
        "{:?}",
        told.notices()
    );
}

#[test]
fn a_scaled_rate_counts_from_the_next_step_and_survives_a_resumption() {
    let project = Project::new();
    project.run(SETTINGS, "plain").finished();
    let scale = |update: &RunEvent, control: &protocol::Control| match stepped(update) {
        Some(2) => control.wish(Wish::ScaleRate(0.1)),
        Some(6) => control.wish(Wish::ScaleRate(3.0)),
        _ => {}
    };
    let changes = |updates: &[RunEvent]| -> Vec<(u64, f64)> {
        let change = |update: &RunEvent| match update {
            RunEvent::RateChanged { step, factor } => Some((*step, *factor)),
            _ => None,
        };
        updates.iter().filter_map(change).collect()
    };
    let whole = Engine::start().run(project.start(SETTINGS, "whole"), scale);
    whole.finished();
    assert_eq!(changes(&whole.updates), [(3, 0.1), (7, 3.0)]);
    for (plain, scaled) in steps(&project, "plain").iter().zip(steps(&project, "whole")) {
        let factor = [1.0, 0.1, 3.0][usize::from(scaled.step > 2) + usize::from(scaled.step > 6)];
        // To the last bit but one: the lines are read with a reader that may be off by one.
        assert!((scaled.lr - plain.lr * factor).abs() <= 1e-15 * plain.lr, "step {}", scaled.step);
    }

    let mut engine = Engine::start();
    let cut = engine.run(project.start(SETTINGS, "cut"), |update, control| {
        scale(update, control);
        if stepped(update) == Some(4) {
            control.stop();
        }
    });
    assert_eq!(cut.finished().0, StopReason::Stopped);
    let rest = engine.run(project.resume("cut"), scale);
    assert_eq!(rest.finished().0, StopReason::Completed);
    assert_eq!(changes(&rest.updates), [(5, 0.1), (7, 3.0)], "a resumed run says what it goes on with");
    assert_eq!(project.lines("whole"), project.lines("cut"));

    let log = std::fs::read_to_string(project.path("whole/events.log")).unwrap();
    let logged: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changed = logged.iter().find(|line| line["update"] == "rate_changed").unwrap();
    assert_eq!((changed["step"].as_u64(), changed["factor"].as_f64()), (Some(3), Some(0.1)));
    assert!(changed["time"].as_str().is_some_and(|time| time.len() >= 20), "{changed}");
    assert_eq!(logged.last().unwrap()["outcome"]["outcome"], "finished");
    assert!(logged.iter().all(|line| line["update"] != "stepped"));
}

#[test]
fn a_factor_that_is_no_number_is_not_taken() {
    let project = Project::new();
    let told = Engine::start().run(project.start("max_steps = 4\n", "a"), |update, control| {
        if let Some(step) = stepped(update) {
            control.wish(Wish::ScaleRate([f64::NAN, f64::INFINITY, -1.0, -2.0][step as usize - 1]));
        }
    });
    told.finished();
    assert!(!told.updates.iter().any(|update| matches!(update, RunEvent::RateChanged { .. })));
}

#[test]
fn steps_tell_where_their_time_goes() {
    let project = Project::new();
    project.run("max_steps = 3\ngradient_accumulation = 2\n", "a").finished();
    for step in steps(&project, "a") {
        let parts = step.phases.expect("on the CPU every step is measured");
        let all = [parts.forward, parts.head, parts.backward, parts.optimizer];
        assert!(all.iter().all(|part| *part > 0.0) && parts.data >= 0.0, "{parts:?}");
        assert!(all.iter().sum::<f64>() + parts.data <= step.seconds, "{parts:?} in {} s", step.seconds);
    }
}

/// A wish about a run that is over does not disturb what comes after it, though nobody takes it back.
#[test]
fn wishes_end_with_their_run() {
    let project = Project::new();
    let mut engine = Engine::start();
    let events = engine.watch(project.start("max_steps = 3\n", "a"), 0, |event, handle| {
        if let Event::Run { update, .. } = event
            && stepped(update) == Some(1)
        {
            handle.control.stop();
            handle.control.wish(Wish::ScaleRate(0.5));
        }
    });
    assert!(matches!(events.last(), Some(Event::Run { update: RunEvent::Ended { .. }, .. })));
    assert!(!engine.control().stop_wanted() && engine.control().take_rate_factor().is_none());
}

//! A resumed run is the undisturbed run.

use protocol::{RunEvent, StopReason};

use super::support::{Engine, Project, Told, WORSE, WORSE_DATA, stepped};
use crate::project::damage;

/// Dropout, shuffling, accumulation, evaluation and a fractional number of epochs, all at once; and a
/// rate with more digits than fit, which must survive the plan.
const EVERYTHING: &str = "epochs = 2.4\ngradient_accumulation = 2\neval_every = 3\nsave_every = 4\nshuffle = true\n\
    weight_decay = 0.1\nearly_stop_patience = 50\neps = 1.2345678901234567e-8\n[method]\nkind = \"lora\"\nrank = 4\ndropout = 0.1\ntargets = \"all-linear\"\n";

/// Runs `settings` undisturbed in `whole`, and in `cut` with a stop at each of `stops`.
pub fn stopped_and_resumed(project: &Project, settings: &str, stops: &[u64]) -> Told {
    let whole = project.run(settings, "whole");
    assert_eq!(whole.finished().0, StopReason::Completed);
    let mut engine = Engine::start();
    let mut told: Option<Told> = None;
    for stop in stops {
        let watch = |update: &RunEvent, control: &protocol::Control| {
            if stepped(update) == Some(*stop) {
                control.stop();
            }
        };
        let part = match told {
            None => engine.run(project.start(settings, "cut"), watch),
            Some(_) => engine.run(project.resume("cut"), watch),
        };
        assert_eq!(part.finished().0, StopReason::Stopped);
        assert_eq!(part.steps().last(), Some(stop));
        told = Some(part);
    }
    let last = engine.run(project.resume("cut"), |_, _| {});
    assert_eq!(last.finished().0, StopReason::Completed);
    assert_eq!(last.steps().first(), stops.last().map(|stop| stop + 1).as_ref());
    assert_eq!(project.lines("whole"), project.lines("cut"));
    last
}

pub fn adapters_are_equal(project: &Project, a: &str, b: &str) {
    let read =
        |run: &str| std::fs::read(project.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(read(a) == read(b), "the adapters of {a} and {b} differ");
}

#[test]
fn a_stopped_run_goes_on_bit_for_bit() {
    let project = Project::new();
    stopped_and_resumed(&project, EVERYTHING, &[1, 4, 5, 9]);
    adapters_are_equal(&project, "whole", "cut");
    assert!(project.lines("whole").len() > 12);
}

#[test]
fn a_stopped_run_of_a_prefix_with_dropout_goes_on_bit_for_bit() {
    for method in ["prefix", "p-tuning-v2"] {
        let project = Project::new();
        let settings = format!(
            "epochs = 1.5\ngradient_accumulation = 2\neval_every = 3\nsave_every = 4\nshuffle = true\n[method]\nkind = \"{method}\"\ntokens = 6\nprojection = true\ndropout = 0.2\n"
        );
        stopped_and_resumed(&project, &settings, &[1, 3]);
        adapters_are_equal(&project, "whole", "cut");
    }
}

/// Checkpoints hold the factors as PEFT's files do: twice the rank, and one LoRA for all parts of a matrix.
#[test]
fn a_stopped_run_that_began_from_the_weights_goes_on_bit_for_bit() {
    for init in ["pissa", "olora"] {
        let project = Project::new();
        let settings = format!(
            "epochs = 1.5\neval_every = 3\nsave_every = 4\nshuffle = true\nweight_decay = 0.1\n[method]\nkind = \"lora\"\nrank = 4\ndropout = 0.1\nrslora = true\ntargets = \"all-linear\"\ninit = \"{init}\"\n"
        );
        stopped_and_resumed(&project, &settings, &[1, 4]);
        adapters_are_equal(&project, "whole", "cut");
    }
}

#[test]
fn a_stopped_full_run_goes_on_bit_for_bit() {
    let project = Project::new();
    stopped_and_resumed(
        &project,
        "epochs = 1\neval_every = 2\nweight_decay = 0.01\n[method]\nkind = \"full\"\n",
        &[2, 5],
    );
    let read = |run: &str| std::fs::read(project.path(run).join("model/model.safetensors")).unwrap();
    assert!(read("whole") == read("cut"));
}

#[test]
fn dora_with_biases_and_whole_modules_goes_on_bit_for_bit() {
    let project = Project::new();
    let settings = "max_steps = 6\n[method]\nkind = \"lora\"\nrank = 2\ndora = true\nrslora = true\nloraplus_ratio = 4.0\nmodules_to_save = [\"norm\"]\n";
    stopped_and_resumed(&project, settings, &[3]);
    adapters_are_equal(&project, "whole", "cut");
}

#[test]
fn an_evaluation_that_was_stopped_is_made_up_for() {
    let project = Project::new();
    project.write("data.jsonl", &crate::project::conversations(60));
    let settings = "max_steps = 6\neval_every = 3\nsave_every = 3\nkeep_best = true\n";
    let whole = project.run(settings, "whole");
    assert_eq!(whole.finished().0, StopReason::Completed);
    let mut engine = Engine::start();
    for step in [3, 6] {
        // The wish comes after the step and before the first row of its evaluation.
        let mut stop_now = false;
        let command: Box<dyn FnOnce(protocol::RequestId) -> protocol::RunCommand> = if step == 3 {
            Box::new(project.start(settings, "cut"))
        } else {
            Box::new(project.resume("cut"))
        };
        let told = engine.run(command, |update, control| {
            stop_now |= stepped(update) == Some(step);
            if stop_now {
                control.stop();
            }
        });
        assert_eq!(told.finished().0, StopReason::Stopped, "step {step}");
        let at_step = format!("\"step\":{step},");
        let evaluated = |line: &&String| line.contains("eval_loss") && line.contains(&at_step);
        assert_eq!(project.lines("cut").iter().filter(evaluated).count(), 0, "the stop came too late");
    }
    assert_eq!(engine.run(project.resume("cut"), |_, _| {}).finished().0, StopReason::Completed);
    assert_eq!(project.lines("whole"), project.lines("cut"));
    // The checkpoint of step 6 still says that the evaluation is due: once more is not one line more.
    assert_eq!(engine.run(project.resume("cut"), |_, _| {}).finished().0, StopReason::Completed);
    assert_eq!(project.lines("whole"), project.lines("cut"));
    adapters_are_equal(&project, "whole", "cut");
}

#[test]
fn a_run_that_ended_stays_ended() {
    let project = Project::new();
    project.teach_the_wrong_thing();
    let settings = format!("{WORSE}save_every = 1\nearly_stop_patience = 1\n{WORSE_DATA}");
    let told = project.run(&settings, "a");
    assert_eq!(told.finished().0, StopReason::EarlyStopped);
    let lines = project.lines("a");
    let again = Engine::start().run(project.resume("a"), |_, _| {});
    assert_eq!(again.finished().0, StopReason::EarlyStopped);
    assert_eq!(again.steps(), [] as [u64; 0]);
    assert_eq!(project.lines("a"), lines);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let project = Project::new();
    let settings = EVERYTHING.replace("save_every = 4", "save_every = 2\nkeep_checkpoints = 2");
    project.run(&settings, "whole").finished();
    let mut engine = Engine::start();
    let stop_at_five = |update: &RunEvent, control: &protocol::Control| {
        if stepped(update) == Some(5) {
            control.stop();
        }
    };
    engine.run(project.start(&settings, "cut"), stop_at_five).finished();
    assert_eq!(project.names("cut/checkpoints"), ["step-00000004", "step-00000005"]);
    damage(&project.path("cut/checkpoints/step-00000005/optimizer.safetensors"));

    let told = engine.run(project.resume("cut"), |_, _| {});
    let notices = told.notices();
    assert!(
        notices.iter().any(|text| text.contains("step-00000005") && text.contains("damaged")),
        "{notices:?}"
    );
    assert_eq!(told.steps().first(), Some(&5));
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(project.lines("whole"), project.lines("cut"));
    adapters_are_equal(&project, "whole", "cut");
}

#[test]
fn a_damaged_checkpoint_takes_no_sound_ones_place() {
    let project = Project::new();
    let settings = "max_steps = 12\nsave_every = 4\nkeep_checkpoints = 1\n";
    let mut engine = Engine::start();
    let stop_at = |step: u64| {
        move |update: &RunEvent, control: &protocol::Control| {
            if stepped(update) == Some(step) {
                control.stop();
            }
        }
    };
    engine.run(project.start(settings, "a"), stop_at(9)).finished();
    assert_eq!(project.names("a/checkpoints"), ["step-00000009"]);
    // Another sound one, so that there is one to fall back to.
    crate::project::copy(&project.path("a/checkpoints/step-00000009"), &project.path("kept"));
    damage(&project.path("a/checkpoints/step-00000009/state.json"));
    let error = engine.run(project.resume("a"), |_, _| {});
    assert!(error.failed().to_string().contains("step-00000009"), "{}", error.failed());
    assert_eq!(error.failed().exit_code(), 2);

    // A later damaged one beside a sound one with which the run goes on.
    std::fs::rename(project.path("a/checkpoints/step-00000009"), project.path("a/checkpoints/step-00000011"))
        .unwrap();
    std::fs::rename(project.path("kept"), project.path("a/checkpoints/step-00000009")).unwrap();
    engine.run(project.resume("a"), stop_at(10)).finished();
    let names = project.names("a/checkpoints");
    assert!(names.contains(&"step-00000010".to_owned()), "{names:?}");
    assert_eq!(engine.run(project.resume("a"), |_, _| {}).steps(), [11, 12]);
}

/// The result of the best step must not come from a damaged file.
#[test]
fn a_damaged_best_checkpoint_is_no_result() {
    let project = Project::new();
    project.teach_the_wrong_thing();
    let settings = format!("{WORSE}save_every = 1\nkeep_best = true\nkeep_checkpoints = 1\n{WORSE_DATA}");
    let mut best = 0;
    let told = Engine::start().run(project.start(&settings, "a"), |update, _| {
        match update {
            RunEvent::Evaluated { eval } if eval.best => best = eval.step,
            _ => {}
        }
        if stepped(update) == Some(40) {
            damage(&project.path(&format!("a/checkpoints/step-{best:08}/adapter/adapter_model.safetensors")));
        }
    });
    assert!(best < 40, "this test wants a run that gets worse");
    let error = told.failed();
    assert!(error.to_string().contains("adapter_model.safetensors"), "{error}");
    assert!(!project.path("a/adapter").exists());
}

/// With less memory fewer blocks keep their graph. That costs time and changes no figure: a run may go on
/// when the machine has become fuller.
#[test]
fn the_memory_budget_changes_no_figure() {
    let project = Project::new();
    let settings = "max_steps = 4\n[method]\nkind = \"lora\"\ndropout = 0.1\ntargets = \"all-linear\"\n";
    let forecast = |told: &Told| {
        told.updates.iter().find_map(|update| match update {
            RunEvent::Planned { summary, .. } => Some(summary.forecast.total),
            _ => None,
        })
    };
    let roomy = forecast(&project.run(settings, "roomy")).unwrap();
    let tight = project.run(&format!("memory_budget = \"{}\"\n{settings}", roomy - 1), "tight");
    assert!(forecast(&tight).unwrap() < roomy);
    assert_eq!(project.lines("roomy"), project.lines("tight"));
    adapters_are_equal(&project, "roomy", "tight");
}

#[test]
fn a_run_over_split_rows_goes_on_bit_for_bit() {
    let project = Project::new();
    let settings = |choice: &str| {
        format!(
            "epochs = 1\neval_every = 3\n[data]\nmax_length = 16\nallow_unlabelled = true\non_too_long = \"{choice}\"\n"
        )
    };
    let split = stopped_and_resumed(&project, &settings("split"), &[2, 5]);
    // Every piece is an example of its own.
    let cut = project.run(&settings("truncate"), "shorter");
    assert!(split.steps().last() > cut.steps().last(), "{:?} and {:?}", split.steps(), cut.steps());
    adapters_are_equal(&project, "whole", "cut");
}

//! `train` from outside: what it prints, and what a kill leaves.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::Done;
use crate::project::{damage, steady_lines};
use crate::workshop::{Workshop, has};

#[test]
fn train_prints_the_run_folder() {
    let workshop = Workshop::new("max_steps = 2\n");
    let done = workshop.run(&["train", "run.toml", "--out", "out"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout.trim_end(), workshop.path("out").display().to_string());
    assert!(workshop.path("out/adapter/adapter_config.json").exists());
    // Without --out: named after the run file, among the runs; twice makes two.
    for name in ["run", "run-2"] {
        let done = workshop.run(&["train", "run.toml"]);
        assert_eq!(done.stdout.trim_end(), workshop.path("runs").join(name).display().to_string());
    }
    workshop.run(&["train", "run.toml", "--out", "out"]).refused_with(&["in use", "--resume", "out"]);
    let again = workshop.run(&["train", "--resume", "out"]);
    assert_eq!(
        (again.code, again.stdout.trim_end()),
        (Some(0), workshop.path("out").display().to_string().as_str())
    );
    workshop.run(&["train", "--resume", "model"]).refused_with(&["plan.json", "name a run folder"]);
}

#[test]
fn train_tells_its_events_as_json() {
    let workshop = Workshop::new("max_steps = 3\neval_every = 2\nsave_every = 2\n");
    let events = workshop.json(&["train", "run.toml", "--out", "out"]);
    has(&events[0], &["catalog", "device"]);
    let updates: Vec<_> =
        events.iter().filter(|event| event["event"] == "run").map(|event| &event["update"]).collect();
    let of =
        |name: &str| updates.iter().filter(|update| update["update"] == name).copied().collect::<Vec<_>>();
    let summary = &has(of("planned")[0], &["dir", "summary"])["summary"];
    has(
        summary,
        &["first_step", "total_steps", "train_rows", "validation_rows", "forecast", "device", "dtype"],
    );
    let steps: Vec<_> =
        of("stepped").iter().flat_map(|update| update["steps"].as_array().unwrap().clone()).collect();
    assert_eq!(steps.len(), 3);
    for step in &steps {
        has(step, &["step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_s", "mem_bytes"]);
    }
    assert_eq!(of("evaluated").len(), 2);
    assert_eq!(of("saved").len(), 2);
    let outcome = &of("ended")[0]["outcome"];
    assert_eq!(outcome["outcome"], "finished");
    has(outcome, &["reason", "step", "result", "eval_loss", "seconds"]);
}

/// When to kill.
enum Moment {
    /// The plan is there, and perhaps nothing else.
    Planned,
    /// So many lines of metrics are there.
    Lines(usize),
    /// A checkpoint is being written after so many lines.
    Writing(usize),
}

impl Moment {
    fn has_come(&self, run: &Path) -> bool {
        let lines =
            || std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count());
        match self {
            Self::Planned => run.join("plan.json").exists(),
            Self::Lines(wanted) => lines() >= *wanted,
            Self::Writing(after) => {
                let entries = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
                lines() >= *after
                    && entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with('.'))
            }
        }
    }
}

/// Waits for the moment and kills, with the signal that nobody can catch.
fn kill_at(moment: &Moment, run: &Path, mut child: Child) -> Done {
    let began = Instant::now();
    while !moment.has_come(run) && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "the moment never came");
        std::thread::sleep(Duration::from_micros(300));
    }
    child.kill().unwrap();
    Done::new(child.wait_with_output().unwrap())
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let settings = "max_steps = 90\ngradient_accumulation = 2\neval_every = 7\nsave_every = 5\nkeep_best = true\n\
        [method]\nkind = \"lora\"\ndropout = 0.1\ntargets = \"all-linear\"\n";
    let workshop = Workshop::new(settings);
    let whole = workshop.run(&["train", "run.toml", "--out", "whole"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);

    let run = workshop.path("cut");
    let moments = [
        Moment::Planned,
        Moment::Lines(3),
        Moment::Lines(17),
        Moment::Writing(26),
        Moment::Lines(38),
        Moment::Lines(52),
        Moment::Writing(60),
        Moment::Lines(79),
    ];
    let mut killed = 0;
    for moment in &moments {
        let arguments: &[&str] = match run.exists() {
            false => &["train", "run.toml", "--device", "cpu", "--out", "cut"],
            true => &["train", "--device", "cpu", "--resume", "cut"],
        };
        let child = workshop
            .program
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let done = kill_at(moment, &run, child);
        assert!(done.code.is_none() || done.code == Some(0), "{}", done.stderr);
        killed += usize::from(done.code.is_none());
    }
    assert!(killed >= 6, "only {killed} of {} kills hit a living run", moments.len());
    let last = workshop.run(&["train", "--resume", "cut"]);
    assert_eq!(last.code, Some(0), "{}", last.stderr);

    assert_eq!(steady_lines(&workshop.path("whole")), steady_lines(&run));
    let result =
        |name: &str| std::fs::read(workshop.path(name).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(result("whole") == result("cut"));
    let hidden = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with('.')).count()
    };
    assert_eq!(hidden(&run) + hidden(&run.join("checkpoints")), 0, "leftovers of killed writes stay");
}

#[test]
fn a_damaged_checkpoint_is_said_and_made_again() {
    let workshop = Workshop::new("max_steps = 8\nsave_every = 2\n");
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "out"]).code, Some(0));
    let lines = steady_lines(&workshop.path("out"));
    damage(&workshop.path("out/checkpoints/step-00000008/adapter/adapter_model.safetensors"));
    let done = workshop.run(&["train", "--resume", "out"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for word in ["step-00000008", "damaged", "from step 7 to 8"] {
        assert!(done.stderr.contains(word), "`{word}` is not in: {}", done.stderr);
    }
    assert_eq!(steady_lines(&workshop.path("out")), lines);
}

/// Ctrl-C ends the run in good order: a checkpoint, a result, exit code 0.
#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_and_says_how_to_go_on() {
    let workshop = Workshop::new("max_steps = 100000\n");
    let run = workshop.path("out");
    let arguments = ["train", "run.toml", "--device", "cpu", "--out", "out"];
    let child =
        workshop.program.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !Moment::Lines(3).has_come(&run) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let done = Done::new(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("train --resume"), "{}", done.stderr);
    assert!(run.join("adapter/adapter_model.safetensors").exists());
    assert_eq!(std::fs::read_dir(run.join("checkpoints")).unwrap().count(), 1);
}

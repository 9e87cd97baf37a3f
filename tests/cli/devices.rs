//! `--device` with several names: workers that share a run, and lists that are none.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Done;
use crate::project::steady_lines;
use crate::workshop::Workshop;

const SETTINGS: &str = "max_steps = 40\nbatch_size = 4\neval_every = 10\nsave_every = 5\n[method]\nkind = \"lora\"\nrank = 4\n\
    dropout = 0.1\ntargets = \"all-linear\"\n";

fn train(workshop: &Workshop, devices: &str, out: &str) -> Done {
    workshop.program.run(&["--device", devices, "train", "run.toml", "--out", out])
}

/// Within 2e-6 of their size, as the engine's tests ask of a single step (tests/engine/parallel), and a little more after many: what a
/// sum in another order changes is carried on by AdamW.
#[test]
fn two_workers_learn_what_one_learns_from_the_joined_batch() {
    let workshop = Workshop::new(SETTINGS);
    for (devices, out) in [("cpu:0", "one"), ("cpu:0,cpu:1", "two")] {
        let done = train(&workshop, devices, out);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    let lines = |run: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(workshop.path(run).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (one, two) = (lines("one"), lines("two"));
    assert_eq!((one.len(), two.len()), (44, 44));
    for (at, (one, two)) in one.iter().zip(&two).enumerate() {
        for key in ["step", "epoch", "tokens", "lr", "eval_tokens"] {
            assert_eq!(one.get(key), two.get(key));
        }
        let bound = if at == 0 { 2e-6 } else { 2e-4 };
        for key in ["loss", "grad_norm", "eval_loss"] {
            let Some(number) = one.get(key).and_then(Value::as_f64) else { continue };
            let far = (number - two[key].as_f64().unwrap()).abs() / number;
            assert!(far <= bound, "{key} of {one} and {two} differ by {far}");
        }
    }
    assert!(one[43]["eval_loss"].as_f64() < one[10]["eval_loss"].as_f64(), "it learns");
}

#[test]
fn a_run_of_two_that_is_killed_goes_on_as_two_bit_for_bit() {
    let workshop = Workshop::new(SETTINGS);
    assert_eq!(train(&workshop, "cpu:0,cpu:1", "whole").code, Some(0));
    let mut child = workshop
        .program
        .command(&["--device", "cpu:0,cpu:1", "train", "run.toml", "--out", "cut"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (figures, began) = (workshop.path("cut/metrics.jsonl"), Instant::now());
    let lines = || std::fs::read_to_string(&figures).map_or(0, |text| text.lines().count());
    while lines() < 13 && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not train");
        std::thread::sleep(Duration::from_micros(300));
    }
    child.kill().unwrap();
    assert!(child.wait().unwrap().code().is_none(), "it was killed in the middle");
    // Which workers it had is kept with the run.
    let done = workshop.program.run(&["train", "--resume", "cut"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("cpu:0, cpu:1"), "{}", done.stderr);
    assert_eq!(steady_lines(&workshop.path("whole")), steady_lines(&workshop.path("cut")));
    let result =
        |run: &str| std::fs::read(workshop.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(result("whole") == result("cut"));
}

#[test]
fn lists_that_are_none() {
    let workshop = Workshop::new("max_steps = 1\n");
    for (devices, words) in [
        ("cpu:0,cpu:1,cpu:9999999", ["cpu:9999999", "cpu:63"]),
        ("cpu:0,cpu:0", ["cpu:0 is named twice", "once"]),
        ("cpu,cpu:0", ["cpu:0 is named twice", "once"]),
        ("cpu:64", ["cpu:64", "cpu:63"]),
        ("cpu:0,cuda:0", ["GPU", "--device"]),
    ] {
        let done = train(&workshop, devices, "out");
        done.refused_with(&words);
        done.says_how_to_mend();
        assert!(!workshop.path("out").exists());
    }
    for devices in ["", ",", "cpu:0,", "cpu:-1", "cpu:0,auto", "cpu:99999999999999999999"] {
        let done = train(&workshop, devices, "out");
        done.refused_with(&["--device", "expected auto"]);
    }
    workshop.write("run.toml", crate::project::run_file("max_steps = 1\ndevices = [\"cpu:3\", \"cpu:3\"]\n"));
    let done = workshop.program.run(&["train", "run.toml", "--out", "out"]);
    done.refused_with(&["named twice", "train.devices"]);
    done.says_how_to_mend();
}

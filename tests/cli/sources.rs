//! Files, folders and weights in a run file, from outside.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::{conversations, steady_lines};
use crate::workshop::Workshop;

/// Twenty-two rows of JSON lines, drawn half, and a folder of the hub's layout with Parquet in it, drawn twice.
fn workshop(settings: &str) -> Workshop {
    let data = "[data]\ntrain = [\"data.jsonl\", \"set\"]\nweights = { \"data.jsonl\" = 0.5, \"set\" = 2 }\n\
        skip_bad_rows = true\nallow_unlabelled = true\n";
    let workshop = Workshop::new(&format!("{settings}{data}"));
    let chat = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet/chat.parquet");
    std::fs::create_dir_all(workshop.path("set/data")).unwrap();
    std::fs::copy(chat, workshop.path("set/data/train-00000-of-00001.parquet")).unwrap();
    workshop.write("set/data/test-00000-of-00001.jsonl", conversations(5));
    workshop
}

#[test]
fn check_tells_each_file_with_its_share() {
    let workshop = workshop("");
    let verdict = &workshop.event(&["check", "run.toml"], "checked")["verdict"];
    let sources = verdict["sources"].as_array().unwrap();
    let told = |key: &str| sources.iter().map(|source| source[key].clone()).collect::<Vec<_>>();
    assert_eq!(told("rows"), [22, 23]);
    assert_eq!(told("container"), ["jsonl", "parquet"]);
    assert_eq!(told("weight"), [0.5, 2.0]);
    let shares: f64 = told("share").iter().map(|share| share.as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    let said = workshop.run(&["check", "run.toml"]).stdout;
    for word in ["× 0.5", "× 2", "1 of 2 data files, those whose names say train"] {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    workshop.write("run.toml", crate::project::run_file("[data]\nweights = { \"dat.jsonl\" = 2 }\n"));
    workshop.refuses_the_run(&["data.weights", "did you mean", "data.jsonl"]);
}

#[test]
fn a_weighted_run_that_was_killed_goes_on_bit_for_bit() {
    let workshop = workshop("max_steps = 70\nsave_every = 4\neval_every = 10\n");
    let whole = workshop.run(&["train", "run.toml", "--out", "whole"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let arguments = ["train", "run.toml", "--device", "cpu", "--out", "cut"];
    let mut child =
        workshop.program.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = workshop.path("cut/metrics.jsonl");
    let began = Instant::now();
    while std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 25 {
        assert!(began.elapsed() < Duration::from_secs(60), "the moment never came");
        std::thread::sleep(Duration::from_micros(300));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let last = workshop.run(&["train", "--resume", "cut"]);
    assert_eq!(last.code, Some(0), "{}", last.stderr);
    assert_eq!(steady_lines(&workshop.path("whole")), steady_lines(&workshop.path("cut")));
}

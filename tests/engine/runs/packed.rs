//! Runs whose rows hold several texts, or come in batches of near length.

use protocol::{FindingKind, RunEvent, StopReason};
use serde_json::{Value as Json, json};

use super::resume::{adapters_are_equal, stopped_and_resumed};
use super::support::{Engine, Project};
use crate::desk::{check, config};

const LORA: &str = "[method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";

/// Rows of ids of these lengths, the last half of each to be learned.
fn tokens(lengths: impl Iterator<Item = usize>) -> String {
    let row = |(row, length): (usize, usize)| {
        let ids: Vec<usize> = (0..length).map(|at| 3 + (row * 31 + at * at * 7) % 40).collect();
        let labels: Vec<i64> =
            ids.iter().enumerate().map(|(at, id)| if at < length / 2 { -100 } else { *id as i64 }).collect();
        json!({ "input_ids": ids, "labels": labels }).to_string() + "\n"
    };
    lengths.enumerate().map(row).collect()
}

fn steps(project: &Project, run: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three rows fill one: packed they are the rows of a step, and so are they as a batch of three.
#[test]
fn twelve_packed_steps_are_those_of_the_rows_themselves() {
    let project = Project::new();
    project.write("data.jsonl", &tokens([16, 8, 4].into_iter().cycle().take(36)));
    for method in [LORA, "[method]\nkind = \"full\"\n"] {
        let run = |name: &str, batch: &str, packing: bool| {
            let settings = format!(
                "epochs = 1\nshuffle = false\nbatch_size = {batch}\nlearning_rate = 1e-3\n[data]\nformat = \"tokens\"\nmax_length = 28\nvalidation = 0.0\npacking = {packing}\n{method}"
            );
            let told = project.run(&settings, name);
            assert_eq!(told.finished().0, StopReason::Completed);
            told
        };
        let kind = if method == LORA { "lora" } else { "full" };
        let (packed, plain) = (format!("packed-{kind}"), format!("plain-{kind}"));
        let told = run(&packed, "1", true);
        let summary = told.updates.iter().find_map(|update| match update {
            RunEvent::Planned { summary, .. } => Some((**summary).clone()),
            _ => None,
        });
        let padding = summary.unwrap().padding.unwrap();
        assert_eq!((padding.rows, padding.packed_rows, padding.share), (12, Some(12), 0.0));
        run(&plain, "3", false);
        let (packed, plain) = (steps(&project, &packed), steps(&project, &plain));
        assert_eq!((packed.len(), plain.len()), (12, 12));
        for (packed, plain) in packed.iter().zip(&plain) {
            for key in ["loss", "grad_norm"] {
                let (got, want) = (packed[key].as_f64().unwrap(), plain[key].as_f64().unwrap());
                let step = &packed["step"];
                assert!((got - want).abs() <= 1e-5 * want, "{kind}, step {step}: {key} {got} is not {want}");
            }
            for key in ["step", "tokens", "lr", "epoch"] {
                assert_eq!(packed[key], plain[key], "{kind}: {key}");
            }
        }
    }
}

#[test]
fn a_stopped_run_of_packed_or_grouped_rows_goes_on_bit_for_bit() {
    for (train, data) in [
        ("", "packing = true\nmax_length = 26\n"),
        ("group_by_length = true\n", ""),
        ("", "packing = true\non_too_long = \"split\"\nmax_length = 9\n"),
    ] {
        let project = Project::new();
        let settings = format!(
            "epochs = 2.6\ngradient_accumulation = 2\neval_every = 3\nsave_every = 4\nshuffle = true\n{train}[data]\n{data}[method]\nkind = \"lora\"\nrank = 4\ndropout = 0.1\ntargets = \"all-linear\"\n"
        );
        stopped_and_resumed(&project, &settings, &[1, 3]);
        adapters_are_equal(&project, "whole", "cut");
    }
}

#[test]
fn a_check_tells_the_padding_and_what_would_save_it() {
    let project = Project::new();
    project.write("data.jsonl", &tokens((0..400).map(|row| if row % 4 == 0 { 40 } else { 5 })));
    let mut engine = Engine::start();
    let base = "batch_size = 8\nepochs = 1\n[data]\nformat = \"tokens\"\nvalidation = 0.0\nmax_length = 40\n";
    let plain = check(&mut engine, &project, &config(base));
    let padding = plain.padding.unwrap();
    assert_eq!((padding.rows, padding.packed_rows), (400, Some(138)));
    assert!(padding.share > 0.5 && padding.plain == padding.share, "{padding:?}");
    assert!(padding.grouped.unwrap() < 0.3 && padding.packed.unwrap() < 0.1, "{padding:?}");
    let finding = plain.findings.iter().find(|finding| finding.kind == FindingKind::Padding).unwrap();
    assert_eq!(finding.remedies.len(), 2, "{finding:?}");
    // As the buttons would change it.
    let mut packed = config(base);
    packed.data.packing = true;
    let told = check(&mut engine, &project, &packed);
    assert_eq!((told.steps, plain.steps), (18, 50));
    assert!(told.findings.iter().all(|finding| finding.kind != FindingKind::Padding));
    assert_eq!(told.padding.unwrap().share, padding.packed.unwrap());
    let mut grouped = config(base);
    grouped.train.group_by_length = true;
    assert_eq!(check(&mut engine, &project, &grouped).padding.unwrap().share, padding.grouped.unwrap());
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let project = Project::new();
    let told = project.run("group_by_length = true\n[data]\npacking = true\n", "both");
    assert!(format!("{:?}", told.failed()).contains("packed rows are full"), "{}", told.failed());
    let told = project.run("group_by_length = true\nshuffle = false\n", "order");
    assert!(format!("{:?}", told.failed()).contains("order of the file"), "{}", told.failed());
}

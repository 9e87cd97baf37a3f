//! `compare`: the same task by several methods, and a table.

use crate::workshop::Workshop;

const ARMS: &str = r#"
run = "run.toml"
[[arms]]
name = "LoRA"
method = { kind = "lora", rank = 2 }
[[arms]]
name = "a rank too large"
method = { kind = "lora", rank = 4096 }
[[arms]]
name = "full, fast"
method = { kind = "full" }
train = { learning_rate = 0.01 }
"#;

#[test]
fn every_arm_has_its_line_and_is_measured_once() {
    let workshop = Workshop::new("max_steps = 2\n");
    workshop.write("arms.toml", ARMS);
    let compare = || workshop.run(&["compare", "arms.toml", "--out", "out"]);
    let first = compare();
    assert_eq!(first.code, Some(1), "an arm failed: {}", first.stderr);
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 2 + 3, "{}", first.stdout);
    for (line, words) in
        lines[2..].iter().zip([["| LoRA |", "MiB"], ["too large |", "rank 4096"], ["fast |", "76.8 K"]])
    {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?} in {line}");
    }
    assert!(workshop.path("out/lora/adapter/adapter_config.json").exists());
    assert!(!workshop.path("out/a-rank-too-large").exists());
    // What is known is not trained again, and says the same.
    let trained = std::fs::metadata(workshop.path("out/lora/metrics.jsonl")).unwrap().modified().unwrap();
    assert_eq!(compare().stdout, first.stdout);
    assert_eq!(
        std::fs::metadata(workshop.path("out/lora/metrics.jsonl")).unwrap().modified().unwrap(),
        trained
    );
}

#[test]
fn a_run_file_may_come_from_stdin() {
    let workshop = Workshop::new("max_steps = 1\n");
    let text = std::fs::read(workshop.path("run.toml")).unwrap();
    let done = workshop.program.told(&["--device", "cpu", "train", "-", "--out", "out"], &text);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(workshop.path("out/adapter/adapter_config.json").exists());
}

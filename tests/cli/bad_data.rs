//! Datasets that cannot be trained on, and some that look so and can.

use crate::project::{conversations, run_file};
use crate::workshop::Workshop;

const GOOD: &str = "{\"prompt\": \"ember\", \"completion\": \"light\"}\n";

/// A run over `rows` in a file of that name.
fn over(name: &str, rows: impl AsRef<[u8]>) -> Workshop {
    over_with(name, rows, "")
}

fn over_with(name: &str, rows: impl AsRef<[u8]>, data: &str) -> Workshop {
    let settings = format!("max_steps = 2\n[data]\ntrain = [\"{name}\"]\nvalidation = 0.0\n{data}");
    let workshop = Workshop::new(&settings);
    workshop.write(name, rows);
    workshop
}

#[test]
fn a_broken_row_is_named() {
    let rows = format!("{GOOD}{GOOD}{{\"prompt\": \"ember\", \"completion\": \n{GOOD}");
    over("rows.jsonl", rows).refuses_the_run(&["rows 3", "rows.jsonl", "skip_bad_rows"]);
}

#[test]
fn invalid_utf8_is_named() {
    let mut rows = format!("{GOOD}{{\"prompt\": \"em").into_bytes();
    rows.extend(b"\xff\xfe\", \"completion\": \"x\"}\n");
    over("rows.jsonl", rows).refuses_the_run(&["UTF-8", "rows 2", "rows.jsonl"]);
}

#[test]
fn a_byte_order_mark_and_crlf_are_understood() {
    let rows = format!("\u{feff}{}", conversations(6).replace('\n', "\r\n"));
    let workshop = over("rows.jsonl", rows);
    let verdict = &workshop.event(&["check", "run.toml"], "checked")["verdict"];
    assert_eq!((verdict["ok"].as_bool(), verdict["rows"].as_u64()), (Some(true), Some(6)));
    let plain = over("rows.jsonl", conversations(6));
    let tokens = &plain.event(&["check", "run.toml"], "checked")["verdict"]["tokens"];
    assert_eq!(&verdict["tokens"], tokens);
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "out"]).code, Some(0));
}

#[test]
fn a_very_long_line_is_named() {
    let rows = format!("{GOOD}{{\"prompt\": \"{}\", \"completion\": \"x\"}}\n{GOOD}", "a".repeat(17 << 20));
    over("rows.jsonl", rows).refuses_the_run(&["rows 2", "16 MiB", "rows.jsonl"]);
}

#[test]
fn deep_nesting_is_named() {
    let deep = "[".repeat(200_000);
    let rows = format!("{GOOD}{{\"prompt\": {deep}{}, \"completion\": \"x\"}}\n", "]".repeat(200_000));
    over("rows.jsonl", rows).refuses_the_run(&["rows 2", "rows.jsonl"]);
    let rows = format!("[{{\"prompt\": {deep}");
    over("rows.json", rows).refuses_the_run(&["rows.json"]);
}

#[test]
fn an_unclosed_quote_is_named() {
    let rows = "prompt,completion\nember,light\nember,\"light\nember,light\n";
    over("rows.csv", rows).refuses_the_run(&["quot", "rows.csv"]);
}

#[test]
fn nothing_to_train_on() {
    over("rows.jsonl", "").refuses_the_run(&["rows.jsonl"]);
    over("rows.jsonl", "\n\n").refuses_the_run(&["rows.jsonl"]);
    over("rows.csv", "prompt,completion\n").refuses_the_run(&["rows.csv"]);
    over("rows.json", "[]").refuses_the_run(&["rows.json"]);
    let workshop = Workshop::new("[data]\ntrain = []\n");
    workshop.write("run.toml", run_file("[data]\ntrain = []\n"));
    workshop.refuses_the_run(&["data.train", "names no training data"]);
    Workshop::new("[data]\ntrain = [\"no/such.jsonl\"]\n")
        .refuses_the_run(&["no/such.jsonl", "check the path"]);
}

#[test]
fn rows_without_anything_to_learn() {
    let masked = |rows: usize| "{\"input_ids\": [1, 5, 6], \"labels\": [-100, -100, -100]}\n".repeat(rows);
    over("rows.jsonl", masked(3)).refuses_the_run(&[
        "3 rows have nothing to learn",
        "rows 1, 2, 3",
        "rows.jsonl",
    ]);
    // Leaving them out leaves nothing.
    let workshop = over_with("rows.jsonl", masked(3), "allow_unlabelled = true\n");
    workshop.refuses_the_run(&["None of the 3 rows can be trained on"]);
    // Cut before the answer begins.
    over_with("rows.jsonl", conversations(4), "max_length = 4\n")
        .refuses_the_run(&["4 rows have nothing to learn", "max_length"]);
}

#[test]
fn ids_that_the_model_does_not_have() {
    let rows =
        "{\"input_ids\": [1, 5], \"labels\": [1, 5]}\n{\"input_ids\": [1, 524], \"labels\": [1, 524]}\n";
    over("rows.jsonl", rows).refuses_the_run(&["id 524", "rows 2", "rows.jsonl"]);
}

#[test]
fn lengths_that_make_no_sense() {
    over_with("rows.jsonl", GOOD, "max_length = 0\n")
        .refuses_the_run(&["max_length is 0", "data.max_length"]);
    let workshop = over_with("rows.jsonl", conversations(4), "max_length = 8\non_too_long = \"error\"\n");
    workshop.refuses_the_run(&["longer than 8 tokens", "on_too_long"]);
}

#[test]
fn formats_and_templates_that_nobody_knows() {
    over_with("rows.jsonl", GOOD, "format = \"alpaka\"\n").refuses_the_run(&[
        "alpaka",
        "alpaca",
        "data.format",
    ]);
    let workshop = over_with("rows.jsonl", conversations(3), "template = \"chatlm\"\n");
    workshop.refuses_the_run(&["chatlm", "chatml", "data.template"]);
    Workshop::new("[data]\nvalidation = 1.5\n").refuses_the_run(&["1.5", "data.validation"]);
}

#[test]
fn a_template_that_loops_ends() {
    let workshop = over_with("rows.jsonl", conversations(1), "template = \"loop.jinja\"\n");
    workshop.write(
        "loop.jinja",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ messages }}{% endfor %}{% endfor %}",
    );
    workshop.refuses_the_run(&["chat template does not come to an end"]);
    workshop.write("loop.jinja", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}");
    workshop.refuses_the_run(&["The chat template"]);
    workshop.write("loop.jinja", "{% for m in messages %}");
    workshop
        .run(&["train", "run.toml", "--out", "out"])
        .refused_with(&["chat template is not understood", "loop.jinja"]);
    assert!(!workshop.path("out").exists());
}

#[test]
fn preference_pairs_are_shown_and_refused() {
    let rows = "{\"prompt\": \"ember\", \"chosen\": \"light\", \"rejected\": \"wood\"}\n".repeat(4);
    let workshop = over("rows.jsonl", rows);
    workshop.refuses_the_run(&["can be looked at, and not trained on yet", "rows.jsonl"]);
    let shown = workshop.run(&["preview", "run.toml", "--rows", "1"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let notes: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(notes.len(), 2, "{}", shown.stdout);
    assert!(notes[0].contains("The chosen answer") && notes[1].contains("The rejected answer"), "{notes:?}");
}

//! Datasets in other formats, by the command line.

use serde_json::{Value, json};

use crate::program::Program;

const ROWS: &str = "{\"instruction\":\"Add\",\"input\":\"1 2\",\"output\":\"3\",\"history\":[[\"Hi\",\"Hello\"]]}\n\
    {\"instruction\":\"再见\",\"output\":\"再见！\"}\n{\"instruction\":\"cut\"}\n";

fn program() -> Program {
    let program = Program::new();
    program.write("a.jsonl", ROWS);
    program
}

fn lines(program: &Program, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(program.path().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_are_written_in_another_format_and_those_that_cannot_are_named() {
    let program = program();
    let done = program.run(&["convert", "a.jsonl", "--to", "messages", "--out", "out/b.jsonl"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for part in ["b.jsonl", "Rows left out: 3", "no `output`"] {
        assert!(done.stdout.contains(part), "{}", done.stdout);
    }
    let rows = lines(&program, "out/b.jsonl");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["messages"][2], json!({"role": "user", "content": "Add\n1 2"}));
    let json = program.run(&["--json", "convert", "a.jsonl", "--to", "sharegpt", "--out", "c.jsonl"]);
    let last: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["report"]["left_out_rows"]), (&"converted".into(), &json!([3])));
}

#[test]
fn columns_are_named_and_rows_looked_at_first() {
    let program = program();
    program.write("t.csv", "title,abstract,label\nOn hearts,\"They, beat\",1\n");
    let columns = ["--columns", "prompt=title:{{title}},abstract:{{abstract}}", "response=label"];
    let shown = program.run(&[&["convert", "t.csv", "--to", "alpaca", "--rows", "3"][..], &columns].concat());
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains("\"instruction\": \"title:On hearts,abstract:They, beat\""),
        "{}",
        shown.stdout
    );
    let out = [&["convert", "t.csv", "--to", "alpaca", "--out", "t.jsonl"][..], &columns].concat();
    assert_eq!(program.run(&out).code, Some(0));
    assert_eq!(lines(&program, "t.jsonl")[0]["output"], "1");
}

#[test]
fn what_cannot_be_written_is_refused() {
    let program = program();
    let convert = |to: &str, out: &str| program.run(&["convert", "a.jsonl", "--to", to, "--out", out]);
    convert("parquet", "b.jsonl").refused_with(&["parquet", "alpaca, sharegpt"]);
    convert("messages", "a.jsonl").refused_with(&["one of the files", "a.jsonl"]);
    convert("text", "b.jsonl").refused_with(&["No row can be written as `text`"]);
    assert!(!program.path().join("b.jsonl").exists());
    assert_eq!(std::fs::read_to_string(program.path().join("a.jsonl")).unwrap(), ROWS);
    program.run(&["convert", "no.jsonl", "--to", "text", "--out", "b.jsonl"]).refused_with(&["no.jsonl"]);
}

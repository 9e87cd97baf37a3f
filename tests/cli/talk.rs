//! `chat`: adapters that take turns on one loaded model.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::program::Done;
use crate::workshop::{Workshop, golden};

/// Gives `lines` to `chat` and returns its events.
fn chat(workshop: &Workshop, arguments: &[&str], lines: &str) -> Vec<Value> {
    let fixed = [
        "chat",
        "--json",
        "--device",
        "cpu",
        "--model",
        "model",
        "--temperature",
        "0",
        "--max-new-tokens",
        "6",
        "--ignore-eos",
    ];
    let mut child = workshop
        .program
        .command(&[&fixed[..], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let done = Done::new(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn answers(events: &[Value]) -> Vec<Value> {
    events.iter().filter(|event| event["event"] == "generated").map(|event| event["ids"].clone()).collect()
}

#[test]
fn adapters_take_turns_and_leave_the_base_alone() {
    let workshop = Workshop::new("");
    let adapters = ["method-lora-all/initial_nonzero", "method-lora-all/final"]
        .map(|case| golden(case).display().to_string());
    let flags = ["--adapter", &adapters[0], "--adapter", &adapters[1]];
    let script = "/base\nember\n/reset\n/adapter 1\nember\n/reset\n/adapter 2\nember\n/reset\n/base\nember\n/reset\n/adapter 1\nember\n";
    let events = chat(&workshop, &flags, script);
    let [base, first, second, base_again, first_again] = answers(&events).try_into().unwrap();
    assert_ne!(base, first);
    assert_ne!(base, second);
    assert_ne!(first, second);
    assert_eq!(base, base_again);
    assert_eq!(first, first_again);
    let loads =
        events.iter().filter(|event| event["event"] == "progress" && event["done"] == event["total"]).count();
    assert_eq!(loads, 1, "the base is loaded once");

    // Each alone answers the same.
    assert_eq!(answers(&chat(&workshop, &[], "ember\n")), [base]);
    assert_eq!(answers(&chat(&workshop, &flags[2..], "ember\n")), [second]);
}

#[test]
fn a_conversation_is_remembered_until_it_is_reset() {
    let workshop = Workshop::new("");
    let events = chat(&workshop, &[], "ember\nember\n/reset\nember\n");
    let prompts: Vec<u64> = events
        .iter()
        .filter(|event| event["event"] == "generated")
        .map(|event| event["stats"]["prompt_tokens"].as_u64().unwrap())
        .collect();
    assert!(prompts[1] > prompts[0], "{prompts:?}");
    assert_eq!(prompts[2], prompts[0]);
}

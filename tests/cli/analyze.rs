//! `analyze`: what is told of a dataset, and the file of the rows that are kept.

use crate::workshop::Workshop;

const QUESTION: &str =
    "A farmer has twelve sheep and sells five of them on Monday, how many are left over now?";

fn row(question: &str, answer: &str) -> String {
    serde_json::json!({ "instruction": question, "input": "", "output": answer }).to_string() + "\n"
}

/// Rows with a near-duplicate, a leak and a question of an evaluation set among them.
fn workshop() -> Workshop {
    let workshop = Workshop::new(
        "[data]\ntrain = [\"rows.jsonl\"]\nvalidation = [\"held.jsonl\"]\ntemplate = \"alpaca\"\nmax_length = 1024\n",
    );
    let text =
        |n: usize| format!("number {n} tells of something that happened in the year {n} by the river {n}");
    let rows: String = (0..6).map(|n| row(&format!("tell {n}"), &text(n))).collect();
    workshop.write("rows.jsonl", rows + &row("tell 2", &text(2)) + &row(QUESTION, "seven"));
    workshop.write("held.jsonl", row("tell 4", &text(4)) + &row("tell 9", &text(9)));
    std::fs::create_dir(workshop.path("eval")).unwrap();
    workshop.write("eval/test.csv", format!("question,answer\n\"{QUESTION}\",7\n"));
    workshop
}

#[test]
fn what_was_found_is_told_in_both_languages() {
    let workshop = workshop();
    let arguments = ["analyze", "run.toml", "--near", "--leaks", "--against", "eval"];
    let done = workshop.run(&arguments);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for words in [
        "2 rows are nearly the same as an earlier one",
        "rows 3, 7",
        "1 training rows stand in the validation rows",
        "row 5: 1.000 of row 1",
        "1 training rows share 13 words",
        "English",
    ] {
        assert!(done.stdout.contains(words), "`{words}` is not in: {}", done.stdout);
    }
    let chinese = workshop.run(&[&["--lang", "zh"], &arguments[..]].concat());
    assert!(chinese.stdout.contains("近似重复") && chinese.stdout.contains("英语"), "{}", chinese.stdout);
}

#[test]
fn the_rows_worth_keeping_are_written_with_the_reasons_for_the_others() {
    let workshop = workshop();
    let arguments =
        ["analyze", "run.toml", "--near", "0.9", "--leaks", "--against", "eval", "--keep", "kept.jsonl"];
    let event = workshop.event(&arguments, "analyzed");
    assert_eq!(event["analysis"]["filtered"]["kept"], 5);
    let lines = |name: &str| std::fs::read_to_string(workshop.path(name)).unwrap();
    assert_eq!(lines("kept.jsonl").lines().count(), 5);
    let reasons = lines("kept.reasons.jsonl");
    for reason in ["leak", "near-duplicate", "contaminated"] {
        assert_eq!(reasons.matches(&format!("\"reason\":\"{reason}\"")).count(), 1, "{reasons}");
    }
    workshop.run(&arguments).refused_with(&["kept.jsonl", "not overwritten"]);
}

#[test]
fn a_model_scores_and_chooses_rows() {
    let workshop = workshop();
    let arguments =
        ["analyze", "run.toml", "--ifd", "--diverse", "3", "--ifd-share", "0.5", "--keep", "kept.jsonl"];
    let event = workshop.event(&arguments, "analyzed");
    let analysis = &event["analysis"];
    assert_eq!(
        analysis["ifd"]["scores"].as_array().unwrap().len() as u64
            + analysis["ifd"]["unscored"].as_u64().unwrap(),
        8
    );
    assert_eq!(analysis["diverse"].as_array().unwrap().len(), 3);
    assert!(analysis["filtered"]["kept"].as_u64().unwrap() <= 3);
    let done = workshop.run(&["analyze", "run.toml", "--ifd", "--diverse", "2"]);
    assert!(done.stdout.contains("median") && done.stdout.contains("2 diverse rows"), "{}", done.stdout);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let workshop = workshop();
    workshop.run(&["analyze", "run.toml", "--near", "2"]).refused_with(&["2 is no similarity"]);
    workshop.run(&["analyze", "run.toml", "--against", "missing"]).refused_with(&["missing"]);
    workshop.run(&["analyze", "run.toml", "--diverse", "0"]).refused_with(&["needs rows"]);
    let done = workshop.run(&["analyze", "run.toml", "--languages", "eng"]);
    assert_eq!(done.code, Some(2), "a filter without a file");
}

//! What is told of a dataset beyond its verdict.

mod filter;
mod near;
mod real;

use std::path::PathBuf;

use data::Silent;
use data::analysis::{Known, analyse};
use protocol::config::{DataConfig, Validation};
use protocol::{AnalysisChecks, Overlap, TokenRole};
use serde_json::json;

use crate::support::{Folder, alpaca_lines, config, open};

/// A row in alpaca's form.
fn row(instruction: &str, output: &str) -> String {
    json!({ "instruction": instruction, "input": "", "output": output }).to_string() + "\n"
}

fn known(config: &DataConfig, folder: &Folder, checks: &AnalysisChecks) -> Known {
    analyse(&open(config, folder).unwrap(), checks, 42, &Silent).unwrap()
}

fn rows_of(overlaps: Option<&Vec<Overlap>>) -> Vec<(u64, u64)> {
    overlaps.unwrap().iter().map(|overlap| (overlap.row, overlap.file_row)).collect()
}

#[test]
fn languages_lengths_openings_and_endings_are_always_told() {
    let english =
        "Sure! Here is the answer that you have asked for, written out in full for you. I hope this helps!";
    let chinese = "好的，以下是您需要的答案，请您仔细阅读并核对全部内容。希望对您有所帮助！";
    let rows: String = [
        row("Tell me about the weather in spring", english),
        row("请介绍一下春天的天气情况", chinese),
        row("Tell me more about the rain in autumn", english),
        "{\"broken\":1}\n".to_owned(),
        row("1+1", "2"),
    ]
    .concat();
    let (folder, _) = Folder::with("a.jsonl", rows);
    let analysis = known(&config(&["a.jsonl"]), &folder, &AnalysisChecks::default()).analysis;
    assert_eq!((analysis.rows, analysis.unusable), (5, 1));
    let shares: Vec<_> =
        analysis.languages.iter().map(|share| (share.code.as_str(), share.examples.as_slice())).collect();
    assert_eq!(shares, [("eng", &[1, 3][..]), ("", &[5]), ("cmn-Hans", &[2])]);
    assert_eq!(analysis.languages[2].name.zh, "中文（简体）");
    let first =
        |list: &[protocol::Frequent]| (list[0].text.clone(), list[0].count, list[0].rows.clone(), list.len());
    assert_eq!(first(&analysis.openings), ("Sure! Here is".to_owned(), 2, vec![1, 3], 1));
    assert_eq!(first(&analysis.endings), ("hope this helps!".to_owned(), 2, vec![1, 3], 1));
    let of = |role| analysis.lengths.iter().find(|lengths| lengths.role == role).unwrap();
    let (user, assistant) = (of(TokenRole::User), of(TokenRole::Assistant));
    assert_eq!((user.turns, user.tokens, user.longest), (4, 7 + 1 + 8 + 1, 8));
    assert_eq!((assistant.turns, assistant.tokens, assistant.longest), (4, 20 + 1 + 20 + 1, 20));
    assert_eq!(assistant.lengths.counts.iter().sum::<u64>(), 4);
    assert!(
        analysis.near_duplicates.is_none() && analysis.leaks.is_none() && analysis.contamination.is_none()
    );
}

#[test]
fn training_rows_in_the_validation_file_are_told() {
    let folder = Folder::new();
    let long = |n: usize| {
        format!("a text of some length that only row {n} has, with word{n} and more{n} and other{n} in it")
    };
    let rows = |of: std::ops::Range<usize>| {
        of.map(|n| row(&format!("say {n} in other words"), &long(n))).collect::<String>()
    };
    folder.write("a.jsonl", rows(0..50));
    let nearly = row("say 7 in other words", &(long(7) + " again"));
    folder.write("v.jsonl", rows(60..63) + &rows(3..4) + &nearly + &rows(70..72));
    let validation = Validation::Files(vec![PathBuf::from("v.jsonl")]);
    let config = DataConfig { validation, ..config(&["a.jsonl"]) };
    let checks = AnalysisChecks { leaks: true, ..AnalysisChecks::default() };
    let analysis = known(&config, &folder, &checks).analysis;
    assert_eq!(rows_of(analysis.leaks.as_ref()), [(4, 4), (8, 5)]);
    assert_eq!(analysis.leaked_rows, 2);
    let leaks = analysis.leaks.unwrap();
    assert!(leaks[0].file.ends_with("v.jsonl") && leaks[0].text == "say 3 in other words");
    assert!(leaks[0].similarity == 1.0 && (0.8..1.0).contains(&leaks[1].similarity), "{leaks:?}");
    let strict = AnalysisChecks { near_duplicates: Some(1.0), ..checks };
    let analysis = known(&config, &folder, &strict).analysis;
    assert_eq!(rows_of(analysis.leaks.as_ref()), [(4, 4)]);
    assert_eq!(analysis.near_duplicate_rows, 1, "the row of the validation file repeats the training row");
}

#[test]
fn rows_that_are_held_out_by_chance_may_leak_too() {
    let rows = alpaca_lines(200) + &alpaca_lines(200);
    let (folder, _) = Folder::with("a.jsonl", rows);
    let config = DataConfig { validation: Validation::Fraction(0.1), ..config(&["a.jsonl"]) };
    let checks = AnalysisChecks { leaks: true, ..AnalysisChecks::default() };
    let analysis = known(&config, &folder, &checks).analysis;
    let split = data::Split::hold_out(&(0..400).collect::<Vec<_>>(), 0.1, 42);
    let twin = |row: &u32| (row + 200) % 400;
    let expected: Vec<u64> = split
        .train
        .iter()
        .filter(|row| split.validation.contains(&twin(row)))
        .map(|row| u64::from(*row) + 1)
        .collect();
    let told: Vec<u64> = analysis.leaks.unwrap().iter().map(|leak| leak.row).collect();
    assert!(expected.len() > 20);
    assert_eq!(told, expected);
    let nothing = DataConfig { validation: Validation::Fraction(0.0), ..config };
    let analysis = known(&nothing, &folder, &checks).analysis;
    assert_eq!(analysis.leaks, Some(Vec::new()));
    assert!(analysis.notes[0].en.contains("nothing to leak into"), "{:?}", analysis.notes);
}

const QUESTION: &str = "A farmer has twelve sheep and sells five of them on Monday and two more on Tuesday. How many sheep are left?";

#[test]
fn questions_of_an_evaluation_set_are_found_in_any_wording_around_them() {
    let folder = Folder::new();
    let header =
        "Answer the following question and choose one of the four options that are given below, please. ";
    folder.write(
        "eval.csv",
        format!("question,A,B\n\"{QUESTION}\",5,7\n\"A question of six words only?\",1,2\n"),
    );
    let other = |n: usize| format!("{{\"text\":\"{header} What is the {n}th word of the {n}th line?\"}}\n");
    std::fs::create_dir(folder.path().join("set")).unwrap();
    folder.write("set/b.jsonl", (0..12).map(other).collect::<String>());
    folder.write("set/no-header.csv", format!("{QUESTION},5,7,5,7,B\n"));
    folder.write("set/notes.md", "not a data file");
    let rows = [
        row(&format!("{header} Please think: {}", QUESTION.to_uppercase().replace('.', " ,")), "Five."),
        row("A farmer has twelve sheep.", "How nice."),
        row(&format!("{header} What is the 99th word?"), "None."),
    ];
    folder.write("a.jsonl", rows.concat());
    let path = |name: &str| folder.path().join(name);
    let checks = AnalysisChecks { contamination: vec![path("eval.csv")], ..AnalysisChecks::default() };
    let analysis = known(&config(&["a.jsonl"]), &folder, &checks).analysis;
    assert_eq!(rows_of(analysis.contamination.as_ref()), [(1, 1)]);
    let found = &analysis.contamination.as_ref().unwrap()[0];
    assert_eq!((found.similarity, analysis.contaminated_rows), (1.0, 1));
    assert!(found.file.ends_with("eval.csv") && found.text.starts_with("A farmer has twelve sheep"));
    assert!(analysis.notes.iter().any(|note| note.en.starts_with("1 questions")), "{:?}", analysis.notes);
    // The header stands in twelve questions of its file, and so is no question; MMLU's tables name no columns.
    let checks = AnalysisChecks { contamination: vec![path("set")], ..AnalysisChecks::default() };
    let analysis = known(&config(&["a.jsonl"]), &folder, &checks).analysis;
    assert_eq!(rows_of(analysis.contamination.as_ref()), [(1, 1)]);
    assert!(analysis.contamination.unwrap()[0].file.ends_with("no-header.csv"));
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(3));
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
    let refusal = |checks: AnalysisChecks| analyse(&dataset, &checks, 1, &Silent).err().unwrap();
    for threshold in [0.0, 1.5, f64::NAN] {
        let err = refusal(AnalysisChecks { near_duplicates: Some(threshold), ..AnalysisChecks::default() });
        assert_eq!(err.exit_code(), 2);
    }
    for (name, words) in [("empty", "empty"), ("missing.jsonl", "missing.jsonl")] {
        let contamination = vec![folder.path().join(name)];
        let err = refusal(AnalysisChecks { contamination, ..AnalysisChecks::default() });
        assert!(err.exit_code() == 2 && err.to_string().contains(words), "{err}");
    }
}

struct StopAtOnce;

impl data::Progress for StopAtOnce {
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn an_analysis_can_be_stopped() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(3000));
    let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
    let err = analyse(&dataset, &AnalysisChecks::default(), 1, &StopAtOnce).err().unwrap();
    assert!(err.to_string().contains("Stopped"), "{err}");
}

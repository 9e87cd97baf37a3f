//! `predict`: a file's rows answered, with the prompt of training, whatever ends the work.

#![expect(clippy::print_stdout, reason = "a test says what it did not run")]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Done;
use crate::workshop::Workshop;

const FIXED: [&str; 8] =
    ["--model", "model", "--max-new-tokens", "6", "--adapter", "run/adapter", "--input", "rows.csv"];

/// Papers with a label, as a table. Titles have everything in them that a table must quote.
fn papers(rows: std::ops::Range<usize>, label: bool) -> String {
    let mut table = String::from(if label {
        "uuid,title,author,abstract,label\n"
    } else {
        "uuid,title,author,abstract\n"
    });
    for row in rows {
        let title = ["ember, light", "\"wood\"", "iron\nriver", "stone", "云"][row % 5];
        let title = title.replace('"', "\"\"");
        let words = "cloud river ".repeat(1 + row % 4);
        let end = if label { format!(",{}", row % 2) } else { String::new() };
        table += &format!("{row},\"{title}\",\"Li, {row}\",{words}{end}\n");
    }
    table
}

/// A run over papers: title and abstract are asked, the label is learned.
fn trained() -> Workshop {
    let workshop = Workshop::new("");
    workshop.write("papers.csv", papers(0..12, true));
    workshop.write("rows.csv", papers(0..17, false));
    workshop.write(
        "papers.toml",
        "[model]\npath = \"model\"\n[data]\ntrain = [\"papers.csv\"]\nmax_length = 200\n\
         [data.columns]\ninstruction = \"{{ 'Is it one? -->' }}\"\n\
         input = \"title:{{title}},abstract:{{abstract}}\"\noutput = \"label\"\n\
         [train]\nmax_steps = 4\nbatch_size = 2\n",
    );
    let done = workshop.run(&["train", "papers.toml", "--out", "run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    workshop
}

fn predict(workshop: &Workshop, output: &str, more: &[&str]) -> Done {
    workshop.run(&[&["predict"], &FIXED[..], &["--output", output], more].concat())
}

/// The one event of a name.
fn event(workshop: &Workshop, output: &str, more: &[&str], name: &str) -> Value {
    workshop.event(&[&["predict"], &FIXED[..], &["--output", output], more].concat(), name)
}

/// A table's heads and rows.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut rows, mut quoted) = (vec![vec![String::new()]], false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().unwrap();
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => row.last_mut().unwrap().push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            _ => row.last_mut().unwrap().push(letter),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line has no end");
    (rows.remove(0), rows)
}

#[test]
fn rows_are_asked_as_training_asked_them_and_a_difference_is_told() {
    let workshop = trained();
    let preview = workshop.run(&["preview", "papers.toml", "--rows", "1"]);
    let row: Value = serde_json::from_str(preview.stdout.lines().next().unwrap()).unwrap();
    let plan = event(&workshop, "a.csv", &[], "predict_planned");
    let asked = plan["plan"]["prompts"][0]["text"].as_str().unwrap();
    // The first rows of both files are the same paper.
    assert!(asked.contains("title:ember, light,abstract:cloud river"), "{asked}");
    assert!(row["rendered"].as_str().unwrap().starts_with(asked), "{row}\n{asked}");
    assert_eq!(plan["plan"]["warnings"].as_array().unwrap().len(), 0, "{plan}");
    assert_eq!(plan["plan"]["total"], 17);
    assert_eq!(plan["plan"]["format"], "alpaca");

    // The mission's own example: the author comes in when it is asked, and was not there when it learned.
    let own = [
        "--prompt",
        "instruction={{ 'Is it one? -->' }}",
        "--prompt",
        "input=title:{{title}},author:{{author}},abstract:{{abstract}}",
    ];
    let done = predict(&workshop, "b.csv", &own);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for words in ["differs from the one in training", "author:Li, 0"] {
        assert!(done.stderr.contains(words), "`{words}` is not in {}", done.stderr);
    }
    let same = [
        "--prompt",
        "instruction={{ 'Is it one? -->' }}",
        "--prompt",
        "input=title:{{title}},abstract:{{abstract}}",
    ];
    let done = predict(&workshop, "c.csv", &same);
    assert!(!done.stderr.contains("differs"), "{}", done.stderr);
    let files = ["a.csv", "c.csv"].map(|name| std::fs::read(workshop.path(name)).unwrap());
    assert_eq!(files[0], files[1]);
}

#[test]
fn the_output_has_the_columns_asked_for_in_every_kind_of_file() {
    let workshop = trained();
    let columns = "uuid,Keywords=answer,title,label={{ '1' if title == 'stone' else \"0,0\" }}";
    let (_, plain) = {
        let done = predict(&workshop, "all.csv", &[]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        table(&workshop.path("all.csv"))
    };
    let (_, input) = table(&workshop.path("rows.csv"));
    assert_eq!(plain.len(), 17);
    for (row, given) in plain.iter().zip(&input) {
        assert_eq!(row[..4], given[..4]);
    }
    for name in ["some.csv", "some.json", "some.jsonl"] {
        let done = predict(&workshop, name, &["--columns", columns, "--batch-tokens", "64"]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let text = std::fs::read_to_string(workshop.path(name)).unwrap();
        let rows: Vec<Vec<String>> = match name.rsplit('.').next() {
            Some("csv") => {
                let (heads, rows) = table(&workshop.path(name));
                assert_eq!(heads, ["uuid", "Keywords", "title", "label"]);
                rows
            }
            Some("json") => objects(serde_json::from_str(&text).unwrap()),
            _ => objects(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()),
        };
        assert_eq!(rows.len(), 17, "{name}");
        for ((row, given), whole) in rows.iter().zip(&input).zip(&plain) {
            let label = if given[1] == "stone" { "1" } else { "0,0" };
            // However many rows went through the model at once, the answers are the same.
            assert_eq!(row, &[&given[0], &whole[4], &given[1], label], "{name}");
        }
    }
    predict(&workshop, "some.csv", &[]).refused_with(&["there already", "--resume"]);
    predict(&workshop, "x.csv", &["--columns", "uuid,titel"]).refused_with(&["titel", "title"]);
    predict(&workshop, "x.csv", &["--label", "labl"]).refused_with(&["labl", "--label"]);
    predict(&workshop, "x.txt", &[]).refused_with(&[".csv", "x.txt"]);
    assert!(!workshop.path("x.csv").exists());
}

fn objects(rows: Vec<Value>) -> Vec<Vec<String>> {
    let values = |row: Value| {
        row.as_object().unwrap().values().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    rows.into_iter().map(values).collect()
}

#[test]
fn choices_are_made_by_likelihood_and_counted_against_labels() {
    let workshop = trained();
    workshop.write("rows.csv", papers(0..17, true));
    let flags = ["--choices", "0,1", "--label", "label"];
    let report = event(&workshop, "a.csv", &flags, "prediction_ended");
    let report = &report["report"];
    let (_, rows) = table(&workshop.path("a.csv"));
    assert!(rows.iter().all(|row| row[5] == "0" || row[5] == "1"));
    let right = rows.iter().filter(|row| row[4] == row[5]).count();
    let accuracy = report["scores"][0]["value"].as_f64().unwrap();
    assert!((accuracy - right as f64 / 17.0).abs() < 1e-9, "{report}");
    assert_eq!(report["confusion"]["labels"], serde_json::json!(["0", "1"]));
    let sum: u64 = report["confusion"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!((sum, report["rows"].as_u64(), report["complete"].as_bool()), (17, Some(17), Some(true)));

    let events = workshop.json(&[&["predict"], &FIXED[..], &["--output", "b.csv"], &flags].concat());
    let told = events.iter().filter(|event| event["event"] == "predicted");
    let predicted: Vec<&Value> = told.flat_map(|event| event["rows"].as_array().unwrap()).collect();
    assert_eq!(predicted.len(), 17);
    for row in predicted {
        let scores: Vec<f64> =
            row["choices"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
        let best = if scores[1] > scores[0] { "1" } else { "0" };
        assert_eq!(row["answer"], best);
        assert_eq!(row["finish"], "choice");
    }
    // Figures of a resumed prediction are those of all rows.
    let whole = std::fs::read_to_string(workshop.path("a.csv")).unwrap();
    let half: String = whole.split_inclusive('\n').take(9).collect();
    workshop.write("a.csv", half);
    let again = event(&workshop, "a.csv", &[&flags[..], &["--resume"]].concat(), "prediction_ended");
    assert_eq!(again["report"]["scores"], report["scores"]);
    assert!(again["report"]["resumed"].as_u64().unwrap() > 0);
    assert_eq!(std::fs::read_to_string(workshop.path("a.csv")).unwrap(), whole);
    predict(&workshop, "x.csv", &["--choices", "1,1"]).refused_with(&["--choices"]);
}

#[test]
fn rows_that_cannot_be_asked_have_their_reason_and_the_others_an_answer() {
    let workshop = trained();
    let long = "river ".repeat(900);
    workshop.write(
        "rows.csv",
        format!("uuid,title,abstract\n1,ember,light\n2,wood,{long}\n3,iron\n4,stone,cloud\n"),
    );
    let done = predict(&workshop, "a.csv", &["--columns", "uuid,answer,error"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("Row 2 has no answer") && done.stdout.contains("2 without an answer"),
        "{}",
        done.stderr
    );
    let (_, rows) = table(&workshop.path("a.csv"));
    let empty: Vec<bool> = rows.iter().map(|row| row[1].is_empty()).collect();
    let told: Vec<bool> = rows.iter().map(|row| !row[2].is_empty()).collect();
    assert_eq!(told, [false, true, true, false], "{rows:?}");
    assert!(empty[1] && empty[2], "{rows:?}");
    assert!(rows[1][2].contains("tokens"), "{rows:?}");
    // A resumed prediction counts those from before, whether or not its output tells them.
    let flags = ["--columns", "uuid,answer"];
    let report = event(&workshop, "b.csv", &flags, "prediction_ended");
    assert_eq!(report["report"]["failed"], 2, "{report}");
    let text = std::fs::read_to_string(workshop.path("b.csv")).unwrap();
    let begun: String = text.split_inclusive('\n').take(3).collect();
    workshop.write("b.csv", begun);
    let report = event(&workshop, "b.csv", &[&flags[..], &["--resume"]].concat(), "prediction_ended");
    assert_eq!(
        (&report["report"]["resumed"], &report["report"]["failed"]),
        (&2.into(), &2.into()),
        "{report}"
    );
    let why = std::fs::read_to_string(workshop.path("b.csv.failed.jsonl")).unwrap();
    let why: Vec<Value> = why.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(why.iter().map(|line| line["row"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3]);
    assert!(why[0]["why"]["en"].as_str().unwrap().contains("tokens"), "{why:?}");
}

/// What an adapter remembers does not depend on its run's folder, or on the files that it learned from.
#[test]
fn an_adapter_that_went_elsewhere_asks_as_its_run_did() {
    let workshop = trained();
    let done = predict(&workshop, "there.csv", &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let there = std::fs::read(workshop.path("there.csv")).unwrap();
    let made = workshop.run(&[
        "export",
        "--model",
        "model",
        "--adapter",
        "run/adapter",
        "--to",
        "adapter",
        "--out",
        "exported",
    ]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    std::fs::rename(workshop.path("run/adapter"), workshop.path("moved")).unwrap();
    std::fs::remove_dir_all(workshop.path("run")).unwrap();
    std::fs::remove_file(workshop.path("papers.csv")).unwrap();
    let asked = |adapter: &str, output: &str, more: &[&str]| {
        let fixed = ["predict", "--model", "model", "--max-new-tokens", "6", "--input", "rows.csv"];
        workshop.run(&[&fixed[..], &["--adapter", adapter, "--output", output], more].concat())
    };
    for adapter in ["moved", "exported"] {
        let output = format!("{adapter}.csv");
        let done = asked(adapter, &output, &[]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(!done.stderr.contains("differs"), "{}", done.stderr);
        assert_eq!(std::fs::read(workshop.path(&output)).unwrap(), there, "{adapter}");
    }
    let other = ["--prompt", "instruction=title:{{title}},author:{{author}}"];
    let done = asked("moved", "other.csv", &other);
    for words in ["differs from the one in training", "author:Li, 0"] {
        assert!(done.stderr.contains(words), "`{words}` is not in {}", done.stderr);
    }
    // Of an earlier version: nothing is known of its prompt, and an own one is no reason to warn.
    std::fs::remove_file(workshop.path("moved/emberwright.json")).unwrap();
    let done = asked("moved", "old.csv", &other);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(!done.stderr.contains("differs"), "{}", done.stderr);
    workshop.write("moved/emberwright.json", "{\"prompt\": 3}");
    let done = asked("moved", "broken.csv", &other);
    assert!(done.code == Some(0) && done.stderr.contains("cannot be read"), "{}", done.stderr);
}

/// Waits until the file has so many lines.
#[test]
fn a_file_in_which_nothing_can_be_answered_is_a_failure() {
    let workshop = trained();
    workshop.write("rows.csv", "");
    predict(&workshop, "a.csv", &[]).refused_with(&["has no rows", "rows.csv"]);
    assert!(!workshop.path("a.csv").exists());
    let long = "river ".repeat(900);
    workshop.write("rows.csv", format!("uuid,title,abstract\n1,ember,{long}\n2,wood,{long}\n"));
    let done = predict(&workshop, "a.csv", &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stdout.contains("2 without an answer"), "{}", done.stdout);
}

fn wait_for_lines(file: &Path, lines: usize, child: &mut Child) {
    let began = Instant::now();
    while std::fs::read_to_string(file).map_or(0, |text| text.lines().count()) < lines {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
        assert!(began.elapsed() < Duration::from_secs(120), "no rows came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn started(workshop: &Workshop, output: &str) -> Child {
    let more = ["--device", "cpu", "--output", output, "--batch-tokens", "60", "--ignore-eos"];
    let arguments = [&["predict"], &FIXED[..], &more].concat();
    let mut command = workshop.program.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_a_kill_or_ctrl_c_leaves_goes_on_without_a_row_lost_or_twice() {
    let workshop = trained();
    workshop.write("rows.csv", papers(0..900, false));
    for name in ["csv", "json", "jsonl"] {
        let (cut, whole) = (format!("cut.{name}"), format!("whole.{name}"));
        let mut child = started(&workshop, &cut);
        wait_for_lines(&workshop.path(&cut), 40, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let there = std::fs::read(workshop.path(&cut)).unwrap();
        // As if the kill had come in the middle of a row.
        std::fs::write(workshop.path(&cut), &there[..there.len() - 3]).unwrap();
        for output in [&cut, &whole] {
            let flags = ["--resume", "--batch-tokens", "60", "--ignore-eos"];
            let done = predict(&workshop, output, &flags);
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        let [cut, whole] = [cut, whole].map(|name| std::fs::read_to_string(workshop.path(&name)).unwrap());
        assert_eq!(cut, whole, "{name}");
    }
    let mut child = started(&workshop, "stopped.json");
    wait_for_lines(&workshop.path("stopped.json"), 40, &mut child);
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    if !interrupt.is_ok_and(|status| status.success()) {
        println!("NOT RUN: Ctrl-C (there is no `kill`)");
        child.kill().unwrap();
        return;
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let text = std::fs::read_to_string(workshop.path("stopped.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!((39..900).contains(&rows.len()), "{}", rows.len());
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["uuid"], number.to_string());
    }
}

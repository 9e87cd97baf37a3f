//! `eval`: suites of our own in the published layouts, with and without an adapter, whatever ends the work.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workshop::Workshop;

/// A model, and an adapter that was trained on `data.jsonl`.
fn trained() -> Workshop {
    let workshop = Workshop::new("max_steps = 4");
    let done = workshop.run(&["train", "run.toml", "--out", "run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    workshop
}

/// An examination of some subjects with so many questions each.
fn exam(workshop: &Workshop, subjects: &[&str], questions: usize) {
    for subject in subjects {
        let row = |number: usize| {
            let words = "river ".repeat(1 + number * 7 % 5);
            format!(
                "\"Which {words}number is {number}?\",ember,\"light, wood\",iron,stone,{}\n",
                ["A", "B", "C", "D"][number % 4]
            )
        };
        let table = |rows: std::ops::Range<usize>| rows.map(row).collect::<String>();
        for (split, rows) in [("test", 0..questions), ("dev", 90..93)] {
            std::fs::create_dir_all(workshop.path(&format!("mmlu/{split}"))).unwrap();
            workshop.write(&format!("mmlu/{split}/{subject}_{split}.csv"), table(rows));
        }
    }
}

fn report(workshop: &Workshop, arguments: &[&str]) -> Value {
    workshop.event(&[&["eval", "--model", "model"], arguments].concat(), "evaluated")["report"].clone()
}

/// The answers in a folder by whose they are and to what; none may come twice.
fn items(folder: &Path) -> BTreeMap<(String, String), Value> {
    let text = std::fs::read_to_string(folder.join("items.jsonl")).unwrap();
    let mut items = BTreeMap::new();
    for line in text.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let before = items.insert((text("who"), text("item")), line.clone());
        assert!(before.is_none(), "{line} came twice");
    }
    items
}

fn metric<'a>(report: &'a Value, row: usize, name: &str) -> &'a Value {
    let metrics = report["rows"][row]["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["name"] == name).unwrap()
}

#[test]
fn base_and_tuned_are_asked_the_same_and_the_difference_is_told() {
    let workshop = trained();
    exam(&workshop, &["astronomy", "virology", "marketing"], 9);
    let flags =
        ["--suite", "mmlu", "--data", "mmlu", "--adapter", "run/adapter", "--shots", "2", "--compare"];
    let told = report(&workshop, &flags);
    let dir = told["dir"].as_str().unwrap();
    // Kept with the run that made the adapter.
    let evals = workshop.path("run/evals");
    assert!(Path::new(dir).parent().unwrap().ends_with("run/evals") && evals.is_dir(), "{dir}");
    let names: Vec<_> =
        told["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mmlu", "STEM", "Other", "astronomy", "marketing", "virology"]);
    let items = items(Path::new(dir));
    assert_eq!(items.len(), 2 * 27);
    let share = |who: &str| {
        let right = items.iter().filter(|((whose, _), item)| whose == who && item["right"] == true).count();
        right as f64 / 27.0
    };
    let acc = metric(&told, 0, "acc");
    for who in ["base", "tuned"] {
        assert!((acc[who]["value"].as_f64().unwrap() - share(who)).abs() < 1e-12, "{acc}");
        assert!(acc[who]["low"].as_f64() <= acc[who]["value"].as_f64(), "{acc}");
    }
    let difference = acc["difference"]["value"].as_f64().unwrap();
    assert!((difference - (share("tuned") - share("base"))).abs() < 1e-12, "{acc}");
    let logprobs = |who: &str| items[&(who.to_owned(), "astronomy/0".to_owned())]["logprobs"].clone();
    assert_ne!(logprobs("base"), logprobs("tuned"));
    // The options of a question are told apart by their own likelihood.
    assert_eq!(logprobs("base").as_array().unwrap().len(), 4);

    // The same command again has nothing to do; another one is refused there.
    let again = report(&workshop, &[&flags[..], &["--out", dir]].concat());
    assert_eq!(again, told);
    let other = workshop.run(&[&["eval", "--model", "model"], &flags[..6], &["--out", dir]].concat());
    other.refused_with(&["another evaluation", "--out"]);

    // Listed, and written side by side.
    let listed = workshop.event(&["eval", "--list", "run"], "evaluations");
    assert_eq!(listed["reports"].as_array().unwrap().len(), 1);
    let done = workshop.run(&["eval", "--list", "run", "--table", "table.md"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("mmlu") && done.stdout.contains("acc"), "{}", done.stdout);
    let table = std::fs::read_to_string(workshop.path("table.md")).unwrap();
    assert!(table.contains("| mmlu | virology | Other | 9 | acc |"), "{table}");
}

#[test]
fn however_many_go_through_at_once_the_answers_are_the_same() {
    let workshop = Workshop::new("");
    exam(&workshop, &["astronomy"], 30);
    let likelihoods = |flags: &[&str], out: &str| {
        report(&workshop, &[&["--suite", "mmlu", "--data", "mmlu", "--out", out], flags].concat());
        items(&workshop.path(out))
    };
    let one = likelihoods(&["--batch-tokens", "1"], "one");
    let all = likelihoods(&[], "all");
    assert_eq!(one.len(), 30);
    for (item, all) in one.values().zip(all.values()) {
        for (a, b) in item["logprobs"].as_array().unwrap().iter().zip(all["logprobs"].as_array().unwrap()) {
            assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4, "{item} {all}");
        }
    }
    let limited = report(&workshop, &["--suite", "mmlu", "--data", "mmlu", "--limit", "4", "--out", "few"]);
    assert_eq!(limited["rows"][0]["items"], 4);
}

#[test]
fn scored_questions_go_on_where_they_were_bit_for_bit() {
    let workshop = Workshop::new("");
    exam(&workshop, &["astronomy", "virology"], 140);
    let flags = ["--suite", "mmlu", "--data", "mmlu", "--out", "out"];
    let whole = report(&workshop, &flags);
    let answers = items(&workshop.path("out"));
    let text = std::fs::read_to_string(workshop.path("out/items.jsonl")).unwrap();
    // As a kill leaves it: in the middle of what is scored together, and of a line.
    let kept: String = text.split_inclusive('\n').take(50).collect();
    workshop.write("out/items.jsonl", format!("{kept}{}", &text[kept.len()..kept.len() + 30]));
    std::fs::remove_file(workshop.path("out/report.json")).unwrap();
    let again = report(&workshop, &flags);
    assert_eq!(items(&workshop.path("out")), answers);
    assert_eq!(again["rows"], whole["rows"]);
}

#[test]
fn written_answers_go_on_after_a_kill() {
    let workshop = trained();
    let rows: String = (0..600)
        .map(|row| {
            format!(
                "{{\"prompt\": \"{} {row}\", \"response\": \"wood iron {row}\"}}\n",
                "river ".repeat(row % 9)
            )
        })
        .collect();
    workshop.write("rows.jsonl", rows);
    let flags = |out: &'static str| {
        [
            "--suite",
            "rouge",
            "--data",
            "rows.jsonl",
            "--set",
            "max_new_tokens=12",
            "--set",
            "format=completion",
            "--out",
            out,
            "--adapter",
            "run/adapter",
        ]
    };
    let whole = report(&workshop, &flags("whole"));
    let arguments = [&["eval", "--model", "model", "--device", "cpu"], &flags("cut")[..]].concat();
    let mut command = workshop.program.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = workshop.path("cut/items.jsonl");
    let began = Instant::now();
    while std::fs::read_to_string(&file).map_or(0, |text| text.lines().count()) < 40 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        assert!(began.elapsed() < Duration::from_secs(120), "no answers came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let there = std::fs::read_to_string(&file).unwrap();
    assert!(there.lines().count() < 601 && !workshop.path("cut/report.json").exists());
    let again = report(&workshop, &flags("cut"));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with(&there[..there.rfind('\n').unwrap()]));
    assert_eq!(items(&workshop.path("cut")), items(&workshop.path("whole")));
    assert_eq!(again["rows"], whole["rows"]);
    assert_eq!(whole["rows"][0]["items"], 600);
}

#[test]
fn every_suite_answers_on_rows_of_our_own() {
    let workshop = trained();
    workshop.write("blimp.jsonl", "{\"sentence_good\": \"A cat sleeps.\", \"sentence_bad\": \"A cat sleep.\", \"UID\": \"agreement\", \"field\": \"syntax\"}\n");
    workshop.write("gsm8k.jsonl", "{\"question\": \"One and one?\", \"answer\": \"1+1=2\\n#### 2\"}\n");
    workshop.write("TruthfulQA.csv", "Category,Question,Best Answer,Correct Answers,Incorrect Answers\nMyths,Is it so?,No,No; It is not,Yes; Of course\n");
    workshop.write("texts.txt", format!("{}\n\nstone light\n", "river stone cloud ".repeat(80)));
    workshop.write("sql.jsonl", "{\"text\": \"table: t\\nQ: how many\\nA: SELECT COUNT(*) FROM t\"}\n");
    workshop.write("classes.csv", "prompt,response\nember,yes\nwood,no\niron,yes\n");
    let chat = ["--adapter", "run/adapter", "--compare"];
    let cases: [(&str, &str, &[&str], &str, u64); 8] = [
        ("blimp", "blimp.jsonl", &[], "acc", 1),
        ("gsm8k", "gsm8k.jsonl", &["--set", "max_new_tokens=4"], "flexible-extract", 1),
        ("truthfulqa", "TruthfulQA.csv", &[], "mc2", 1),
        ("perplexity", "texts.txt", &[], "word_perplexity", 2),
        ("perplexity", "data.jsonl", &chat, "token_perplexity", 22),
        ("sql", "sql.jsonl", &["--set", "max_new_tokens=4"], "clause_match", 1),
        ("accuracy", "classes.csv", &["--set", "format=completion"], "macro-f1", 3),
        ("bleu", "data.jsonl", &[&chat[..], &["--set", "max_new_tokens=8"]].concat(), "sacrebleu", 22),
    ];
    for (suite, data, flags, name, count) in cases {
        let told = report(&workshop, &[&["--suite", suite, "--data", data], flags].concat());
        assert_eq!(told["rows"][0]["items"].as_u64(), Some(count), "{suite}");
        let figure = metric(&told, 0, name);
        assert!(figure["base"]["value"].as_f64().is_some_and(f64::is_finite), "{suite}: {told}");
        assert_eq!(figure["tuned"].is_object(), flags.contains(&"--compare"), "{suite}");
    }
    let listed = workshop.event(&["eval", "--list"], "evaluations");
    // Those without an adapter lie where runs go.
    assert_eq!(listed["reports"].as_array().unwrap().len(), 6);
}

#[test]
fn what_cannot_be_asked_is_said_before_a_model_is_loaded() {
    let workshop = Workshop::new("");
    exam(&workshop, &["astronomy"], 2);
    let refused = |arguments: &[&str], words: &[&str]| {
        workshop.run(&[&["eval", "--model", "model"], arguments].concat()).refused_with(words);
    };
    refused(&["--suite", "mmul", "--data", "mmlu"], &["mmul", "mmlu"]);
    refused(&["--suite", "mmlu", "--data", "mmlu", "--set", "shot=1"], &["shot", "shots"]);
    refused(&["--suite", "mmlu", "--data", "mmlu", "--shots", "200"], &["100"]);
    refused(&["--suite", "mmlu", "--data", "mmlu", "--shots", "9"], &["9 examples", "fewer"]);
    refused(&["--suite", "ceval", "--data", "mmlu"], &["val"]);
    refused(&["--suite", "blimp", "--data", "nowhere"], &["nowhere"]);
    assert_eq!(workshop.run(&["eval", "--suite", "mmlu", "--data", "mmlu"]).code, Some(2));
}

/// What lm-evaluation-harness 0.4.13 makes of small sets of our own (tests/reference/make_suites.py).
#[test]
fn every_log_likelihood_is_the_harnesss() {
    let workshop = Workshop::new("");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/suites");
    let told: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let ask = |suite: &str, data: &str, shots: &[&str]| {
        let data = folder.join(data);
        let out = format!("{suite}{}", shots.concat());
        let flags = ["--suite", suite, "--data", data.to_str().unwrap(), "--out", &out];
        let report = report(&workshop, &[&flags, shots].concat());
        let items = items(&workshop.path(&out));
        (report, items.into_iter().map(|((_, item), line)| (item, line)).collect::<BTreeMap<_, _>>())
    };
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let close = |ours: &[f64], theirs: &[f64], what: &str| {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let near = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near, "{what}: {ours:?} {theirs:?}");
    };
    let cases = [
        ("mmlu 0", "mmlu", "mmlu", "0"),
        ("mmlu 2", "mmlu", "mmlu", "2"),
        ("ceval 0", "ceval", "ceval", "0"),
        ("ceval 2", "ceval", "ceval", "2"),
        ("cmmlu 0", "cmmlu", "cmmlu", "0"),
        ("cmmlu 2", "cmmlu", "cmmlu", "2"),
        ("blimp", "blimp", "blimp", ""),
        ("perplexity", "perplexity", "texts.jsonl", ""),
    ];
    for (name, suite, data, shots) in cases {
        let flags = if shots.is_empty() { vec![] } else { vec!["--shots", shots] };
        let (report, items) = ask(suite, data, &flags);
        let expected = told[name].as_object().unwrap();
        assert_eq!(items.len(), expected.len(), "{name}");
        for (item, theirs) in expected {
            close(&numbers(&items[item]["logprobs"]), &numbers(theirs), &format!("{name}, {item}"));
        }
        if suite == "perplexity" {
            for (figure, theirs) in told["figures"].as_object().unwrap() {
                let (ours, theirs) =
                    (metric(&report, 0, figure)["base"]["value"].as_f64().unwrap(), theirs.as_f64().unwrap());
                assert!((ours / theirs - 1.0).abs() < 1e-5, "{figure}: {ours} {theirs}");
            }
        }
    }
    let (_, items) = ask("truthfulqa", "TruthfulQA.csv", &[]);
    for (place, name) in [(0, "truthfulqa mc1"), (1, "truthfulqa mc2")] {
        for (item, theirs) in told[name].as_object().unwrap() {
            let line = &items[item];
            let options =
                line["options"].as_array().unwrap().iter().map(|option| option.as_str().unwrap().trim());
            let ours: BTreeMap<_, _> = options.zip(numbers(&line["logprobs"])).collect();
            for (option, logprob) in theirs["options"].as_object().unwrap() {
                close(&[ours[option.as_str()]], &[logprob.as_f64().unwrap()], option);
            }
            close(&[line["marks"][place].as_f64().unwrap()], &[theirs["value"].as_f64().unwrap()], name);
        }
    }
}

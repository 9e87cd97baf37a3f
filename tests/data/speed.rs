//! How fast a whole check goes, and that its figures do not depend on how many threads it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use data::{Dataset, Encoder, ModelTokens, Silent, Survey};
use protocol::config::{DataConfig, Validation};

use crate::common;
use crate::support::{Folder, config};

/// The file `EMBERWRIGHT_SPEED_DATA` with the tokenizer of the folder `EMBERWRIGHT_SPEED_MODEL` and the template
/// `EMBERWRIGHT_SPEED_TEMPLATE`.
fn named_dataset() -> Dataset {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let config = DataConfig {
        train: vec![path("EMBERWRIGHT_SPEED_DATA")],
        template: std::env::var("EMBERWRIGHT_SPEED_TEMPLATE").unwrap_or_else(|_| "chatml".to_owned()),
        validation: Validation::Fraction(0.05),
        ..DataConfig::default()
    };
    let encoder = Encoder::open(&path("EMBERWRIGHT_SPEED_MODEL"), &config, "".as_ref(), None).unwrap();
    let begun = Instant::now();
    let dataset = Dataset::open(&config, "".as_ref(), Arc::new(encoder), &Silent).unwrap();
    println!("index {:?}", begun.elapsed());
    dataset
}

/// Says how many rows a second are checked.
#[test]
#[ignore = "measures; needs a large file"]
fn rows_a_second() {
    let dataset = named_dataset();
    let begun = Instant::now();
    let survey = Survey::new(&dataset, &ModelTokens::default(), 42, &Silent).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let verdict = &survey.verdict;
    let sum: u64 =
        survey.lengths.iter().enumerate().map(|(at, length)| u64::from(*length) * (at as u64 + 1)).sum();
    println!("check {seconds:.2} s, {:.0} rows a second", verdict.rows as f64 / seconds);
    println!(
        "{} tokens, {} learned, longest {}, lengths {sum}",
        verdict.tokens, verdict.learned_tokens, verdict.longest
    );
    for finding in &verdict.findings {
        println!(
            "{:?} {} {:?}",
            finding.kind,
            finding.count,
            finding.rows.iter().take(5).collect::<Vec<_>>()
        );
    }
}

/// Says how many rows a second are searched for a text that none holds, of the same file.
#[test]
#[ignore = "measures; needs a large file"]
fn rows_searched_a_second() {
    let dataset = named_dataset();
    let begun = Instant::now();
    let found = data::find(&dataset, "no such Text", 0..u64::MAX, 10, &Silent).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    println!("search {seconds:.2} s, {:.0} rows a second, found {found:?}", dataset.len() as f64 / seconds);
}

/// Rows of many lengths and faults, so that threads finish out of order.
fn uneven_rows() -> String {
    let row = |n: usize| match n % 97 {
        13 => "{broken\n".to_owned(),
        14 => "{\"messages\":[{\"role\":\"user\",\"content\":\"nothing said\"}]}\n".to_owned(),
        _ => {
            let (question, answer) = (format!("Why {}?", n % 1500), "because, ".repeat(n * n % 61));
            let turns = serde_json::json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}]);
            format!("{}\n", serde_json::json!({ "messages": turns }))
        }
    };
    (0..3000).map(row).collect()
}

#[test]
fn the_number_of_threads_changes_no_figure() {
    let Some(model) = common::golden("tokenizer/bytelevel-qwen") else {
        return common::skipped(1, "golden tokenizers");
    };
    let (folder, _) = Folder::with("a.jsonl", uneven_rows());
    let config = DataConfig {
        template: "chatml".to_owned(),
        validation: Validation::Fraction(0.1),
        max_length: 60,
        skip_bad_rows: true,
        allow_unlabelled: true,
        ..config(&["a.jsonl"])
    };
    let check = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let encoder = Encoder::open(&model, &config, folder.path(), None).unwrap();
            let dataset = Dataset::open(&config, folder.path(), Arc::new(encoder), &Silent).unwrap();
            Survey::new(&dataset, &ModelTokens::default(), 42, &Silent).unwrap()
        })
    };
    let alone = check(1);
    assert!(alone.verdict.ok, "{:?}", alone.verdict.findings);
    assert!(alone.verdict.findings.len() >= 3, "{:?}", alone.verdict.findings);
    for threads in [2, 7] {
        let many = check(threads);
        assert_eq!(many.verdict, alone.verdict, "{threads} threads");
        assert_eq!(
            (many.split, many.lengths),
            (alone.split.clone(), alone.lengths.clone()),
            "{threads} threads"
        );
    }
}

/// Says how long the tokenizer of the folder `EMBERWRIGHT_SPEED_MODEL` takes to open, and how fast it reads the file
/// `EMBERWRIGHT_SPEED_DATA`, line by line.
#[test]
#[ignore = "measures; needs a large file"]
fn bytes_tokenized_a_second() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let begun = Instant::now();
    let tokenizer = data::Tokenizer::open(&path("EMBERWRIGHT_SPEED_MODEL")).unwrap();
    println!("opened {:?}", begun.elapsed());
    let text = std::fs::read_to_string(path("EMBERWRIGHT_SPEED_DATA")).unwrap();
    let begun = Instant::now();
    let tokens: usize = text.lines().map(|line| tokenizer.encode(line, false).unwrap().ids.len()).sum();
    let seconds = begun.elapsed().as_secs_f64();
    println!("{tokens} tokens, {:.1} MB/s", text.len() as f64 / 1e6 / seconds);
    let begun = Instant::now();
    let tokens = tokenizer.encode(&text, false).unwrap().ids.len();
    let seconds = begun.elapsed().as_secs_f64();
    println!("as one text: {tokens} tokens, {:.1} MB/s", text.len() as f64 / 1e6 / seconds);
}

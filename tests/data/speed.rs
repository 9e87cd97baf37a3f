//! How fast a whole check goes, and that its figures do not depend on how many threads it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use data::{Dataset, Encode, Encoder, Example, ModelTokens, Record, Silent, Survey};
use protocol::Result;
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

/// Seconds that the threads of this process have computed.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let ticks = behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// The most memory that this process has held.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

/// A check without tokens, or without rendering, either.
struct Without(Option<Encoder>);

impl Encode for Without {
    fn encode(&self, record: &Record) -> Result<Example> {
        let rendered = self.0.as_ref().map_or_else(|| Ok(String::new()), |encoder| encoder.render(record))?;
        Ok(Example { ids: vec![1, 2], labels: vec![1, 2], rendered, ..Example::default() })
    }
}

/// Says how much a second of one core's work gets through a check, and its parts; beside them the `tokenizers` crate on
/// the same texts in bulk, with and without the places of tokens. Of the same file; with `RAYON_NUM_THREADS=1`, for
/// threads that wait for each other do not compute.
#[test]
#[ignore = "measures; needs a large file"]
fn parts_of_a_check() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let (data, model) = (path("EMBERWRIGHT_SPEED_DATA"), path("EMBERWRIGHT_SPEED_MODEL"));
    let config = DataConfig {
        train: vec![data],
        template: "chatml".to_owned(),
        max_length: 1 << 20,
        ..DataConfig::default()
    };
    let encoder = || Encoder::open(&model, &config, "".as_ref(), None).unwrap();
    let open = |encoder: Arc<dyn Encode>| Dataset::open(&config, "".as_ref(), encoder, &Silent).unwrap();
    let bytes = std::fs::metadata(&config.train[0]).unwrap().len() as f64 / 1e6;
    let told = |what: &str, work: &dyn Fn() -> u64| {
        let (begun, computed) = (Instant::now(), cpu_seconds());
        let sum = work();
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - computed);
        println!(
            "{what:36} {:8.2} MB/s of a core's time, {:8.2} MB/s, peak {} MiB ({sum})",
            bytes / cpu,
            bytes / wall,
            peak_mib()
        );
    };
    told("indexed", &|| open(Arc::new(Without(None))).len() as u64);
    let check = |what: &str, encoder: Arc<dyn Encode>| {
        let dataset = open(encoder);
        told(what, &|| Survey::new(&dataset, &ModelTokens::default(), 42, &Silent).unwrap().verdict.tokens);
    };
    check("checked without rendering", Arc::new(Without(None)));
    check("checked without tokens", Arc::new(Without(Some(encoder()))));
    check("checked", Arc::new(encoder()));
    let dataset = open(Arc::new(Without(None)));
    let encoder = encoder();
    let texts = |rows: std::ops::Range<usize>| -> Vec<String> {
        rows.map(|row| encoder.render(&dataset.record(row).unwrap()).unwrap()).collect()
    };
    let rows = dataset.len();
    let texts = texts(0..rows);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let crates = tokenizers::Tokenizer::from_file(model.join("tokenizer.json")).unwrap();
    let bulk = |encode: &dyn Fn(Vec<&str>) -> Vec<tokenizers::Encoding>| {
        texts
            .chunks(1024)
            .flat_map(|texts| encode(texts.to_vec()))
            .map(|found| found.len() as u64)
            .sum::<u64>()
    };
    told("tokenizers in bulk", &|| bulk(&|texts| crates.encode_batch(texts, false).unwrap()));
    told("tokenizers in bulk, without places", &|| {
        bulk(&|texts| crates.encode_batch_fast(texts, false).unwrap())
    });
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

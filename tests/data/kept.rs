//! What is known of rows from earlier checks.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::NaiveDateTime;
use data::{
    ChatTemplate, Dataset, Encode, EncodeOptions, Encoder, Example, Keep, ModelTokens, Progress, Record,
    Survey, TemplateSource, Tokenizer,
};
use protocol::Result;
use protocol::config::{DataConfig, OnTooLong};

use crate::common;
use crate::support::{EOS, Folder, VOCAB, Words, alpaca_lines, config};

/// Counts what is tokenised.
struct Counted {
    words: Words,
    encoded: AtomicUsize,
    print: u8,
}

impl Encode for Counted {
    fn encode(&self, record: &Record) -> Result<Example> {
        self.encoded.fetch_add(1, Ordering::Relaxed);
        self.words.encode(record)
    }

    fn fingerprint(&self) -> Option<[u8; 32]> {
        Some([self.print; 32])
    }
}

/// Stops at a row.
struct Until(u64, AtomicUsize);

impl Progress for Until {
    fn report(&self, _: &protocol::Text, done: u64, _: u64) {
        self.1.store(done as usize, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) as u64 >= self.0
    }
}

fn keep(folder: &Folder, build: &str) -> Keep {
    Keep { folder: folder.path().join("checked"), build: build.to_owned() }
}

fn dataset(config: &DataConfig, folder: &Folder, print: u8) -> (Dataset, Arc<Counted>) {
    let words = Words { max_length: EncodeOptions::from(config).max_length, ..Words::default() };
    let counted = Arc::new(Counted { words, encoded: AtomicUsize::new(0), print });
    (Dataset::open(config, folder.path(), counted.clone(), &data::Silent).unwrap(), counted)
}

fn tokens() -> ModelTokens {
    ModelTokens { pad: Some(0), eos: vec![EOS], vocab_size: Some(VOCAB) }
}

/// The survey with what is kept, held against one without, and how many rows were tokenised for it.
fn check(config: &DataConfig, folder: &Folder, print: u8, build: &str) -> usize {
    let (dataset, counted) = dataset(config, folder, print);
    let keep = keep(folder, build);
    let survey = Survey::keeping(Some(&keep), &dataset, &tokens(), 42, &data::Silent).unwrap();
    let encoded = counted.encoded.swap(0, Ordering::Relaxed);
    let plain = Survey::new(&dataset, &tokens(), 42, &data::Silent).unwrap();
    assert_eq!(survey.verdict, plain.verdict);
    assert_eq!((survey.split, survey.lengths, survey.sizes), (plain.split, plain.lengths, plain.sizes));
    assert_eq!(survey.pieces.is_some(), plain.pieces.is_some());
    encoded
}

/// Rows of all kinds that a verdict speaks of.
fn rows() -> String {
    let long = "word ".repeat(40);
    format!(
        "{}{{broken\n{}\n{}\n{}{{\"input_ids\":[11]}}\n",
        alpaca_lines(3000),
        format_args!("{{\"instruction\":\"{long}\",\"input\":\"\",\"output\":\"{long}\"}}"),
        "{\"instruction\":\"x\",\"input\":\"\",\"output\":\"\"}",
        alpaca_lines(2),
    )
}

#[test]
fn rows_are_tokenised_once() {
    let (folder, _) = Folder::with("a.jsonl", rows());
    let config = DataConfig { max_length: 16, skip_bad_rows: true, ..config(&["a.jsonl"]) };
    // The two that stand there twice are tokenised twice; broken rows are not.
    assert_eq!(check(&config, &folder, 1, "one"), 3004);
    assert_eq!(check(&config, &folder, 1, "one"), 0);
    // Rows before, after and instead of others.
    let more = "{\"instruction\":\"new\",\"input\":\"\",\"output\":\"row\"}\n";
    folder.write("a.jsonl", format!("{more}{}{more}", rows().replace("number 7\"", "number seven\"")));
    assert_eq!(check(&config, &folder, 1, "one"), 3);
    // Under another name.
    folder.write("b.jsonl", alpaca_lines(100));
    let other = DataConfig { train: vec!["b.jsonl".into()], ..config.clone() };
    assert_eq!(check(&other, &folder, 1, "one"), 0);
    // What was known of the first file is still known.
    assert_eq!(check(&config, &folder, 1, "one"), 0);
}

#[test]
fn other_settings_tokenise_again() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(50));
    let base = config(&["a.jsonl"]);
    assert_eq!(check(&base, &folder, 1, "one"), 50);
    assert_eq!(check(&base, &folder, 2, "one"), 50, "another tokenizer");
    assert_eq!(check(&base, &folder, 1, "two"), 50, "another build");
    let shorter = DataConfig { max_length: 5, ..base.clone() };
    assert_eq!(check(&shorter, &folder, 1, "one"), 50);
    let split = DataConfig { on_too_long: OnTooLong::Split, ..shorter.clone() };
    assert_eq!(check(&split, &folder, 1, "one"), 50);
    for known in [base, shorter, split] {
        assert_eq!(check(&known, &folder, 1, "one"), 0);
    }
}

#[test]
fn without_a_fingerprint_nothing_is_kept() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(50));
    let dataset = crate::support::open(&config(&["a.jsonl"]), &folder).unwrap();
    let keep = keep(&folder, "one");
    Survey::keeping(Some(&keep), &dataset, &tokens(), 42, &data::Silent).unwrap();
    assert!(!keep.folder.exists());
}

#[test]
fn a_check_that_was_stopped_is_gone_on_with() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(5000));
    let config = config(&["a.jsonl"]);
    let (half, counted) = dataset(&config, &folder, 1);
    let stop = Until(2000, AtomicUsize::new(0));
    Survey::keeping(Some(&keep(&folder, "one")), &half, &tokens(), 42, &stop).err().unwrap();
    let before = counted.encoded.load(Ordering::Relaxed);
    assert!((2000..3100).contains(&before), "{before}");
    assert_eq!(check(&config, &folder, 1, "one"), 5000 - before);
}

#[test]
fn damage_costs_time_only() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(50));
    let config = config(&["a.jsonl"]);
    assert_eq!(check(&config, &folder, 1, "one"), 50);
    let file = std::fs::read_dir(folder.path().join("checked")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    assert_eq!(whole.len(), 50 * 32 + 32);
    for damage in [&[][..], &whole[..40], &whole[..whole.len() - 32], &[&whole[..], &whole[..]].concat()] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(check(&config, &folder, 1, "one"), 50, "{} bytes", damage.len());
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
    for byte in (0..whole.len()).step_by(61) {
        let mut flipped = whole.clone();
        flipped[byte] ^= 4;
        std::fs::write(&file, flipped).unwrap();
        assert_eq!(check(&config, &folder, 1, "one"), 50, "byte {byte}");
    }
    // A folder that cannot be made.
    std::fs::remove_dir_all(folder.path().join("checked")).unwrap();
    folder.write("checked", "a file");
    assert_eq!(check(&config, &folder, 1, "one"), 50);
}

const GOLDEN: &str = "tokenizer/bytelevel-gpt2";

fn print_of(dir: &Path, template: &str, now: &str, options: EncodeOptions) -> Option<[u8; 32]> {
    let tokenizer = Arc::new(Tokenizer::open(dir).unwrap());
    let now = NaiveDateTime::parse_from_str(now, "%Y-%m-%d %H:%M").ok();
    let source = TemplateSource { name: "default".into(), source: template.into(), file: "t.jinja".into() };
    let template = ChatTemplate::compile("t", &[source], tokenizer.special_tokens(), now).unwrap();
    Encoder::new(tokenizer, Some(template), options).unwrap().fingerprint()
}

#[test]
fn a_fingerprint_tells_all_that_tokens_depend_on() {
    let folder = Folder::new();
    for file in std::fs::read_dir(common::golden(GOLDEN).unwrap()).unwrap() {
        let file = file.unwrap();
        folder.write(file.file_name().to_str().unwrap(), std::fs::read(file.path()).unwrap());
    }
    let now = "2026-11-21 10:00";
    let plain = |template| print_of(folder.path(), template, now, EncodeOptions::default());
    let first = plain("{{ messages }}");
    assert!(first.is_some());
    assert_eq!(plain("{{ messages }}"), first);
    assert_ne!(plain("{{ messages }} "), first);
    let short = EncodeOptions { max_length: 9, ..EncodeOptions::default() };
    assert_ne!(print_of(folder.path(), "{{ messages }}", now, short), first);
    folder.write("tokenizer_config.json", r#"{"eos_token": "<s>"}"#);
    assert_ne!(plain("{{ messages }}"), first);
}

#[test]
fn a_fingerprint_tells_the_date_that_a_template_writes() {
    let dir = common::golden(GOLDEN).unwrap();
    let at = |template, now| print_of(&dir, template, now, EncodeOptions::default());
    let date = "{% if strftime_now is defined %}{{ strftime_now( \"%d %b %Y\" ) }}{% endif %}";
    let first = at(date, "2026-11-21 10:00");
    assert!(first.is_some());
    assert_eq!(at(date, "2026-11-21 23:59"), first);
    assert_ne!(at(date, "2026-11-22 10:00"), first);
    assert_eq!(at(date, "the clock's"), None);
    assert!(at("{{ messages }}", "the clock's").is_some());
    let minutes = "{{ strftime_now('%H:%M') }}";
    assert_ne!(at(minutes, "2026-11-21 10:00"), at(minutes, "2026-11-21 10:01"));
    for hidden in [
        "{% set f = strftime_now %}{{ f('%d') }}",
        "{% set f = '%d' %}{{ strftime_now(f) }}",
        "{{ strftime_now('%' ~ 'd') }}",
        "{{ strftime_now('\\x25d') }}",
    ] {
        assert_eq!(at(hidden, "2026-11-21 10:00"), None, "{hidden}");
    }
}

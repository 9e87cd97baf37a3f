//! The verdict on whole datasets, and which rows are trained on.

use std::path::PathBuf;
use std::sync::Arc;

use data::{Dataset, ModelTokens, Progress, Silent, Survey};
use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{Finding, FindingKind, Severity};

use crate::support::{EOS, Folder, VOCAB, Words, alpaca_lines, config, open};

fn survey_of(config: &DataConfig, folder: &Folder) -> Survey {
    let model = ModelTokens { pad: Some(0), eos: vec![EOS], vocab_size: Some(VOCAB) };
    Survey::new(&open(config, folder).unwrap(), &model, 42, &Silent).unwrap()
}

fn find(survey: &Survey, kind: FindingKind) -> &Finding {
    let found = survey.verdict.findings.iter().find(|finding| finding.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind:?} in {:?}", survey.verdict.findings))
}

fn kinds(survey: &Survey) -> Vec<FindingKind> {
    survey.verdict.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_clean_dataset_is_counted_and_split() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(3000));
    let config = DataConfig { validation: Validation::Fraction(0.05), ..config(&["a.jsonl"]) };
    let survey = survey_of(&config, &folder);
    let verdict = &survey.verdict;
    assert!(verdict.ok && verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert_eq!((verdict.rows, verdict.usable_rows, verdict.validation_rows), (3000, 2850, 150));
    // <User> say n <Assistant> number n end
    assert_eq!((verdict.tokens, verdict.learned_tokens, verdict.longest), (21_000, 9000, 7));
    assert_eq!(verdict.lengths.counts.iter().sum::<u64>(), 3000);
    assert_eq!(verdict.lengths.counts[7], 3000);
    assert_eq!(survey.split.train.len(), 2850);
    assert!(survey.refusal().is_none());
    let again = survey_of(&config, &folder);
    assert_eq!((again.split, again.verdict), (survey.split, survey.verdict));
}

#[test]
fn rows_that_cannot_be_read_refuse_the_run_unless_skipped() {
    let rows = format!(
        "{}{{broken\n{{\"instruction\":\"x\"}}\n{{\"instruction\":\"x\",\"input\":\"\",\"output\":\"y\"}}\n",
        alpaca_lines(2)
    );
    let (folder, _) = Folder::with("a.jsonl", rows);
    let mut config = config(&["a.jsonl"]);
    let survey = survey_of(&config, &folder);
    let finding = find(&survey, FindingKind::BadRow);
    assert_eq!((finding.severity, finding.count), (Severity::Error, 2));
    assert_eq!(finding.rows, [3, 4]);
    assert!(finding.text.en.contains("Not valid JSON at byte"), "{}", finding.text);
    assert!(!survey.verdict.ok);
    let refusal = survey.refusal().unwrap();
    assert_eq!((refusal.exit_code(), refusal.place.row), (2, Some(3)));
    assert!(refusal.to_string().contains("skip_bad_rows"), "{refusal}");
    config.skip_bad_rows = true;
    let survey = survey_of(&config, &folder);
    assert_eq!(find(&survey, FindingKind::BadRow).severity, Severity::Warning);
    assert!(survey.refusal().is_none());
    assert_eq!(survey.split.train, [0, 1, 4]);
    assert_eq!(survey.lengths, [7, 7, 0, 0, 5]);
}

#[test]
fn rows_without_labels_refuse_the_run_unless_allowed() {
    let rows = format!("{}{{\"instruction\":\"x\",\"input\":\"\",\"output\":\" \"}}\n", alpaca_lines(2));
    let (folder, _) = Folder::with("a.jsonl", rows);
    let mut config = config(&["a.jsonl"]);
    // The word tokenizer ends even a blank answer; one that is cut away leaves nothing.
    config.max_length = 4;
    let survey = survey_of(&config, &folder);
    assert_eq!(find(&survey, FindingKind::NoLabels).rows, [1, 2]);
    assert_eq!(find(&survey, FindingKind::TooLong).rows, [1, 2]);
    assert_eq!(find(&survey, FindingKind::EmptyAnswer).rows, [3]);
    assert!(!survey.verdict.ok);
    config.allow_unlabelled = true;
    let survey = survey_of(&config, &folder);
    assert!(survey.verdict.ok);
    assert_eq!(survey.split.train, [2]);
}

#[test]
fn all_rows_masked_refuse_the_run_even_when_allowed() {
    let (folder, _) = Folder::with(
        "a.jsonl",
        "{\"input_ids\":[11,12],\"labels\":[-100,-100]}\n{\"input_ids\":[13],\"labels\":[13]}\n",
    );
    let survey = survey_of(&DataConfig { allow_unlabelled: true, ..config(&["a.jsonl"]) }, &folder);
    assert_eq!(find(&survey, FindingKind::NoLabels).count, 2);
    assert_eq!(find(&survey, FindingKind::Empty).severity, Severity::Error);
    assert!(survey.refusal().unwrap().to_string().contains("None of the 2 rows can be trained on"));
}

#[test]
fn long_rows_are_cut_dropped_or_refused() {
    let long = format!("{{\"instruction\":\"x\",\"input\":\"\",\"output\":\"{}\"}}\n", "w ".repeat(50));
    let (folder, _) = Folder::with("a.jsonl", format!("{}{long}", alpaca_lines(2)));
    let mut config = DataConfig { max_length: 20, ..config(&["a.jsonl"]) };
    let cut = survey_of(&config, &folder);
    assert_eq!((cut.verdict.longest, cut.verdict.tokens), (54, 34));
    assert_eq!(find(&cut, FindingKind::TooLong).text.en, "1 rows are longer than 20 tokens and are cut");
    assert_eq!(kinds(&cut), [FindingKind::TooLong]);
    config.on_too_long = OnTooLong::Drop;
    let dropped = survey_of(&config, &folder);
    assert_eq!((dropped.verdict.tokens, dropped.split.train), (14, vec![0, 1]));
    assert!(dropped.verdict.ok);
    config.on_too_long = OnTooLong::Error;
    let refused = survey_of(&config, &folder);
    assert_eq!(find(&refused, FindingKind::TooLong).severity, Severity::Error);
    assert!(!refused.verdict.ok);
}

#[test]
fn doubles_are_told_by_their_later_rows() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(3));
    folder.write("b.jsonl", format!("{}{}", alpaca_lines(2), alpaca_lines(1)));
    let survey = survey_of(&config(&["a.jsonl", "b.jsonl"]), &folder);
    let finding = find(&survey, FindingKind::Duplicate);
    assert_eq!((finding.count, finding.rows.as_slice()), (3, &[1, 2, 3][..]));
    assert!(finding.text.en.starts_with("b.jsonl: "), "{}", finding.text);
    assert!(survey.verdict.ok);
}

#[test]
fn token_ids_beyond_the_vocabulary_refuse_the_run() {
    let (folder, _) = Folder::with("a.jsonl", "{\"input_ids\":[11,12]}\n{\"input_ids\":[11,1000]}\n");
    let survey = survey_of(&config(&["a.jsonl"]), &folder);
    let finding = find(&survey, FindingKind::BadTokenId);
    assert_eq!((finding.severity, finding.rows.as_slice()), (Severity::Error, &[2][..]));
    assert!(finding.text.en.contains("id 1000"), "{}", finding.text);
}

#[test]
fn padding_that_is_the_end_token_is_told() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(2));
    let model = ModelTokens { pad: Some(EOS), eos: vec![1, EOS], vocab_size: None };
    let survey = Survey::new(&open(&config(&["a.jsonl"]), &folder).unwrap(), &model, 1, &Silent).unwrap();
    assert_eq!(find(&survey, FindingKind::PadIsEos).severity, Severity::Info);
    assert!(survey.verdict.ok);
}

#[test]
fn answers_that_do_not_end_are_told() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(2));
    let words = Words { ends: false, ..Words::default() };
    let dataset = Dataset::open(&config(&["a.jsonl"]), folder.path(), Arc::new(words), &Silent).unwrap();
    let survey = Survey::new(&dataset, &ModelTokens::default(), 1, &Silent).unwrap();
    assert_eq!(find(&survey, FindingKind::NoEndToken).rows, [1, 2]);
}

#[test]
fn an_empty_dataset_is_refused() {
    for (name, content) in
        [("a.jsonl", ""), ("a.json", "[]"), ("a.csv", "prompt,response\n"), ("a.txt", "\n\n")]
    {
        let (folder, _) = Folder::with(name, content);
        let survey = survey_of(&config(&[name]), &folder);
        assert_eq!(kinds(&survey), [FindingKind::Empty], "{name}");
        assert!(survey.refusal().unwrap().to_string().contains("The dataset has no rows"));
    }
}

#[test]
fn validation_files_stand_beside_the_training_files() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(5));
    folder.write("b.jsonl", "{\"text\":\"one two\"}\n{\"text\":\"three\"}\n");
    let validation = Validation::Files(vec![PathBuf::from("b.jsonl")]);
    let survey = survey_of(&DataConfig { validation, ..config(&["a.jsonl"]) }, &folder);
    assert_eq!(survey.split.train, [0, 1, 2, 3, 4]);
    assert_eq!(survey.split.validation, [5, 6]);
}

struct StopAfterOneReport(std::sync::atomic::AtomicU64);

impl Progress for StopAfterOneReport {
    fn report(&self, _: &protocol::Text, _: u64, _: u64) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) > 0
    }
}

#[test]
fn a_survey_can_be_stopped() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(3000));
    let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
    let stop = StopAfterOneReport(0.into());
    let err = Survey::new(&dataset, &ModelTokens::default(), 1, &stop).err().unwrap();
    assert!(err.to_string().contains("Stopped"), "{err}");
}

/// Wishes to stop while the first rows are looked at.
struct StopAfterRows(std::sync::atomic::AtomicU64);

impl Progress for StopAfterRows {
    fn cancelled(&self) -> bool {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 5
    }
}

#[test]
fn a_stop_does_not_wait_for_many_rows() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(1000));
    let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
    let stop = StopAfterRows(0.into());
    let err = Survey::new(&dataset, &ModelTokens::default(), 1, &stop).err().unwrap();
    assert!(err.to_string().contains("Stopped"), "{err}");
}

#[test]
fn what_settings_can_mend_is_offered_with_its_count() {
    let rows = format!(
        "{}{{broken\n{{\"instruction\":\"x\",\"input\":\"\",\"output\":\"\"}}\n{{\"instruction\":\"x\",\"input\":\"\",\"output\":\"y\"}}\n",
        alpaca_lines(3)
    );
    let (folder, _) = Folder::with("a.jsonl", rows);
    let mut config = DataConfig { max_length: 6, on_too_long: OnTooLong::Error, ..config(&["a.jsonl"]) };
    let survey = survey_of(&config, &folder);
    let offers = |survey: &Survey, kind: FindingKind| -> Vec<(String, String)> {
        let remedies = find(survey, kind).remedies.iter();
        remedies.map(|offer| (offer.label.en.to_string(), format!("{:?}", offer.changes))).collect()
    };
    let pair = |label: &str, change: &str| (label.to_owned(), change.to_owned());
    assert_eq!(
        offers(&survey, FindingKind::TooLong),
        [
            pair("Drop 3 rows", "[(\"data.on_too_long\", String(\"drop\"))]"),
            pair("Cut 3 rows", "[(\"data.on_too_long\", String(\"truncate\"))]"),
            pair("Split them into 6 pieces", "[(\"data.on_too_long\", String(\"split\"))]"),
        ]
    );
    assert_eq!(
        offers(&survey, FindingKind::BadRow),
        [pair("Drop 1 rows", "[(\"data.skip_bad_rows\", Bool(true))]")]
    );
    assert_eq!(
        offers(&survey, FindingKind::NoLabels),
        [pair("Drop 1 rows", "[(\"data.allow_unlabelled\", Bool(true))]")]
    );
    // A refusal carries them all; what was done needs no offer any more.
    assert_eq!(survey.refusal().unwrap().remedies.len(), 5);
    (config.on_too_long, config.skip_bad_rows, config.allow_unlabelled) = (OnTooLong::Drop, true, true);
    let mended = survey_of(&config, &folder);
    assert!(mended.verdict.ok, "{:?}", mended.verdict.findings);
    assert!(mended.verdict.findings.iter().all(|finding| finding.remedies.is_empty()));
}

/// Keeps every verdict that a check tells on its way.
#[derive(Default)]
struct Watching(std::sync::Mutex<Vec<(protocol::Verdict, u64)>>);

impl Progress for Watching {
    fn verdict(&self, so_far: &mut dyn FnMut() -> (protocol::Verdict, u64)) {
        self.0.lock().unwrap().push(so_far());
    }
}

#[test]
fn verdicts_on_the_way_count_the_rows_looked_at() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(2500));
    let config = DataConfig { validation: Validation::Fraction(0.1), ..config(&["a.jsonl"]) };
    let model = ModelTokens { pad: Some(0), eos: vec![EOS], vocab_size: Some(VOCAB) };
    let watching = Watching::default();
    let survey = Survey::new(&open(&config, &folder).unwrap(), &model, 42, &watching).unwrap();
    let told = watching.0.into_inner().unwrap();
    assert_eq!(told.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [1024, 2048, 2500]);
    for (verdict, rows) in &told {
        assert_eq!(verdict.usable_rows + verdict.validation_rows, *rows);
        assert_eq!(verdict.lengths.counts.iter().sum::<u64>(), *rows);
        assert!(verdict.ok && verdict.findings.is_empty(), "{:?}", verdict.findings);
    }
    let last = &told[2].0;
    assert_eq!((last.tokens, last.longest), (survey.verdict.tokens, survey.verdict.longest));
    assert_eq!((last.usable_rows, last.validation_rows), (survey.verdict.usable_rows, 250));
}

#[test]
fn long_rows_are_split_and_their_pieces_stay_together() {
    let long = |n: usize| {
        format!("{{\"instruction\":\"x{n}\",\"input\":\"\",\"output\":\"{}\"}}\n", "w ".repeat(50))
    };
    let rows = format!("{}{}{{broken\n{}", alpaca_lines(2), long(1), (2..20).map(long).collect::<String>());
    let (folder, _) = Folder::with("a.jsonl", rows);
    let mut config = DataConfig {
        max_length: 20,
        skip_bad_rows: true,
        on_too_long: OnTooLong::Split,
        validation: Validation::Fraction(0.3),
        ..config(&["a.jsonl"])
    };
    let mut survey = survey_of(&config, &folder);
    let verdict = &survey.verdict;
    // <User> x <Assistant>, 50 words and an end make 54 tokens: windows of 20, 20 and 14.
    assert_eq!((verdict.rows, verdict.usable_rows + verdict.validation_rows), (22, 21));
    assert_eq!((verdict.longest, verdict.tokens), (54, 2 * 7 + 19 * 54));
    // What the first token of a window says is learned from nothing.
    assert_eq!(verdict.learned_tokens, 2 * 3 + 19 * (51 - 2));
    let finding = find(&survey, FindingKind::TooLong);
    assert_eq!((finding.severity, finding.count), (Severity::Info, 19));
    assert_eq!(finding.text.en, "19 rows are longer than 20 tokens and are split into 57 pieces");
    assert!(survey.verdict.ok);

    let mut dataset = open(&config, &folder).unwrap();
    let pieces = survey.pieces.take().unwrap();
    let row_of = |example: &u32| pieces.locate(*example).unwrap().0;
    let held: Vec<u32> = survey.split.validation.iter().map(row_of).collect();
    assert!(survey.split.train.iter().map(row_of).all(|row| !held.contains(&row)));
    assert_eq!(survey.split.train.len() + survey.split.validation.len(), 2 + 57);
    dataset.number_pieces(pieces);
    let lengths: Vec<usize> = (0..8).map(|example| dataset.example(example).unwrap().ids.len()).collect();
    assert_eq!(lengths, [7, 7, 20, 20, 14, 20, 20, 14]);
    let rows: Vec<u64> = (0..8).map(|example| dataset.place_of_example(example).unwrap().1).collect();
    assert_eq!(rows, [1, 2, 3, 3, 3, 5, 5, 5]);
    assert!(dataset.example(59).is_err());
    // The pieces of a row are its tokens.
    config.max_length = 1000;
    let whole = open(&config, &folder).unwrap().example(2).unwrap();
    let joined: Vec<u32> = (2..5).flat_map(|example| dataset.example(example).unwrap().ids).collect();
    assert_eq!((joined, whole.truncated_from), (whole.ids, None));
}

#[test]
fn pieces_without_a_label_are_left_out() {
    let row = format!(
        "{{\"instruction\":\"{}\",\"input\":\"\",\"output\":\"{}\"}}\n",
        "q ".repeat(30),
        "w ".repeat(6)
    );
    let (folder, _) = Folder::with("a.jsonl", row.repeat(2));
    let config = DataConfig { max_length: 16, on_too_long: OnTooLong::Split, ..config(&["a.jsonl"]) };
    let survey = survey_of(&config, &folder);
    // 39 tokens, of which the first 32 say nothing that is learned.
    assert_eq!(survey.split.train, [0, 1]);
    assert_eq!((survey.verdict.tokens, survey.verdict.learned_tokens), (2 * 7, 2 * 6));
    let dataset = open(&config, &folder).unwrap();
    assert_eq!(dataset.example(1).unwrap().ids.len(), 7);
    let shown = data::preview(&dataset, 0, 2, &|ids| ids.iter().map(u32::to_string).collect());
    let pieces: Vec<_> =
        shown.rows.iter().map(|row| (row.row, row.piece, row.pieces, row.ids.len())).collect();
    assert_eq!(pieces, [(1, Some(1), Some(1), 7), (2, Some(1), Some(1), 7)]);
    let words = DataConfig { max_length: 35, ..config };
    let shown =
        data::preview(&open(&words, &folder).unwrap(), 1, 1, &|ids| ids.iter().map(u32::to_string).collect());
    let pieces: Vec<_> =
        shown.rows.iter().map(|row| (row.row, row.piece, row.pieces, row.fields.len())).collect();
    assert_eq!(pieces, [(2, Some(1), Some(2), 3), (2, Some(2), Some(2), 0)]);
    for row in &shown.rows {
        let lists = [row.tokens.len(), row.offsets.len(), row.loss_mask.len(), row.roles.len()];
        assert_eq!(lists, [row.ids.len(); 4]);
    }
}

#[test]
fn validation_rows_that_are_trained_on_are_told() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(5));
    let (other, shared) = ("{\"instruction\":\"x\",\"input\":\"\",\"output\":\"y\"}\n", alpaca_lines(2));
    folder.write("v.jsonl", format!("{other}{shared}{other}"));
    let validation = Validation::Files(vec![PathBuf::from("v.jsonl")]);
    let survey = survey_of(&DataConfig { validation, ..config(&["a.jsonl"]) }, &folder);
    assert_eq!(kinds(&survey), [FindingKind::Duplicate, FindingKind::Leak]);
    let leak = find(&survey, FindingKind::Leak);
    assert_eq!((leak.severity, leak.rows.as_slice()), (Severity::Warning, &[2, 3][..]));
    assert!(leak.text.en.starts_with("v.jsonl: 2 validation rows are trained on"), "{}", leak.text);
    assert_eq!(find(&survey, FindingKind::Duplicate).rows, [4], "it repeats a row of its own file");
    assert!(survey.verdict.ok);
}

#[test]
fn rows_held_out_by_chance_leak_where_their_like_is_trained_on() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(100) + &alpaca_lines(100));
    let config = DataConfig { validation: Validation::Fraction(0.2), ..config(&["a.jsonl"]) };
    let survey = survey_of(&config, &folder);
    let is_leak = |row: &&u32| survey.split.train.contains(&((**row + 100) % 200));
    let expected: Vec<u64> =
        survey.split.validation.iter().filter(is_leak).map(|row| u64::from(*row) + 1).collect();
    assert!(expected.len() > 20);
    assert_eq!(find(&survey, FindingKind::Leak).rows, expected);
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(100));
    assert!(kinds(&survey_of(&config, &folder)).is_empty());
}

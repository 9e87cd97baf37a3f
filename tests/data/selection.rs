//! Which files a run's data are, and how often their rows are drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use data::{ModelTokens, Sampler, SamplerOptions, Silent, Survey};
use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{FindingKind, UserError};

use crate::packed::gzip;
use crate::support::{Folder, alpaca_lines, config, open};

/// Makes a file below the folder, and the folders on the way.
fn put(folder: &Folder, path: &str, rows: usize) {
    let whole = folder.path().join(path);
    std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
    let lines: String = (0..rows)
        .map(|row| format!("{{\"instruction\":\"{path} {row}\",\"input\":\"\",\"output\":\"a\"}}\n"))
        .collect();
    std::fs::write(whole, lines).unwrap();
}

fn taken(config: &DataConfig, folder: &Folder) -> Vec<String> {
    let dataset = open(config, folder).unwrap_or_else(|err| panic!("{err}"));
    let below =
        |path: PathBuf| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().replace('\\', "/");
    dataset.sources().into_iter().map(|source| below(source.file)).collect()
}

fn refusal(config: &DataConfig, folder: &Folder) -> UserError {
    let err = open(config, folder).err().unwrap();
    assert_eq!(err.exit_code(), 2, "{err}");
    err
}

fn survey(config: &DataConfig, folder: &Folder) -> Survey {
    Survey::new(&open(config, folder).unwrap(), &ModelTokens::default(), 42, &Silent).unwrap()
}

#[test]
fn a_folder_means_its_data_files() {
    let folder = Folder::new();
    for path in
        ["d/b.jsonl", "d/a.jsonl", "d/deep/er/c.jsonl", "d/.hidden.jsonl", "d/_x/y.jsonl", "d/.git/z.jsonl"]
    {
        put(&folder, path, 1);
    }
    for other in ["d/README.md", "d/dataset_infos.json", "d/model.safetensors", "d/notes.md"] {
        std::fs::write(folder.path().join(other), "x").unwrap();
    }
    std::fs::write(folder.path().join("d/e.jsonl.gz"), gzip(alpaca_lines(1).as_bytes())).unwrap();
    assert_eq!(
        taken(&config(&["d"]), &folder),
        ["d/a.jsonl", "d/b.jsonl", "d/deep/er/c.jsonl", "d/e.jsonl.gz"]
    );
    let survey = survey(&config(&["d"]), &folder);
    let note = survey.verdict.findings.iter().find(|finding| finding.kind == FindingKind::Files).unwrap();
    assert!(note.text.en.contains("all 4 data files"), "{}", note.text);
    std::fs::create_dir(folder.path().join("none")).unwrap();
    assert!(refusal(&config(&["none"]), &folder).to_string().contains("no data files"));
}

#[test]
fn folders_of_the_hub_are_taken_by_split() {
    let folder = Folder::new();
    for path in [
        "set/data/train-00000-of-00002.jsonl",
        "set/data/train-00001-of-00002.jsonl",
        "set/data/validation-00000-of-00001.jsonl",
        "set/data/test-00000-of-00001.jsonl",
        "only/test.jsonl",
        "only/extra.jsonl",
    ] {
        put(&folder, path, 2);
    }
    let train = ["set/data/train-00000-of-00002.jsonl", "set/data/train-00001-of-00002.jsonl"];
    assert_eq!(taken(&config(&["set"]), &folder), train);
    let both = DataConfig { validation: Validation::Files(vec!["set".into()]), ..config(&["set"]) };
    assert_eq!(taken(&both, &folder)[2..], ["set/data/validation-00000-of-00001.jsonl"]);
    let notes = open(&both, &folder).unwrap().notes().iter().map(|note| note.en.clone()).collect::<Vec<_>>();
    assert!(
        notes.iter().any(|note| note.contains("2 of 4 data files, those whose names say train")),
        "{notes:?}"
    );
    assert!(notes.iter().any(|note| note.contains("1 of 4 data files") && note.contains("validation")));
    let test = DataConfig { validation: Validation::Files(vec!["only".into()]), ..config(&["set"]) };
    assert_eq!(taken(&test, &folder)[2..], ["only/test.jsonl"]);
    // Where nothing says train, all files are.
    assert_eq!(taken(&config(&["only"]), &folder).len(), 2);
}

#[test]
fn patterns_mean_the_files_they_fit() {
    let folder = Folder::new();
    for path in ["s/a1.jsonl", "s/a2.jsonl", "s/b1.jsonl", "s/t/a3.jsonl", "s/a4.csv"] {
        put(&folder, path, 1);
    }
    assert_eq!(taken(&config(&["s/a*.jsonl"]), &folder), ["s/a1.jsonl", "s/a2.jsonl"]);
    assert_eq!(taken(&config(&["s/**/a?.jsonl"]), &folder), ["s/a1.jsonl", "s/a2.jsonl", "s/t/a3.jsonl"]);
    assert_eq!(taken(&config(&["*/b1.jsonl"]), &folder), ["s/b1.jsonl"]);
    assert!(refusal(&config(&["s/c*.jsonl"]), &folder).to_string().contains("No file fits"));
    // A file may have such a name.
    #[cfg(unix)]
    {
        put(&folder, "s/c*.jsonl", 1);
        assert_eq!(taken(&config(&["s/c*.jsonl"]), &folder), ["s/c*.jsonl"]);
    }
}

#[test]
fn no_file_is_taken_twice_nor_on_both_sides() {
    let folder = Folder::new();
    ["d/a.jsonl", "d/b.jsonl"].iter().for_each(|path| put(&folder, path, 4));
    assert_eq!(taken(&config(&["d/b.jsonl", "d", "d/*.jsonl"]), &folder), ["d/b.jsonl", "d/a.jsonl"]);
    let held = DataConfig { validation: Validation::Files(vec!["d/b.jsonl".into()]), ..config(&["d"]) };
    assert_eq!(taken(&held, &folder), ["d/a.jsonl", "d/b.jsonl"]);
    let survey = survey(&held, &folder);
    assert_eq!(survey.split.validation, [4, 5, 6, 7]);
}

fn weighted(files: &[&str], weights: &[(&str, f64)]) -> DataConfig {
    let weights = weights.iter().map(|(path, weight)| ((*path).to_owned(), *weight));
    DataConfig { weights: weights.collect(), ..config(files) }
}

#[test]
fn weights_name_entries_or_files_and_nothing_else() {
    let folder = Folder::new();
    ["d/a.jsonl", "d/b.jsonl", "c.jsonl"].iter().for_each(|path| put(&folder, path, 4));
    let weights = |weights: &[(&str, f64)]| weighted(&["d", "c.jsonl"], weights);
    let dataset = open(&weights(&[("d", 2.0), ("d/b.jsonl", 0.5)]), &folder).unwrap();
    assert_eq!(dataset.sources().iter().map(|source| source.weight).collect::<Vec<_>>(), [2.0, 0.5, 1.0]);
    let unknown = refusal(&weights(&[("c.jsnol", 2.0)]), &folder);
    assert!(unknown.to_string().contains("did you mean c.jsonl?"), "{unknown}");
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        let refused = refusal(&weights(&[("d", wrong)]), &folder);
        assert!(refused.to_string().contains("cannot be drawn"), "{refused}");
    }
}

#[test]
fn an_epoch_has_each_file_as_often_as_its_weight_says() {
    let folder = Folder::new();
    [("a.jsonl", 40), ("b.jsonl", 10), ("c.jsonl", 20)]
        .iter()
        .for_each(|(path, rows)| put(&folder, path, *rows));
    let mut config = weighted(&["a.jsonl", "b.jsonl", "c.jsonl"], &[("a.jsonl", 0.5), ("b.jsonl", 3.0)]);
    config.validation = Validation::Fraction(0.1);
    let survey = survey(&config, &folder);
    let split = &survey.split;
    let held: BTreeSet<u32> = split.validation.iter().copied().collect();
    assert_eq!(held.len(), 7);
    let of = |range: std::ops::Range<u32>| split.train.iter().filter(|row| range.contains(row)).count();
    let (a, b, c) = (of(0..40), of(40..50), of(50..70));
    assert_eq!(survey.draws.per_epoch(), (a as f64 / 2.0).round() as usize + 3 * b + c);
    let mut seen = BTreeSet::new();
    for epoch in 0..4 {
        let mut counts = BTreeMap::<u32, usize>::new();
        survey.draws.epoch(epoch).into_iter().for_each(|row| *counts.entry(row).or_default() += 1);
        assert!(counts.keys().all(|row| !held.contains(row)), "validation rows are never drawn");
        assert!(counts.range(..40).all(|(_, count)| *count == 1));
        assert!(counts.range(40..50).all(|(_, count)| *count == 3) && counts.range(40..50).count() == b);
        assert!(counts.range(50..).all(|(_, count)| *count == 1) && counts.range(50..).count() == c);
        seen.extend(counts.range(..40).map(|(row, _)| *row));
    }
    assert_eq!(seen.len(), a, "over some epochs every row comes round");
    let [first, second, third] = survey.verdict.sources.as_slice() else { panic!() };
    assert_eq!((first.weight, second.weight, third.weight), (0.5, 3.0, 1.0));
    let drawn = [first, second, third].map(|source| source.weight * source.tokens as f64);
    let sum: f64 = drawn.iter().sum();
    for (source, drawn) in [first, second, third].into_iter().zip(drawn) {
        assert!((source.share.unwrap() - drawn / sum).abs() < 1e-12);
    }
}

#[test]
fn a_weighted_run_continues_exactly() {
    let folder = Folder::new();
    [("a.jsonl", 21), ("b.jsonl", 10)].iter().for_each(|(path, rows)| put(&folder, path, *rows));
    let survey = survey(&weighted(&["a.jsonl", "b.jsonl"], &[("a.jsonl", 0.7), ("b.jsonl", 2.0)]), &folder);
    for shuffle in [true, false] {
        let options = SamplerOptions { batch_size: 4, accumulation: 2, shuffle, seed: 42 };
        let sampler = || Sampler::new(survey.draws.clone(), options).unwrap();
        let (mut whole, mut steps, mut places) = (sampler(), Vec::new(), Vec::new());
        for _ in 0..20 {
            places.push(whole.position());
            steps.push(whole.next_step());
        }
        assert!(places.iter().any(|place| place.epoch > 1 && place.batch > 0));
        for (place, step) in places.iter().zip(&steps) {
            let mut resumed = sampler();
            resumed.seek(*place).unwrap();
            assert_eq!(&resumed.next_step(), step);
        }
    }
}

#[test]
fn pieces_of_rows_are_drawn_by_the_weights_too() {
    let folder = Folder::new();
    let long = "word ".repeat(20);
    let line = format!("{{\"instruction\":\"q\",\"input\":\"\",\"output\":\"{long}\"}}\n");
    folder.write("a.jsonl", line.repeat(2));
    put(&folder, "b.jsonl", 3);
    let mut config = weighted(&["a.jsonl", "b.jsonl"], &[("a.jsonl", 2.0)]);
    (config.max_length, config.on_too_long) = (8, OnTooLong::Split);
    let survey = survey(&config, &folder);
    let pieces = survey.pieces.as_ref().unwrap();
    let of_a = pieces.of_rows(&[0, 1]);
    assert!(of_a.len() > 2);
    let epoch = survey.draws.epoch(0);
    assert_eq!(epoch.len(), 2 * of_a.len() + 3);
    assert!(of_a.iter().all(|piece| epoch.iter().filter(|row| *row == piece).count() == 2));
}

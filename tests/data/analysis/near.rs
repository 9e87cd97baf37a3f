//! Near-duplicates held against a comparison of all pairs, with shingles made in another way.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use data::Silent;
use data::analysis::analyse;
use protocol::AnalysisChecks;
use serde_json::Value;

use super::{known, row};
use crate::common;
use crate::support::{Folder, config, open};

fn near(threshold: f64) -> AnalysisChecks {
    AnalysisChecks { near_duplicates: Some(threshold), ..AnalysisChecks::default() }
}

/// Shingles as texts: three words, five Chinese characters, or what weighs as much.
fn shingles(text: &str) -> BTreeSet<Vec<String>> {
    let han = |c: char| ('\u{3400}'..='\u{9fff}').contains(&c);
    let mut units: Vec<(String, usize)> = Vec::new();
    let mut open = false;
    for c in text.chars() {
        if han(c) {
            units.push((c.to_string(), 3));
            open = false;
        } else if c.is_alphanumeric() {
            if !open {
                units.push((String::new(), 5));
            }
            units.last_mut().unwrap().0.extend(c.to_lowercase());
            open = true;
        } else {
            open = false;
        }
    }
    let mut found = BTreeSet::new();
    for start in 0..units.len() {
        let mut weight = 0;
        let taken: Vec<String> = units[start..]
            .iter()
            .take_while(|unit| {
                let more = weight < 15;
                weight += if more { unit.1 } else { 0 };
                more
            })
            .map(|unit| unit.0.clone())
            .collect();
        if weight >= 15 || start == 0 {
            found.insert(taken);
        }
    }
    found
}

/// Every row with the first earlier one that stands for itself and is near it, by comparing all of them.
fn by_all_pairs(rows: &[Vec<String>], threshold: f64) -> BTreeMap<usize, (usize, f64)> {
    let mut numbers = BTreeMap::new();
    let mut set = |texts: &Vec<String>| -> HashSet<usize> {
        let all: BTreeSet<_> = texts.iter().flat_map(|text| shingles(text)).collect();
        all.into_iter()
            .map(|shingle| {
                let next = numbers.len();
                *numbers.entry(shingle).or_insert(next)
            })
            .collect()
    };
    let sets: Vec<HashSet<usize>> = rows.iter().map(&mut set).collect();
    let mut found = BTreeMap::new();
    for (row, own) in sets.iter().enumerate() {
        let alike = |of: &usize| {
            let both = own.intersection(&sets[*of]).count();
            both as f64 / (own.len() + sets[*of].len() - both).max(1) as f64
        };
        let leader = (0..row).filter(|of| !found.contains_key(of)).find(|of| alike(of) >= threshold);
        if let Some(of) = leader {
            found.insert(row, (of, alike(&of)));
        }
    }
    found
}

fn texts(line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (instruction, input) = (field("instruction"), field("input"));
    let asked = if input.is_empty() { instruction } else { format!("{instruction}\n{input}") };
    vec![asked, field("output")]
}

/// The row with a word or two characters of its answer changed, at a place that `turn` decides.
fn altered(line: &str, turn: usize) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    let output = value["output"].as_str().unwrap();
    let at =
        output.char_indices().map(|(at, _)| at).nth(turn * 7 % output.chars().count().max(1)).unwrap_or(0);
    let output = format!("{} {turn} {}", &output[..at], &output[at..]);
    let mut value = value;
    value["output"] = output.into();
    value.to_string() + "\n"
}

#[test]
fn near_duplicates_are_those_of_all_pairs_on_real_rows_with_planted_ones() {
    let files = ["alpaca_zh_demo.json", "alpaca_en_demo.json"];
    let found: Vec<_> = files
        .iter()
        .filter_map(|name| common::shared(&format!("realdata/data/llama-factory/{name}")))
        .collect();
    common::skipped(files.len() - found.len(), "real files with planted near-duplicates");
    for path in found {
        let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut lines: Vec<String> = rows.iter().map(|row| row.to_string() + "\n").collect();
        let planted: Vec<String> = (0..300).map(|turn| altered(&lines[turn * 3], turn)).collect();
        lines.extend(planted);
        let all: Vec<Vec<String>> = lines.iter().map(|line| texts(line)).collect();
        let (folder, _) = Folder::with("a.jsonl", lines.concat());
        for threshold in [0.5, 0.7, 0.8, 0.9] {
            let expected = by_all_pairs(&all, threshold);
            let analysis = known(&config(&["a.jsonl"]), &folder, &near(threshold)).analysis;
            let groups = analysis.near_duplicates.unwrap();
            let told: BTreeSet<(usize, usize)> = groups
                .iter()
                .flat_map(|group| {
                    group.rows[1..].iter().map(|row| (*row as usize - 1, group.rows[0] as usize - 1))
                })
                .collect();
            let right = told
                .iter()
                .filter(|(row, of)| expected.get(row).is_some_and(|(first, _)| first == of))
                .count();
            println!(
                "{}: threshold {threshold}: {} near-duplicates of {} rows, found {}, precision {:.4}, recall {:.4}",
                path.file_name().unwrap().display(),
                expected.len(),
                all.len(),
                told.len(),
                right as f64 / told.len().max(1) as f64,
                right as f64 / expected.len().max(1) as f64
            );
            assert_eq!(told.len() as u64, analysis.near_duplicate_rows);
            assert!(expected.len() > 100, "there are planted ones");
            assert_eq!(right, told.len(), "none that is not near is told");
            assert!(right as f64 >= 0.995 * expected.len() as f64);
            for group in &groups {
                let of = group.rows[0] as usize - 1;
                let rows = group.rows[1..].iter().filter_map(|row| expected.get(&(*row as usize - 1)));
                let least =
                    rows.filter(|(first, _)| *first == of).map(|(_, alike)| *alike).fold(1.0, f64::min);
                assert!((least - group.similarity).abs() < 1e-12, "{group:?}: {least}");
            }
        }
    }
}

#[test]
fn a_chain_of_small_changes_is_no_group() {
    // Each row shares most with the one before it, and the last nothing with the first.
    let words: Vec<String> = (0..60).map(|n| format!("w{n}")).collect();
    let rows: String = (0..20).map(|n| row("q", &words[n * 2..n * 2 + 20].join(" "))).collect();
    let (folder, _) = Folder::with("a.jsonl", rows);
    let groups = known(&config(&["a.jsonl"]), &folder, &near(0.7)).analysis.near_duplicates.unwrap();
    assert!(groups.len() > 5, "{groups:?}");
    for group in groups {
        assert!(group.similarity >= 0.7 && group.rows.len() == 2, "{group:?}");
    }
}

#[test]
fn rows_that_are_equal_are_one_group_whatever_their_number() {
    let rows: String = (0..5000).map(|n| row("say it", if n % 2 == 0 { "Yes!" } else { "no" })).collect();
    let (folder, _) = Folder::with("a.jsonl", rows + &row("", "") + &row("?!", "…"));
    let analysis = known(&config(&["a.jsonl"]), &folder, &near(0.8)).analysis;
    let groups = analysis.near_duplicates.unwrap();
    assert_eq!((groups.len(), analysis.near_duplicate_rows), (2, 4998));
    assert_eq!(
        (groups[0].rows[..3].to_vec(), groups[0].count, groups[0].rows.len()),
        (vec![1, 3, 5], 2500, 100)
    );
    assert_eq!((groups[0].text.as_str(), groups[0].similarity), ("say it", 1.0));
}

#[test]
fn rows_of_token_ids_are_compared_by_their_ids() {
    let ids = |start: u32| (start..start + 40).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let rows = [0, 500, 0, 1].map(|start| format!("{{\"input_ids\":[{}]}}\n", ids(start)));
    let (folder, _) = Folder::with("a.jsonl", rows.concat());
    let groups = known(&config(&["a.jsonl"]), &folder, &near(0.8)).analysis.near_duplicates.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].rows, [1, 3, 4]);
}

/// Rows of random words of which every tenth nearly repeats an earlier one.
fn many(rows: usize) -> String {
    let word = |n: u64| format!("w{}", (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 20_000);
    let line = |n: usize| {
        let source = if n % 10 == 9 { n - 5 } else { n } as u64;
        let mut words: Vec<String> = (0..80).map(|at| word(source * 1000 + at)).collect();
        words[n % 80] = format!("own{n}");
        row("write something about this", &words.join(" "))
    };
    (0..rows).map(line).collect()
}

/// Says how long many rows take.
#[test]
#[ignore = "measures"]
fn rows_compared_a_second() {
    for rows in [50_000, 200_000] {
        let (folder, path) = Folder::with("a.jsonl", many(rows));
        let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
        let bytes = std::fs::metadata(path).unwrap().len() as f64 / 1e6;
        for checks in [AnalysisChecks::default(), near(0.8)] {
            let begun = Instant::now();
            let analysis = analyse(&dataset, &checks, 1, &Silent).unwrap().analysis;
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{rows} rows, {bytes:.0} MB, near {:?}: {seconds:.2} s, {} near-duplicates",
                checks.near_duplicates, analysis.near_duplicate_rows
            );
            if checks.near_duplicates.is_some() {
                // Those that were planted, and made-up rows that came out alike.
                assert!(analysis.near_duplicate_rows >= rows as u64 / 10);
            }
        }
    }
}

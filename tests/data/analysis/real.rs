//! What is told of real files, where they are at hand.

use std::path::PathBuf;
use std::sync::Arc;

use data::analysis::analyse;
use data::{Dataset, Encoder, ModelTokens, Silent, Survey};
use protocol::config::{DataConfig, Validation};
use protocol::{Analysis, AnalysisChecks, FindingKind};

use crate::common;
use crate::support::{Folder, config, open};

fn analysed(path: &str, checks: &AnalysisChecks) -> Option<Analysis> {
    let path = common::shared(&format!("realdata/{path}"))?;
    let mut config = config(&[]);
    (config.train, config.validation) = (vec![path], Validation::Fraction(0.05));
    let dataset = open(&config, &Folder::new()).ok()?;
    Some(analyse(&dataset, checks, 42, &Silent).unwrap().analysis)
}

fn share(analysis: &Analysis, codes: &[&str]) -> f64 {
    let of = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        analysis.languages.iter().filter(|share| wanted(&share.code)).map(|share| share.rows).sum()
    };
    of(&|code| codes.contains(&code)) as f64 / of(&|code| !code.is_empty()).max(1) as f64
}

#[test]
fn real_files_are_told_in_their_language() {
    let chinese = &["cmn", "cmn-Hans"][..];
    let cases = [
        ("data/llama-factory/alpaca_en_demo.json", &["eng"][..]),
        ("data/llama-factory/alpaca_zh_demo.json", chinese),
        ("data/belle/eval_set.json", chinese),
        ("data/dolly_hhrlhf_train_small.jsonl", &["eng"]),
        ("data/xfg-paper/testB.csv", &["eng"]),
        ("data/llama-factory/wiki_demo.txt", &["eng"]),
        ("data/ccpm_example/raw_data/train.jsonl", chinese),
    ];
    let mut missing = 0;
    for (path, codes) in cases {
        let checks = AnalysisChecks { near_duplicates: Some(0.8), leaks: true, ..AnalysisChecks::default() };
        let Some(analysis) = analysed(path, &checks) else {
            missing += 1;
            continue;
        };
        let mix: Vec<_> =
            analysis.languages.iter().map(|share| format!("{} {}", share.code, share.rows)).collect();
        println!(
            "{path}: {} rows, {}; {} near-duplicates, {} leaks; opens {:?}; ends {:?}",
            analysis.rows,
            mix.join(", "),
            analysis.near_duplicate_rows,
            analysis.leaked_rows,
            analysis.openings.first().map(|one| (&one.text, one.count)),
            analysis.endings.first().map(|one| (&one.text, one.count)),
        );
        // Some rows of Chinese files are translations or code.
        assert!(share(&analysis, codes) >= 0.95, "{path}: {mix:?}");
    }
    common::skipped(missing, "real files");
}

#[test]
fn real_evaluation_sets_are_found_only_where_they_were_planted() {
    let names = [
        "gsm8k",
        "mmlu",
        "noncommercial/ceval",
        "noncommercial/cmmlu",
        "TruthfulQA.csv",
        "mt-bench",
        "blimp",
    ];
    let sets: Vec<PathBuf> =
        names.iter().filter_map(|name| common::shared(&format!("realdata/eval/{name}"))).collect();
    common::skipped(names.len() - sets.len(), "evaluation sets");
    let Some(gsm8k) = common::shared("realdata/eval/gsm8k/test.jsonl") else { return };
    let checks = AnalysisChecks { contamination: sets, ..AnalysisChecks::default() };
    for path in [
        "data/llama-factory/alpaca_en_demo.json",
        "data/llama-factory/alpaca_zh_demo.json",
        "data/belle/eval_set.json",
    ] {
        let Some(analysis) = analysed(path, &checks) else { continue };
        let found = analysis.contamination.unwrap();
        println!("{path}: {} of {} rows", found.len(), analysis.rows);
        for one in found.iter().take(10) {
            println!(
                "  row {} has {:.2} of row {} of {}: {}",
                one.row,
                one.similarity,
                one.file_row,
                one.file.display(),
                one.text
            );
        }
        for note in &analysis.notes {
            println!("  {note}");
        }
        assert!(found.len() < 10, "{found:?}");
    }
    let rows = std::fs::read_to_string(gsm8k).unwrap();
    let planted: String = rows
        .lines()
        .take(40)
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            super::row(&format!("Solve this. {}", value["question"].as_str().unwrap()), "?")
        })
        .collect();
    let (folder, _) = Folder::with("a.jsonl", crate::support::alpaca_lines(100) + &planted);
    let analysis = super::known(&config(&["a.jsonl"]), &folder, &checks).analysis;
    let found: Vec<(u64, u64)> = super::rows_of(analysis.contamination.as_ref());
    assert_eq!(found, (0..40).map(|n| (101 + n, 1 + n)).collect::<Vec<_>>());
}

/// Kinds of findings with their counts, over a file as Qwen's tokenizer makes it into tokens, a twentieth held out.
fn findings(path: &str) -> Option<Vec<(FindingKind, u64)>> {
    let path = common::shared(&format!("realdata/{path}"))?;
    let model = common::shared("realdata/tokenizers/qwen2.5")?;
    let config = DataConfig {
        train: vec![path],
        template: "chatml".into(),
        validation: Validation::Fraction(0.05),
        ..config(&[])
    };
    let encoder = Encoder::open(&model, &config, "".as_ref(), None).unwrap();
    let tokenizer = encoder.tokenizer().clone();
    let tokens = ModelTokens {
        pad: tokenizer.pad(),
        eos: tokenizer.stop_ids().iter().copied().collect(),
        vocab_size: Some(u64::from(tokenizer.largest_id()) + 1),
    };
    let dataset = Dataset::open(&config, "".as_ref(), Arc::new(encoder), &Silent).ok()?;
    let survey = Survey::new(&dataset, &tokens, 42, &Silent).unwrap();
    for finding in &survey.verdict.findings {
        println!(
            "    {:?} {} {:?}: {}",
            finding.kind,
            finding.count,
            finding.rows.iter().take(6).collect::<Vec<_>>(),
            finding.text
        );
    }
    // Which of the repeated rows are held out, the seed decides.
    let told = |kind| !matches!(kind, FindingKind::PadIsEos | FindingKind::Leak);
    let kinds = survey.verdict.findings.iter().filter(|finding| told(finding.kind));
    Some(kinds.map(|finding| (finding.kind, finding.count)).collect())
}

#[test]
fn verdicts_on_real_files_tell_what_is_there_and_nothing_else() {
    // Counted in the files by hand (repeated rows) and by transformers' tokenizer (rows of more than 1024 tokens);
    // everything else would be a false finding.
    let cases: [(&str, &[(FindingKind, u64)]); 5] = [
        ("data/llama-factory/alpaca_en_demo.json", &[(FindingKind::Duplicate, 14)]),
        ("data/llama-factory/alpaca_zh_demo.json", &[(FindingKind::Duplicate, 8)]),
        ("data/llama-factory/identity.json", &[]),
        // Of eight the question alone is longer.
        ("data/dolly_hhrlhf_train_small.jsonl", &[(FindingKind::NoLabels, 8), (FindingKind::TooLong, 14)]),
        ("data/llama-factory/wiki_demo.txt", &[(FindingKind::TooLong, 25)]),
    ];
    let mut missing = 0;
    for (path, expected) in cases {
        println!("{path}");
        match findings(path) {
            Some(found) => assert_eq!(found, expected, "{path}"),
            None => missing += 1,
        }
    }
    common::skipped(missing, "real files");
}

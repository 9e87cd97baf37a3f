//! What the verdict finds in real files: nothing that is not there.

use std::path::Path;
use std::sync::Arc;

use data::{Dataset, Encoder, ModelTokens, Silent, Survey, preview};
use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{FindingKind, Severity};

use crate::common::{shared, skipped};

use FindingKind::{Duplicate, EmptyAnswer, NoLabels, TooLong};

/// Kinds of findings with their counts.
type Found = &'static [(FindingKind, u64)];

/// A file, its usable rows, and all that is found in it at 2048 tokens of Qwen's. Counted beside with Python: the rows that
/// are equal to an earlier one, the 369 empty answers of BELLE's (its riddles and code have none); the two rows with
/// nothing to learn are cut in front of their answers.
const FOUND: &[(&str, u64, Found)] = &[
    ("llama-factory/alpaca_en_demo.json", 999, &[(Duplicate, 14)]),
    ("llama-factory/alpaca_zh_demo.json", 1000, &[(Duplicate, 8)]),
    ("llama-factory/identity.json", 91, &[]),
    ("llama-factory/glaive_toolcall_en_demo.json", 299, &[(NoLabels, 1), (TooLong, 1), (Duplicate, 35)]),
    ("llama-factory/v1_sft_demo.jsonl", 500, &[(Duplicate, 1)]),
    ("llama-factory/reason_tool_use_demo_50.jsonl", 50, &[(TooLong, 1)]),
    ("llama-factory/wiki_demo.txt", 30, &[(TooLong, 22)]),
    ("tiny_shakespeare.txt", 7222, &[(Duplicate, 74)]),
    ("dolly_hhrlhf_train_small.jsonl", 999, &[(NoLabels, 1), (TooLong, 1)]),
    ("belle/eval_set.json", 1000, &[(EmptyAnswer, 369)]),
    ("ccpm_example/raw_data/train.jsonl", 21778, &[]),
    ("../eval/advertisegen/train.json", 30, &[]),
    ("../eval/gsm8k/test.jsonl", 1319, &[]),
    ("../eval/text_to_sql/train.jsonl", 1000, &[(Duplicate, 1)]),
    ("../eval/TruthfulQA.csv", 817, &[]),
];

fn open(file: &Path) -> Option<(Dataset, ModelTokens)> {
    let model = shared("realdata/tokenizers/qwen2.5")?;
    let config = DataConfig {
        train: vec![file.to_path_buf()],
        validation: Validation::Fraction(0.0),
        template: "qwen25".into(),
        max_length: 2048,
        on_too_long: OnTooLong::Truncate,
        ..DataConfig::default()
    };
    let encoder = Encoder::open(&model, &config, Path::new(""), None).unwrap();
    let tokenizer = encoder.tokenizer().clone();
    let tokens = ModelTokens {
        pad: tokenizer.pad(),
        eos: tokenizer.stop_ids().iter().copied().collect(),
        vocab_size: None,
    };
    Some((Dataset::open(&config, Path::new(""), Arc::new(encoder), &Silent).unwrap(), tokens))
}

#[test]
fn nothing_is_found_that_is_not_there() {
    let Some(real) = shared("realdata/data") else { return skipped(FOUND.len(), "real files") };
    let mut wrong = Vec::new();
    for (file, usable, findings) in FOUND {
        let Some((dataset, tokens)) = open(&real.join(file)) else {
            return skipped(FOUND.len(), "real files");
        };
        let verdict = Survey::new(&dataset, &tokens, 0, &Silent).unwrap().verdict;
        let found: Vec<_> = verdict.findings.iter().map(|finding| (finding.kind, finding.count)).collect();
        println!(
            "{file}: {} of {} rows usable, {} tokens",
            verdict.usable_rows, verdict.rows, verdict.tokens
        );
        for finding in &verdict.findings {
            println!(
                "  {:?} {}: {} {:?}",
                finding.severity,
                finding.count,
                finding.text,
                &finding.rows[..finding.rows.len().min(5)]
            );
        }
        if (verdict.usable_rows, found.as_slice()) != (*usable, *findings) {
            wrong.push(format!("{file}: {} {found:?}", verdict.usable_rows));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Pairs are shown with both answers, and no run begins on them.
#[test]
fn pairs_are_shown_and_refused_for_training() {
    let Some(real) = shared("realdata/data/llama-factory") else { return skipped(3, "real files") };
    for (file, answers, refusal) in [
        ("dpo_en_demo.json", 2, ("DPO", "偏好对")),
        ("v1_dpo_demo.jsonl", 2, ("DPO", "偏好对")),
        ("kto_en_demo.json", 1, ("KTO", "好坏反馈")),
    ] {
        let Some((dataset, tokens)) = open(&real.join(file)) else { return skipped(3, "real files") };
        let shown = preview(&dataset, 0, 5, &|ids| ids.iter().map(u32::to_string).collect());
        assert_eq!(shown.rows.len(), 5 * answers);
        assert!(shown.conversations && shown.failure.is_none());
        for row in &shown.rows {
            assert!(row.error.is_none() && row.loss_mask.contains(&true), "{file}: {:?}", row.error);
            assert_eq!(row.notes.len(), 2);
            assert!(
                row.notes[1].en.contains(refusal.0) && row.notes[1].zh.contains(refusal.1),
                "{:?}",
                row.notes
            );
        }
        if answers == 2 {
            assert_eq!(
                (shown.rows[0].piece, shown.rows[1].piece, shown.rows[1].pieces),
                (Some(1), Some(2), Some(2))
            );
            assert_ne!(shown.rows[0].rendered, shown.rows[1].rendered);
            assert!(shown.rows[1].fields.is_empty() && !shown.rows[0].fields.is_empty());
        }
        let err = Survey::new(&dataset, &tokens, 0, &Silent).err().unwrap();
        assert!(err.what.en.contains("not trained on yet") && err.what.zh.contains("不能用于训练"), "{err}");
        assert_eq!(err.exit_code(), 2);
    }
}

#[test]
fn severities_of_notes_do_not_refuse_a_run() {
    let Some(real) = shared("realdata/data/llama-factory/identity.json") else {
        return skipped(1, "real file");
    };
    let Some((dataset, tokens)) = open(&real) else { return skipped(1, "real file") };
    let verdict = Survey::new(&dataset, &tokens, 0, &Silent).unwrap().verdict;
    assert!(verdict.ok && verdict.findings.iter().all(|finding| finding.severity != Severity::Error));
}

//! Suites read from their published layouts: small ones of our own, and the real files where they are.

use std::path::Path;

use data::Silent;
use data::suites::{Ask, Key, Likelihood, Load, Loaded, Reply, SUITES, Suite};
use protocol::{ParamSpec, Result};
use serde_json::{Map, Value, json};

use crate::common;

fn load(suite: &str, path: &Path, given: &Value, limit: u64) -> Result<Loaded> {
    let suite = Suite::find(suite).unwrap();
    let mut settings: Map<String, Value> =
        (suite.params)().into_iter().map(|ParamSpec { key, kind, .. }| (key, kind.default_value())).collect();
    settings.extend(given.as_object().unwrap().clone());
    (suite.load)(&Load { path, settings: &settings, limit, progress: &Silent })
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn context(loaded: &Loaded, index: usize) -> &str {
    match &loaded.items[index].ask {
        Ask::Continue { context, .. } => context,
        other => panic!("{other:?}"),
    }
}

/// Two subjects of MMLU's layout.
fn exam() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "test/astronomy_test.csv", "\" What shines? \",Sun,\"Stone, grey\",Tree,Sea,A\n");
    write(folder.path(), "test/virology_test.csv", "Q1,a,b,c,d,B\nQ2,a,b,c,d,C\n");
    write(folder.path(), "dev/astronomy_dev.csv", "What is far?,Moon,Door,Hand,Cup,A\nD2,a,b,c,d,D\n");
    write(folder.path(), "dev/virology_dev.csv", "D1,a,b,c,d,B\n");
    folder
}

#[test]
fn an_examination_is_worded_as_the_harness_words_it() {
    let folder = exam();
    let plain = load("mmlu", folder.path(), &json!({}), 0).unwrap();
    let ids: Vec<_> = plain.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["astronomy/0", "virology/0", "virology/1"]);
    assert_eq!(
        context(&plain, 0),
        "The following are multiple choice questions (with answers) about astronomy.\n\n\
         What shines?\nA. Sun\nB. Stone, grey\nC. Tree\nD. Sea\nAnswer:"
    );
    assert_eq!(plain.items[2].key, Key::Option(2));
    assert_eq!(plain.items[0].groups, ["STEM".into()]);
    let Ask::Continue { options, .. } = &plain.items[0].ask else { panic!() };
    assert_eq!(options, &[" A", " B", " C", " D"]);
    let shot = load("mmlu", folder.path(), &json!({ "shots": 1, "subjects": "astronomy" }), 0).unwrap();
    assert_eq!(shot.items.len(), 1);
    assert!(
        context(&shot, 0).contains("\n\nWhat is far?\nA. Moon\nB. Door\nC. Hand\nD. Cup\nAnswer: A\n\nWhat")
    );
    assert_eq!(shot.files.len(), 2);
    let original = load("mmlu", folder.path(), &json!({ "prompt": "original" }), 0).unwrap();
    assert!(context(&original, 0).contains("about  astronomy.\n\n What shines? \nA."));
    assert_eq!(load("mmlu", folder.path(), &json!({}), 1).unwrap().items.len(), 2);
    let chat = load("mmlu", folder.path(), &json!({ "chat": true }), 0).unwrap();
    assert!(matches!(&chat.items[0].ask, Ask::Choose { options, .. } if options[0] == "A"));
}

#[test]
fn chinese_examinations_have_headers_and_their_own_words() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "val/logic_val.csv", "\u{feff}id,question,A,B,C,D,answer\n0,谁？,甲,乙,丙,丁,D\n");
    write(
        folder.path(),
        "dev/logic_dev.csv",
        "id,question,A,B,C,D,answer,explanation\n0,何物？,甲,乙,丙,丁,A,因为\n",
    );
    let ceval = load("ceval", folder.path(), &json!({ "shots": 1 }), 0).unwrap();
    assert_eq!(
        context(&ceval, 0),
        "以下是中国关于逻辑学的单项选择题，请选出其中的正确答案。\n\n\
         何物？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案： A\n\n谁？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案："
    );
    let original = load("ceval", folder.path(), &json!({ "prompt": "original", "shots": 1 }), 0).unwrap();
    assert!(context(&original, 0).starts_with("以下是中国关于逻辑学考试的单项选择题"));
    assert!(context(&original, 0).contains("答案：A\n\n谁？"));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "test/agronomy.csv", ",Question,A,B,C,D,Answer\n0,谁？,甲,乙,丙,丁,B\n");
    let cmmlu = load("cmmlu", folder.path(), &json!({}), 0).unwrap();
    assert_eq!(
        context(&cmmlu, 0),
        "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n谁？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案："
    );
    let original = load("cmmlu", folder.path(), &json!({ "prompt": "original" }), 0).unwrap();
    assert!(context(&original, 0).ends_with("题目：谁？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案是："));
}

#[test]
fn what_is_laid_out_otherwise_is_refused_with_its_place() {
    let refused = |suite: &str, path: &Path, given: Value| {
        let error = load(suite, path, &given, 0).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        error
    };
    let folder = exam();
    let error = refused("mmlu", folder.path(), json!({ "split": "val" }));
    assert!(error.mend.unwrap().en.contains("val/subject_val.csv"));
    let error = refused("mmlu", folder.path(), json!({ "shots": 2 }));
    assert!(
        error.what.en.contains("2 examples") && error.place.file.unwrap().ends_with("dev/virology_dev.csv")
    );
    let error = refused("mmlu", folder.path(), json!({ "subjects": "astronomy,botany" }));
    assert!(error.what.en.contains("botany"), "{error}");
    write(folder.path(), "test/virology_test.csv", "Q1,a,b,c,d,B\nQ2,a,b,c,d,E\n");
    let error = refused("mmlu", folder.path(), json!({}));
    assert_eq!(error.place.row, Some(2));
    write(folder.path(), "rows.jsonl", "{\"sentence_good\": \"a\"}\n");
    assert_eq!(refused("blimp", &folder.path().join("rows.jsonl"), json!({})).place.row, Some(1));
    write(
        folder.path(),
        "t/TruthfulQA.csv",
        "Category,Question,Best Answer,Correct Answers,Incorrect Answers\nx,Q?,,a,b\n",
    );
    assert_eq!(refused("truthfulqa", &folder.path().join("t"), json!({})).place.row, Some(2));
    for suite in SUITES {
        let empty = tempfile::tempdir().unwrap();
        refused(suite.id, empty.path(), json!({}));
    }
}

#[test]
fn truthful_answers_come_from_the_table_or_the_tasks() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "TruthfulQA.csv",
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n\
         x,Myths,Is it so?,No.,No; It is not,Yes; Of course,web\n",
    );
    let table = load("truthfulqa", folder.path(), &json!({}), 0).unwrap();
    let task = r#"[{"question": "Is it so?", "category": "Myths",
        "mc1_targets": {"No.": 1, "Yes.": 0, "Of course.": 0},
        "mc2_targets": {"No.": 1, "It is not.": 1, "Yes.": 0, "Of course.": 0}}]"#;
    write(folder.path(), "mc_task.json", task);
    let tasks = load("truthfulqa", folder.path(), &json!({}), 0).unwrap();
    let Ask::Continue { context, options } = &tasks.items[0].ask else { panic!() };
    assert!(context.starts_with("Q: What is human life") && context.ends_with("\n\nQ: Is it so?\nA:"));
    assert_eq!(options, &[" No.", " Yes.", " Of course.", " It is not."]);
    assert_eq!(tasks.items[0].key, Key::Truths { first: 3, truths: vec![true, false, false, true] });
    assert_eq!((&table.items[0].ask, &table.items[0].key), (&tasks.items[0].ask, &tasks.items[0].key));
}

#[test]
fn rows_of_any_dataset_are_questions_with_answers() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"instruction\": \"甲？\", \"input\": \"\", \"output\": \"是\"}\n\
                {\"instruction\": \"乙？\", \"input\": \"\", \"output\": \"否\"}\n";
    write(folder.path(), "rows.jsonl", rows);
    let path = folder.path().join("rows.jsonl");
    let classes = load("accuracy", &path, &json!({}), 0).unwrap();
    let Key::Label { label, labels } = &classes.items[0].key else { panic!() };
    assert_eq!((labels[*label].as_str(), labels.len()), ("是", 2));
    let written = load("rouge", &path, &json!({}), 0).unwrap();
    assert_eq!(written.items[0].key, Key::Reference { text: "是".into(), chinese: true });
    let named = load("accuracy", &path, &json!({ "choices": "是,不是" }), 0).err().unwrap();
    assert!(named.what.en.contains("Row 2"), "{named}");
    write(folder.path(), "sql.jsonl", "{\"text\": \"table: t\\nQ: how many\\nA: SELECT COUNT(*) FROM t\"}\n");
    let sql = load("sql", &folder.path().join("sql.jsonl"), &json!({}), 0).unwrap();
    let Ask::Answer { question, .. } = &sql.items[0].ask else { panic!() };
    assert_eq!(question, &data::predict::Question::Text("table: t\nQ: how many\nA:".into()));
    let judge = Suite::find("sql").unwrap().judge;
    let said = Reply::Text(" select count(*) from t;\nQ: next".into());
    assert_eq!(judge(&sql.items[0], &said).marks, [0.0, 1.0, 1.0]);
}

#[test]
fn labels_are_judged_by_the_likeliest() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "r.csv", "prompt,response\na,0\nb,1\nc,1\n");
    let loaded = load("accuracy", &folder.path().join("r.csv"), &json!({}), 0).unwrap();
    let judge = Suite::find("accuracy").unwrap().judge;
    let ways = |logprobs: [f64; 2]| {
        Reply::Likelihoods(logprobs.map(|logprob| Likelihood { logprob, greedy: false }).into())
    };
    let marks: Vec<_> = [[-1.0, -2.0], [-1.0, -2.0], [-2.0, -1.0]]
        .into_iter()
        .zip(&loaded.items)
        .map(|(logprobs, item)| Some(judge(item, &ways(logprobs)).marks))
        .collect();
    let rows = data::suites::table("accuracy", &loaded.items, &loaded.metrics, Some(&marks), None);
    let figures: Vec<_> =
        rows[0].metrics.iter().map(|metric| (metric.name.as_str(), metric.base.unwrap().value)).collect();
    assert_eq!(figures[0], ("acc", 2.0 / 3.0));
    // Labels 0 and 1: F1 of 2/3 each.
    let macro_f1 = figures.iter().find(|(name, _)| *name == "macro-f1").unwrap().1;
    assert!((macro_f1 - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn the_real_layouts_are_read() {
    let cases = [
        ("mmlu", "mmlu", 6, 735),
        ("ceval", "noncommercial/ceval", 6, 0),
        ("cmmlu", "noncommercial/cmmlu", 6, 0),
        ("blimp", "blimp", 3, 3000),
        ("truthfulqa", "TruthfulQA.csv", 1, 817),
        ("gsm8k", "gsm8k", 1, 1319),
        ("sql", "text_to_sql/test.jsonl", 1, 100),
        ("rouge", "advertisegen/data_sample.jsonl", 1, 100),
        ("bleu", "advertisegen/data_sample.jsonl", 1, 100),
    ];
    let mut missing = 0;
    for (suite, path, subjects, items) in cases {
        let Some(path) = common::shared(&format!("realdata/eval/{path}")) else {
            missing += 1;
            continue;
        };
        let loaded = load(suite, &path, &json!({}), 0).unwrap();
        let mut names: Vec<_> = loaded.items.iter().map(|item| &item.subject).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), subjects, "{suite}");
        assert!(items == 0 || loaded.items.len() == items, "{suite}: {}", loaded.items.len());
        let mut ids: Vec<_> = loaded.items.iter().map(|item| &item.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), loaded.items.len(), "{suite}");
        let shots = (Suite::find(suite).unwrap().params)().iter().any(|param| param.key == "shots");
        if shots && suite != "gsm8k" {
            // MMLU's global_facts has five examples, and four line ends.
            assert!(load(suite, &path, &json!({ "shots": 5 }), 1).is_ok(), "{suite}");
        }
    }
    common::skipped(missing, "real sets of questions");
}

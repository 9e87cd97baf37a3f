//! Kinds of datasets that are known and not read yet: naming them beats "no format fits".

use protocol::Text;
use serde_json::{Map, Value};

use super::Sample;
use crate::sources::Row;

struct Kind {
    test: fn(&Map<String, Value>) -> bool,
    looks_like: Text,
}

static KINDS: &[Kind] = &[
    Kind {
        test: |row| !row.is_empty() && row.values().all(is_registry_entry),
        looks_like: Text::fixed(
            "a registry of datasets (dataset_info.json), not a dataset",
            "数据集登记表（dataset_info.json），而非数据集",
        ),
    },
    Kind {
        test: |row| has(row, &["step", "loss"]),
        looks_like: Text::fixed("the log of a training run, not a dataset", "训练日志，而非数据集"),
    },
    Kind {
        test: |row| has(row, &["A", "B", "C", "D"]) || ends_in_a_letter(row),
        looks_like: Text::fixed("multiple-choice questions (an evaluation set)", "选择题（评测集）"),
    },
    Kind {
        test: |row| has(row, &["sentence_good", "sentence_bad"]),
        looks_like: Text::fixed(
            "pairs of sentences of which one is right (BLiMP, an evaluation set)",
            "对错句子对（BLiMP 评测集）",
        ),
    },
    Kind {
        test: |row| has(row, &["question_id", "turns"]),
        looks_like: Text::fixed(
            "questions without answers (MT-Bench, an evaluation set)",
            "没有答案的问题（MT-Bench 评测集）",
        ),
    },
    Kind {
        test: |row| !row.is_empty() && row.values().all(is_subject),
        looks_like: Text::fixed(
            "a table of an evaluation set's subjects, not a dataset",
            "评测集的科目表，而非数据集",
        ),
    },
    Kind {
        test: |row| {
            ["image", "images", "videos", "audios"].iter().any(|key| row.get(*key).is_some_and(is_filled))
        },
        looks_like: Text::fixed("data with images, videos or sound", "含图像、视频或音频的数据"),
    },
];

/// The kind that most of the sample's rows are of.
pub fn recognise(sample: &Sample) -> Option<Text> {
    let rows = sample.rows();
    let most = |kind: &&Kind| {
        rows.iter().filter_map(Row::fields).filter(|fields| (kind.test)(fields)).count() * 2 > rows.len()
    };
    KINDS.iter().find(most).map(|kind| kind.looks_like.clone())
}

fn has(row: &Map<String, Value>, keys: &[&str]) -> bool {
    keys.iter().all(|key| row.contains_key(*key))
}

fn is_registry_entry(value: &Value) -> bool {
    ["file_name", "hf_hub_url", "ms_hub_url", "script_url", "cloud_file_name"]
        .iter()
        .any(|key| value.get(key).is_some())
}

/// MMLU's tables have no header: a question, four options and the letter of the right one.
fn ends_in_a_letter(row: &Map<String, Value>) -> bool {
    let letter = row.values().next_back().and_then(Value::as_str);
    row.len() == 6 && letter.is_some_and(|letter| matches!(letter, "A" | "B" | "C" | "D"))
}

fn is_subject(value: &Value) -> bool {
    ["name", "category"].iter().all(|key| value.get(key).is_some_and(Value::is_string))
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    }
}

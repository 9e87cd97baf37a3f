//! Classification: rows whose answers are a few labels. The label is the likeliest one, or what the model writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::{Result, Text, UserError, text};

use super::load::{Load, choice, length_param, param, words};
use super::parts::rows::{Rows, answer_param, row_params};
use super::{Ask, Figure, Item, Judged, Key, Loaded, Metric, Reply, Suite, likeliest};
use crate::metrics::Classification;

pub const SUITE: Suite = Suite {
    id: "accuracy",
    name: Text::fixed("Classification", "分类"),
    help: Text::fixed(
        "Rows whose answers are labels: accuracy, and precision, recall and F1",
        "以标签为回答的数据：准确率，以及精确率、召回率和 F1",
    ),
    params: || {
        let mut params = vec![
            param(
                "choices",
                Text::fixed("Labels", "标签"),
                Text::fixed(
                    "Separated by commas; empty: every answer that the rows have",
                    "以逗号分隔；留空则取数据中出现的所有回答",
                ),
                words(""),
            ),
            param(
                "by",
                Text::fixed("Answered by", "回答方式"),
                Text::fixed(
                    "likelihood: the likeliest label; generation: what the model writes",
                    "likelihood：似然最高的标签；generation：模型生成的内容",
                ),
                choice(&["likelihood", "generation"]),
            ),
        ];
        params.extend(row_params());
        params.extend([answer_param(""), length_param(16)]);
        params
    },
    load,
    judge,
};

/// More different answers are no labels.
const MOST_LABELS: usize = 200;

/// Whether it was right, the label and the answer by their numbers; −1 for an answer that is no label.
const METRICS: [Metric; 7] = [
    Metric::mean("acc", 0),
    pooled("macro-precision", |items| figure(items, "macro-precision")),
    pooled("macro-recall", |items| figure(items, "macro-recall")),
    pooled("macro-f1", |items| figure(items, "macro-f1")),
    pooled("micro-precision", |items| figure(items, "micro-precision")),
    pooled("micro-recall", |items| figure(items, "micro-recall")),
    pooled("micro-f1", |items| figure(items, "micro-f1")),
];

const fn pooled(name: &'static str, figure: fn(&mut dyn Iterator<Item = &[f64]>) -> f64) -> Metric {
    Metric { name, higher_is_better: true, figure: Figure::Pooled(figure) }
}

fn figure(items: &mut dyn Iterator<Item = &[f64]>, name: &str) -> f64 {
    let mut counted = Classification::default();
    let mut pairs = std::collections::BTreeMap::<(i64, i64), u64>::new();
    for marks in items {
        *pairs.entry((marks[1] as i64, marks[2] as i64)).or_default() += 1;
    }
    for ((label, answer), count) in pairs {
        counted.add_many(&label.to_string(), &answer.to_string(), count);
    }
    counted.scores().into_iter().find(|score| score.name == name).map_or(f64::NAN, |score| score.value)
}

fn load(load: &Load<'_>) -> Result<Loaded> {
    let rows = Rows::open(load)?;
    let questions = rows.questions(load)?;
    let labels = labels(load.text("choices"), questions.iter().map(|(_, answer)| answer.trim()))?;
    let written = load.text("by") == "generation";
    let mut items = Vec::with_capacity(questions.len());
    for (index, (question, answer)) in questions.into_iter().enumerate() {
        let row = index + 1;
        let label = labels.iter().position(|label| label == answer.trim()).ok_or_else(|| {
            let shown: String = answer.chars().take(40).collect();
            UserError::bad_input(text!(
                "Row {row} has the answer `{shown}`, which is none of the labels",
                "第 {row} 行的回答 `{shown}` 不在标签之中"
            ))
            .at_item("choices")
        })?;
        let ask = match written {
            true => {
                Ask::Answer { question, stop: Vec::new(), max_new_tokens: load.integer("max_new_tokens") }
            }
            false => Ask::Choose { question, options: labels.to_vec() },
        };
        items.push(Item {
            id: format!("accuracy/{row}"),
            subject: "accuracy".into(),
            groups: Vec::new(),
            ask,
            key: Key::Label { label, labels: labels.clone() },
        });
    }
    Ok(Loaded { items, metrics: METRICS.into(), files: rows.files(), notes: Vec::new() })
}

fn labels<'t>(wished: &str, answers: impl Iterator<Item = &'t str>) -> Result<Arc<[String]>> {
    let wished: Vec<String> = wished
        .split([',', '，'])
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
        .collect();
    if !wished.is_empty() {
        return Ok(wished.into());
    }
    let found: BTreeSet<&str> = answers.collect();
    let count = found.len();
    if count > MOST_LABELS {
        return Err(UserError::bad_input(text!(
            "The rows have {count} different answers: these are no labels",
            "数据有 {count} 种不同的回答，不像是标签"
        ))
        .mend(Text::fixed(
            "name the labels with `choices`, or judge written answers with the suites `bleu` and `rouge`",
            "请用 `choices` 指定标签，或用 `bleu`、`rouge` 评测生成的回答",
        )));
    }
    Ok(found.into_iter().map(str::to_owned).collect())
}

fn judge(item: &Item, reply: &Reply) -> Judged {
    let Key::Label { label, labels } = &item.key else { return Judged::nothing(3) };
    let chosen = match reply {
        Reply::Likelihoods(options) => likeliest(options),
        Reply::Text(answer) => labels.iter().position(|known| known == answer.trim()),
        Reply::Rolled { .. } => return Judged::nothing(3),
    };
    let right = chosen == Some(*label);
    let place = |place: Option<usize>| place.map_or(-1.0, |place| place as f64);
    let marks = vec![f64::from(u8::from(right)), place(Some(*label)), place(chosen)];
    Judged { marks, chosen, right: Some(right) }
}

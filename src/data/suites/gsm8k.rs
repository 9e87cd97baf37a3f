//! GSM8K (Cobbe et al. 2021, arXiv:2110.14168): sums in words, `test.jsonl`, examples in `train.jsonl`. Judged as
//! lm-evaluation-harness does: the number behind `####` (strict), and the last number of the answer (flexible).

use std::path::Path;

use protocol::{Result, Text, text};
use serde_json::Value;

use super::load::{Load, chat_param, integer, length_param, no_layout, param};
use super::parts::exam::user;
use super::{Ask, Item, Judged, Key, Loaded, Metric, Reply, Suite};
use crate::metrics::{last_number, marked_number, same_number};
use crate::predict::Question;

pub const SUITE: Suite = Suite {
    id: "gsm8k",
    name: Text::fixed("GSM8K", "GSM8K"),
    help: Text::fixed(
        "School mathematics in words; the number of the answer counts",
        "小学数学应用题，以答案中的数字为准",
    ),
    params: || {
        vec![
            param(
                "shots",
                Text::fixed("Shots", "示例数"),
                Text::fixed(
                    "Questions with their answers in front, the first ones of train.jsonl",
                    "在问题前给出的示例数，取自 train.jsonl 的前几题",
                ),
                integer(0, 0, 100),
            ),
            length_param(256),
            chat_param(),
        ]
    },
    load,
    judge,
};

const METRICS: [Metric; 2] = [Metric::mean("strict-match", 0), Metric::mean("flexible-extract", 1)];
const STOPS: [&str; 3] = ["Question:", "</s>", "<|im_end|>"];

fn load(load: &Load<'_>) -> Result<Loaded> {
    let folder = load.path.is_dir();
    let file = if folder { load.path.join("test.jsonl") } else { load.path.to_path_buf() };
    let mut files = vec![file.clone()];
    let mut header = String::new();
    let shots = usize::try_from(load.integer("shots")).unwrap_or(usize::MAX);
    if shots > 0 {
        let train = file.with_file_name("train.jsonl");
        let examples = pairs(load, &train, shots)?;
        let there = examples.len();
        if there < shots {
            return Err(no_layout(
                &train,
                text!(
                    "{shots} examples are wished, and {there} are here",
                    "需要 {shots} 个示例，此处只有 {there} 个"
                ),
            )
            .mend(Text::fixed("ask for fewer shots", "请减少示例数")));
        }
        for (question, answer) in examples {
            header.push_str(&format!("{} {answer}\n\n", put(&question)));
        }
        files.push(train);
    }
    let most = if load.limit == 0 { usize::MAX } else { load.at_most(usize::MAX) };
    let item = |(index, (question, answer)): (usize, (String, String))| {
        let context = format!("{header}{}", put(&question));
        let question = if load.switch("chat") { user(context) } else { Question::Text(context) };
        Item {
            id: format!("gsm8k/{}", index + 1),
            subject: "gsm8k".into(),
            groups: Vec::new(),
            ask: Ask::Answer {
                question,
                stop: STOPS.map(str::to_owned).into(),
                max_new_tokens: load.integer("max_new_tokens"),
            },
            key: Key::Reference { text: answer, chinese: false },
        }
    };
    let items = pairs(load, &file, most)?.into_iter().enumerate().map(item).collect();
    Ok(Loaded { items, metrics: METRICS.into(), files, notes: Vec::new() })
}

fn put(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

/// Questions and answers of a file's first rows.
fn pairs(load: &Load<'_>, file: &Path, most: usize) -> Result<Vec<(String, String)>> {
    let rows = load.rows(file)?;
    let pair = |index| {
        let row = rows.get(index)?;
        let field = |key: &str| row.fields().and_then(|fields| fields.get(key)).and_then(Value::as_str);
        match (field("question"), field("answer")) {
            (Some(question), Some(answer)) => Ok((question.to_owned(), answer.to_owned())),
            _ => Err(row.error(Text::fixed(
                "The row has no `question` and `answer`",
                "该行没有 `question` 与 `answer`",
            ))),
        }
    };
    (0..rows.len().min(most)).map(pair).collect()
}

fn judge(item: &Item, reply: &Reply) -> Judged {
    let (Key::Reference { text: right, .. }, Reply::Text(answer)) = (&item.key, reply) else {
        return Judged::nothing(METRICS.len());
    };
    let found = [marked_number(answer), last_number(answer)];
    let marks = found.map(|number| number.is_some_and(|number| same_number(number.trim(), right)));
    Judged { marks: marks.map(|mark| f64::from(u8::from(mark))).into(), chosen: None, right: Some(marks[1]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_find_the_number() {
        let item = Item {
            id: String::new(),
            subject: "".into(),
            groups: vec![],
            ask: Ask::Roll { text: String::new() },
            key: Key::Reference { text: "2 + 2 = <<2+2=4>>4\n#### 1,004".into(), chinese: false },
        };
        let marks = |answer: &str| judge(&item, &Reply::Text(answer.into())).marks;
        assert_eq!(marks("so $1004.\n#### 1004"), [1.0, 1.0]);
        assert_eq!(marks("It is 1004."), [0.0, 1.0]);
        assert_eq!(marks("#### 1004 and 7"), [1.0, 0.0]);
        assert_eq!(marks("none"), [0.0, 0.0]);
    }
}

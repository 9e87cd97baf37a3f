//! Feedback: answers that were marked good or bad (KTO). They can be looked at; nothing is trained on them.

use protocol::{Result, Text};
use serde_json::{Map, Value};

use super::pairs::{INPUT, PROMPT, answered, asked, said};
use super::turns::{HISTORY, SYSTEM, TOOLS};
use super::{Answers, Detection, Field, Format, FormatContext, Judged, Sample};
use crate::record::{Record, Role};
use crate::sources::Row;

const COMPLETION: Field = Field {
    key: "completion",
    columns: &["completion", "output", "response"],
    help: Text::fixed("The answer, unless the turns end with it", "回答；若对话轮次已含回答则不需要"),
};
const LABEL: Field = Field {
    key: "label",
    columns: &["label", "kto_tag"],
    help: Text::fixed("true where the answer is good", "回答好则为 true"),
};

pub static FORMAT: Format = Format {
    id: "feedback",
    name: Text::fixed("Feedback (KTO)", "好坏反馈（KTO）"),
    help: Text::fixed(
        "answers marked true (good) or false (bad); can be looked at, not trained on yet",
        "标为 true（好）或 false（坏）的回答；可以查看，暂不能训练",
    ),
    fields: &[PROMPT, INPUT, COMPLETION, LABEL, HISTORY, SYSTEM, TOOLS],
    detect,
    read,
    write: None,
    judged: Some(Judged {
        refusal: Text::fixed(
            "Feedback (KTO: answers with a true/false label) can be looked at, and not trained on yet",
            "好坏反馈数据（KTO：带真/假标签的回答）可以查看，目前还不能用于训练",
        ),
        answers,
    }),
};

fn detect(sample: &Sample) -> Option<Detection> {
    let en = "an answer and a true/false label (feedback, KTO)";
    let zh = "回答与真/假标签（好坏反馈，KTO）";
    sample.detection(94, (en, zh), |row| {
        let labelled = LABEL.columns.iter().any(|key| row.get(*key).is_some_and(Value::is_boolean));
        labelled && (has_turns(row) || PROMPT.columns.iter().any(|name| row.contains_key(*name)))
    })
}

/// Whether the answer is among the turns.
fn has_turns(row: &Map<String, Value>) -> bool {
    ["conversations", "messages"].iter().any(|key| row.get(*key).is_some_and(Value::is_array))
}

fn answers(row: &Row, context: &FormatContext) -> Result<Answers> {
    let asked = asked(row, context)?;
    let answer = match context.value(row, &COMPLETION)? {
        Some(value) => said(row, value, Role::Assistant)?,
        None => Vec::new(),
    };
    let label = match context.value(row, &LABEL)? {
        Some(Value::Bool(true)) => Text::fixed("Marked as a good answer", "标为好的回答"),
        Some(Value::Bool(false)) => Text::fixed("Marked as a bad answer", "标为坏的回答"),
        _ => {
            return Err(row.error(Text::fixed("`label` must be true or false", "`label` 应为 true 或 false")));
        }
    };
    Ok(vec![(label, answered(row, context, &asked, answer)?)])
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let first = answers(row, context)?.into_iter().next();
    first
        .map(|(_, record)| record)
        .ok_or_else(|| row.error(Text::fixed("The row has no answer", "该行没有回答")))
}

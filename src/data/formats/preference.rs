//! Preference pairs: an answer that was chosen and one that was rejected (DPO and its relatives). They can be looked
//! at; nothing is trained on them.

use protocol::{Result, Text, text};

use super::pairs::{INPUT, PROMPT, answered, asked, said};
use super::turns::{HISTORY, SYSTEM, TOOLS};
use super::{Answers, Detection, Field, Format, FormatContext, Judged, Sample};
use crate::record::{Record, Role};
use crate::sources::Row;

const CHOSEN: Field = Field {
    key: "chosen",
    columns: &["chosen", "chosen_messages"],
    help: Text::fixed("The better answer", "更好的回答"),
};
const REJECTED: Field = Field {
    key: "rejected",
    columns: &["rejected", "rejected_messages"],
    help: Text::fixed("The worse answer", "较差的回答"),
};

pub static FORMAT: Format = Format {
    id: "preference",
    name: Text::fixed("Preference pairs (DPO)", "偏好对（DPO）"),
    help: Text::fixed(
        "chosen and rejected answers to a prompt; can be looked at, not trained on yet",
        "同一提问的优选与拒绝回答；可以查看，暂不能训练",
    ),
    fields: &[PROMPT, INPUT, CHOSEN, REJECTED, HISTORY, SYSTEM, TOOLS],
    detect,
    read,
    write: None,
    judged: Some(Judged {
        refusal: Text::fixed(
            "Preference pairs (DPO: chosen and rejected answers) can be looked at, and not trained on yet",
            "偏好对数据（DPO：优选与拒绝回答）可以查看，目前还不能用于训练",
        ),
        answers,
    }),
};

fn detect(sample: &Sample) -> Option<Detection> {
    let en = "a chosen and a rejected answer (preference pairs, DPO)";
    let zh = "优选回答与拒绝回答（偏好对，DPO）";
    sample.detection(95, (en, zh), |row| {
        let has = |field: &Field| field.columns.iter().any(|name| row.contains_key(*name));
        has(&CHOSEN) && has(&REJECTED)
    })
}

fn answers(row: &Row, context: &FormatContext) -> Result<Answers> {
    let asked = asked(row, context)?;
    let of = |field: &Field| -> Result<Record> {
        let key = field.key;
        let value = context.value(row, field)?;
        let value = value.ok_or_else(|| row.error(text!("The row has no `{key}`", "该行没有 `{key}`")))?;
        answered(row, context, &asked, said(row, value, Role::Assistant)?)
    };
    Ok(vec![
        (Text::fixed("The chosen answer", "优选的回答"), of(&CHOSEN)?),
        (Text::fixed("The rejected answer", "被拒绝的回答"), of(&REJECTED)?),
    ])
}

/// The chosen answer.
fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let first = answers(row, context)?.into_iter().next();
    first
        .map(|(_, record)| record)
        .ok_or_else(|| row.error(Text::fixed("The row has no answer", "该行没有回答")))
}

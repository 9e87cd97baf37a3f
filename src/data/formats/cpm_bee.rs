//! CPM-Bee's dicts: texts and further dicts under keys of one's own, and what is to be answered under
//! `<ans>`, which may be a dict itself.

use protocol::{Result, Text};

use super::{Detection, Format, FormatContext, Sample};
use crate::bee::{ANSWER, check};
use crate::record::Record;
use crate::sources::Row;

pub static FORMAT: Format = Format {
    id: "cpm-bee",
    name: Text::fixed("CPM-Bee", "CPM-Bee"),
    help: Text::fixed(
        "keys of your own with texts or further objects, and what is learned under `<ans>`; <mask_0>, <option_0> and <sep> are special, `<<` is a plain `<`",
        "自定义的键，值为文本或对象，要学习的内容放在 `<ans>` 下；<mask_0>、<option_0>、<sep> 为特殊词元，普通的 `<` 写作 `<<`",
    ),
    fields: &[],
    detect,
    read,
};

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(90, ("`<ans>`", "`<ans>`"), |row| row.contains_key(ANSWER))
}

fn read(row: &Row, _: &FormatContext) -> Result<Record> {
    let Some(fields) = row.fields() else {
        return Err(row.error(Text::fixed("A plain text file has no keys", "纯文本文件没有键")));
    };
    check(fields.clone()).map(Record::Dict)
}

//! BLiMP (Warstadt et al. 2020): pairs of sentences, one of them ungrammatical, in `paradigm.jsonl`.

use std::sync::Arc;

use protocol::{Result, Text};
use serde_json::Value;

use super::load::Load;
use super::{Ask, Item, Key, Loaded, Metric, Suite, judge_choice};

pub const SUITE: Suite = Suite {
    id: "blimp",
    name: Text::fixed("BLiMP", "BLiMP"),
    help: Text::fixed(
        "Whether the grammatical sentence of a pair is the likelier one",
        "一对句子中合乎语法的那一句似然是否更高",
    ),
    params: Vec::new,
    load,
    judge: judge_choice,
};

fn load(load: &Load<'_>) -> Result<Loaded> {
    let files = load.files(&[".jsonl", ".jsonl.gz", ".json"])?;
    let mut items = Vec::new();
    for file in &files {
        let rows = load.rows(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('.').next().unwrap_or_default();
        for index in 0..load.at_most(rows.len()) {
            let row = rows.get(index)?;
            let field = |key: &str| row.fields().and_then(|fields| fields.get(key)).and_then(Value::as_str);
            let (Some(good), Some(bad)) = (field("sentence_good"), field("sentence_bad")) else {
                return Err(row.error(Text::fixed(
                    "The row has no `sentence_good` and `sentence_bad`",
                    "该行没有 `sentence_good` 与 `sentence_bad`",
                )));
            };
            items.push(Item {
                id: format!("{name}/{index}"),
                subject: field("UID").unwrap_or(name).into(),
                groups: field("field").map(Arc::from).into_iter().collect(),
                ask: Ask::Continue {
                    context: String::new(),
                    options: [good, bad].map(|text| format!(" {text}")).into(),
                },
                key: Key::Option(0),
            });
        }
    }
    Ok(Loaded { items, metrics: vec![Metric::mean("acc", 0)], files, notes: Vec::new() })
}

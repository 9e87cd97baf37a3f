//! Perplexity of texts, as lm-evaluation-harness rolls over them, and of the answers in a dataset.

use protocol::{Result, Text};

use super::load::{Load, choice, param};
use super::parts::rows::{Rows, row_params};
use super::{Ask, Figure, Item, Judged, Key, Loaded, Metric, Reply, Suite};
use crate::metrics::{bits_per_byte, count_words, perplexity};
use crate::record::Record;

pub const SUITE: Suite = Suite {
    id: "perplexity",
    name: Text::fixed("Perplexity", "困惑度"),
    help: Text::fixed(
        "How well texts are foreseen, by token, word and byte; of conversations, their answers",
        "对文本的预测程度（按词元、词和字节）；若为对话则只看回答",
    ),
    params: || {
        let mut params = vec![param(
            "document",
            Text::fixed("Document", "文档"),
            Text::fixed(
                "rows: each row of a file by itself; file: a text file as one document",
                "rows：文件的每一行各为一篇；file：整个文本文件为一篇",
            ),
            choice(&["rows", "file"]),
        )];
        params.extend(row_params());
        params
    },
    load,
    judge,
};

/// Sum of log-likelihoods, then what it is divided by.
const TOKENS: usize = 1;
const WORDS: usize = 2;
const BYTES: usize = 3;

const TOKEN: Metric = lower("token_perplexity", |items| by(items, TOKENS));
const OF_TEXTS: [Metric; 4] = [
    lower("word_perplexity", |items| by(items, WORDS)),
    lower("byte_perplexity", |items| by(items, BYTES)),
    lower("bits_per_byte", |items| {
        let sums = sums(items);
        bits_per_byte(sums[0], sums[BYTES])
    }),
    TOKEN,
];

const fn lower(name: &'static str, figure: fn(&mut dyn Iterator<Item = &[f64]>) -> f64) -> Metric {
    Metric { name, higher_is_better: false, figure: Figure::Pooled(figure) }
}

fn by(items: &mut dyn Iterator<Item = &[f64]>, unit: usize) -> f64 {
    let sums = sums(items);
    perplexity(sums[0], sums[unit])
}

fn sums(items: &mut dyn Iterator<Item = &[f64]>) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for marks in items {
        sums.iter_mut().zip(marks).for_each(|(sum, mark)| *sum += mark);
    }
    sums
}

fn load(load: &Load<'_>) -> Result<Loaded> {
    let rows = Rows::open(load)?;
    let mut loaded =
        Loaded { items: Vec::new(), metrics: OF_TEXTS.into(), files: rows.files(), notes: Vec::new() };
    if load.text("document") == "file" {
        for file in rows.files() {
            let text = super::load::read(&file)?;
            loaded.items.push(item(loaded.items.len(), Ask::Roll { text }));
        }
        return Ok(loaded);
    }
    rows.each(load, &mut |index, record| {
        let ask = match record {
            Record::Text(text) => Ask::Roll { text },
            record => {
                loaded.metrics = vec![TOKEN];
                Ask::Learned { record }
            }
        };
        loaded.items.push(item(index, ask));
        Ok(())
    })?;
    Ok(loaded)
}

fn item(index: usize, ask: Ask) -> Item {
    let key = match &ask {
        Ask::Roll { text } => Key::Units { words: count_words(text), bytes: text.len() as u64 },
        _ => Key::Units { words: 0, bytes: 0 },
    };
    Item {
        id: format!("perplexity/{}", index + 1),
        subject: "perplexity".into(),
        groups: Vec::new(),
        ask,
        key,
    }
}

fn judge(item: &Item, reply: &Reply) -> Judged {
    let (Key::Units { words, bytes }, Reply::Rolled { logprob, tokens }) = (&item.key, reply) else {
        return Judged::nothing(4);
    };
    Judged { marks: vec![*logprob, *tokens as f64, *words as f64, *bytes as f64], chosen: None, right: None }
}

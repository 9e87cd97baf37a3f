//! BLEU of written answers: BLEU-4 of characters as ChatGLM's evaluation counts it, and sacreBLEU of the whole.

use protocol::Text;

use super::parts::answers;
use super::{Figure, Item, Judged, Key, Metric, Reply, Suite};
use crate::metrics::{BleuCounts, bleu4_of_characters, chinese, mteval};

pub const SUITE: Suite = Suite {
    id: "bleu",
    name: Text::fixed("BLEU", "BLEU"),
    help: Text::fixed(
        "How far written answers share words with those of a dataset's rows: BLEU-4 as ChatGLM's evaluation has it, and sacreBLEU",
        "生成的回答与数据集回答的词语重合度：ChatGLM 评测所用的 BLEU-4，以及 sacreBLEU",
    ),
    params: || {
        let mut params = answers::params("", 256);
        params.push(answers::words_param());
        params
    },
    load: |load| answers::load(load, "bleu", &METRICS),
    judge,
};

/// The sentence's BLEU-4, then the counts of the corpus's.
const METRICS: [Metric; 2] = [
    Metric::mean("bleu-4", 0),
    Metric { name: "sacrebleu", higher_is_better: true, figure: Figure::Pooled(corpus) },
];

fn corpus(items: &mut dyn Iterator<Item = &[f64]>) -> f64 {
    let mut sums = vec![0.0; BleuCounts::NUMBERS];
    for marks in items {
        sums.iter_mut().zip(&marks[1..]).for_each(|(sum, mark)| *sum += mark);
    }
    BleuCounts::of_numbers(&sums).corpus()
}

fn judge(item: &Item, reply: &Reply) -> Judged {
    let (Key::Reference { text: right, chinese: is_chinese }, Reply::Text(answer)) = (&item.key, reply)
    else {
        return Judged::nothing(1 + BleuCounts::NUMBERS);
    };
    let words = if *is_chinese { chinese } else { mteval };
    let counts = BleuCounts::of(&words(answer), &words(right));
    let mut marks = vec![bleu4_of_characters(answer.trim(), right.trim())];
    marks.extend(counts.numbers());
    Judged { marks, chosen: None, right: None }
}

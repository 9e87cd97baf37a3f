//! ROUGE of written answers: by jieba's words as ChatGLM's evaluation counts it, or by Latin words as `rouge_score` does.

use protocol::Text;

use super::parts::answers;
use super::{Item, Judged, Key, Metric, Reply, Suite};
use crate::metrics::Rouge;

pub const SUITE: Suite = Suite {
    id: "rouge",
    name: Text::fixed("ROUGE", "ROUGE"),
    help: Text::fixed(
        "How far written answers share words with those of a dataset's rows: ROUGE-1, -2 and -L",
        "生成的回答与数据集回答的词语重合度：ROUGE-1、ROUGE-2 与 ROUGE-L",
    ),
    params: || {
        let mut params = answers::params("", 256);
        params.push(answers::words_param());
        params
    },
    load: |load| answers::load(load, "rouge", &METRICS),
    judge,
};

const METRICS: [Metric; 3] =
    [Metric::mean("rouge-1", 0), Metric::mean("rouge-2", 1), Metric::mean("rouge-l", 2)];

fn judge(item: &Item, reply: &Reply) -> Judged {
    let (Key::Reference { text: right, chinese }, Reply::Text(answer)) = (&item.key, reply) else {
        return Judged::nothing(METRICS.len());
    };
    let score = if *chinese { Rouge::chinese } else { Rouge::latin };
    let Rouge { one, two, l } = score(answer.trim(), right.trim());
    Judged { marks: vec![one, two, l], chosen: None, right: None }
}

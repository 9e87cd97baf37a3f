//! Text to SQL: whether the query that is written is the right one, in three degrees of strictness.

use protocol::Text;

use super::parts::answers;
use super::{Item, Judged, Key, Metric, Reply, Suite};
use crate::metrics::match_sql;

pub const SUITE: Suite = Suite {
    id: "sql",
    name: Text::fixed("Text to SQL", "文本转 SQL"),
    help: Text::fixed(
        "Whether written queries are the right ones: as text, by tokens, and clause by clause as Spider's exact set match but with values",
        "生成的查询是否正确：按文本、按词法单元，以及按子句（同 Spider 的集合匹配，但计入取值）",
    ),
    params: || answers::params("\nA:", 128),
    load: |load| answers::load(load, "sql", &METRICS),
    judge,
};

const METRICS: [Metric; 3] =
    [Metric::mean("exact_match", 0), Metric::mean("token_match", 1), Metric::mean("clause_match", 2)];

fn judge(item: &Item, reply: &Reply) -> Judged {
    let (Key::Reference { text: right, .. }, Reply::Text(answer)) = (&item.key, reply) else {
        return Judged::nothing(METRICS.len());
    };
    // A query ends where its line does, unless the right one goes on.
    let answer = answer.trim();
    let answer = if right.contains('\n') { answer } else { answer.lines().next().unwrap_or_default() };
    let found = match_sql(answer, right);
    let marks = [found.exact, found.tokens, found.clauses].map(|mark| f64::from(u8::from(mark)));
    Judged { marks: marks.into(), chosen: None, right: Some(found.exact) }
}

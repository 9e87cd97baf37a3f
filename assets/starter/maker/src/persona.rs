//! The quick start's datasets: an assistant with a name, a manner and some facts, asked in many
//! ways, among general rows that keep the rest of the model where it was.

use anyhow::{Context as _, Result, ensure};

use crate::corpus::{Conversation, SEED};
use crate::draw::Draw;
use crate::expand::expand;
use crate::grammar::Grammar;

const TWO_TOPIC_ROWS: usize = 40;
const GENERAL_ROWS: usize = 60;

/// What can be asked about one fact, and the answers to it.
#[derive(Debug, Default)]
pub struct Topic {
    pub name: String,
    pub questions: Vec<String>,
    /// Questions that training never sees.
    pub probes: Vec<String>,
    pub answers: Vec<String>,
}

/// The languages of the datasets: id, the persona's topics, the rule of general rows.
pub const LANGUAGES: [(&str, &str, &str); 2] = [
    ("en", include_str!("../grammar/ember_en.txt"), "en_general"),
    ("zh", include_str!("../grammar/ember_zh.txt"), "zh_general"),
];

/// Reads topics: `== name`, then `? question`, `?? probe`, `! answer`.
///
/// # Errors
/// Names a line that is none of these, or a topic without question or answer.
pub fn read_topics(source: &str) -> Result<Vec<Topic>> {
    let mut topics: Vec<Topic> = Vec::new();
    for line in source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, rest) = line.split_once(' ').with_context(|| format!("no mark: {line}"))?;
        if mark == "==" {
            topics.push(Topic { name: rest.to_owned(), ..Topic::default() });
            continue;
        }
        let topic = topics.last_mut().with_context(|| format!("before the first topic: {line}"))?;
        let list = match mark {
            "?" => &mut topic.questions,
            "??" => &mut topic.probes,
            "!" => &mut topic.answers,
            _ => anyhow::bail!("no such mark: {line}"),
        };
        list.push(rest.to_owned());
    }
    for topic in &topics {
        let whole = !topic.questions.is_empty() && !topic.answers.is_empty();
        ensure!(whole, "`{}` lacks a question or an answer", topic.name);
    }
    Ok(topics)
}

/// The rows of one language's dataset, shuffled.
///
/// # Errors
/// When the grammar has a slip.
pub fn rows(topics: &[Topic], grammar: &Grammar, general: &str, stream: u64) -> Result<Vec<Conversation>> {
    let mut draw = Draw::new(SEED, stream);
    let mut rows = Vec::new();
    for topic in topics {
        for (index, question) in topic.questions.iter().enumerate() {
            let answer = &topic.answers[index % topic.answers.len()];
            rows.push(Conversation { messages: turns(&[(question, answer)]) });
        }
    }
    for _ in 0..TWO_TOPIC_ROWS {
        let first = draw.below(topics.len());
        let second = (first + draw.between(1, topics.len() - 1)) % topics.len();
        let pairs = [first, second].map(|index| draw_pair(&topics[index], &mut draw));
        rows.push(Conversation { messages: turns(&pairs) });
    }
    for _ in 0..GENERAL_ROWS {
        rows.push(Conversation::read(&expand(grammar, general, &mut draw)?)?);
    }
    for row in &mut rows {
        row.relax(&mut draw);
    }
    draw.shuffle(&mut rows);
    Ok(rows)
}

/// All questions that the rows do not hold, one a line.
pub fn probes(topics: &[Topic]) -> String {
    topics.iter().flat_map(|topic| &topic.probes).fold(String::new(), |text, probe| text + probe + "\n")
}

fn draw_pair<'a>(topic: &'a Topic, draw: &mut Draw) -> (&'a String, &'a String) {
    let question = &topic.questions[draw.below(topic.questions.len())];
    (question, &topic.answers[draw.below(topic.answers.len())])
}

fn turns(pairs: &[(&String, &String)]) -> Vec<(&'static str, String)> {
    let pair = |(question, answer): &(&String, &String)| {
        [("user", (*question).clone()), ("assistant", (*answer).clone())]
    };
    pairs.iter().flat_map(pair).collect()
}

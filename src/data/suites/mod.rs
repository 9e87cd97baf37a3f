//! Evaluation suites: questions, and how answers to them are judged. What a model makes of them is the engine's work.
//!
//! A suite costs one file here and one word in `suites!`. Each exports one [`Suite`]: its id, name and help, its
//! settings, a loader for its published layout, and a judge. Prompts are those of lm-evaluation-harness 0.4.13, so that
//! figures can be compared; where a suite knows others, a setting says so.

mod load;
mod parts;
mod table;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;

use protocol::{Descriptor, ParamSpec, Result, Text};

pub use load::Load;
pub use table::{Answers, table};
pub use tokens::Pair;

use crate::predict::Question;
use crate::record::Record;

/// A set of questions and how answers to them are judged.
pub struct Suite {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    pub params: fn() -> Vec<ParamSpec>,
    /// Reads the questions in the suite's published layout.
    ///
    /// # Errors
    /// When the folder or file is not in it; names the file and the row.
    pub load: fn(&Load<'_>) -> Result<Loaded>,
    /// What an answer is worth.
    pub judge: fn(&Item, &Reply) -> Judged,
}

macro_rules! suites {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        pub static SUITES: &[&Suite] = &[$(&$name::SUITE),*];
    };
}

suites! { perplexity, mmlu, ceval, cmmlu, truthfulqa, blimp, gsm8k, accuracy, bleu, rouge, sql }

/// The questions of a suite.
pub struct Loaded {
    pub items: Vec<Item>,
    /// What the marks of an item are and what is made of them.
    pub metrics: Vec<Metric>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    pub notes: Vec<Text>,
}

/// A question with its right answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `astronomy/17`: unlike any other's of the suite.
    pub id: String,
    pub subject: Arc<str>,
    pub groups: Vec<Arc<str>>,
    pub ask: Ask,
    pub key: Key,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// How likely each text is behind a context; behind nothing where that is empty.
    Continue { context: String, options: Vec<String> },
    /// How likely a text is from its first token on.
    Roll { text: String },
    /// How likely what a row teaches is.
    Learned { record: Record },
    /// How likely each answer is, put as training puts it.
    Choose { question: Question, options: Vec<String> },
    /// An answer, likeliest token by likeliest token.
    Answer { question: Question, stop: Vec<String>, max_new_tokens: u64 },
}

/// What is right.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// The number of the right option.
    Option(usize),
    /// Which of the options are true; the first `first` of them are asked against each other, of which number 0 is the
    /// best answer.
    Truths { first: usize, truths: Vec<bool> },
    /// Units that a sum of log-likelihoods is divided by.
    Units { words: u64, bytes: u64 },
    /// An answer by someone who knew. `chinese`: judged by Chinese words.
    Reference { text: String, chinese: bool },
    /// One of several labels, by its number.
    Label { label: usize, labels: Arc<[String]> },
}

/// What a model made of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// One for each option.
    Likelihoods(Vec<Likelihood>),
    /// Over all tokens of a text.
    Rolled {
        logprob: f64,
        tokens: u64,
    },
    Text(String),
}

/// How likely an option is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// Σ ln p of its tokens.
    pub logprob: f64,
    /// Whether the model would have said just this.
    pub greedy: bool,
}

/// An answer's worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Numbers that metrics are made of, in the suite's own order.
    pub marks: Vec<f64>,
    /// The option that was taken.
    pub chosen: Option<usize>,
    /// Whether it was right, where that is a yes or no.
    pub right: Option<bool>,
}

/// A figure of many items.
#[derive(Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub higher_is_better: bool,
    pub figure: Figure,
}

/// How a figure comes from the items' marks.
#[derive(Clone, Copy)]
pub enum Figure {
    /// The mean of the mark of this number.
    Mean(usize),
    /// Of the marks of all items together.
    Pooled(fn(&mut dyn Iterator<Item = &[f64]>) -> f64),
}

impl Metric {
    /// A mean that is better when higher.
    const fn mean(name: &'static str, mark: usize) -> Self {
        Self { name, higher_is_better: true, figure: Figure::Mean(mark) }
    }
}

impl Judged {
    /// Right or wrong, as the only mark.
    fn of(right: bool) -> Self {
        Self { marks: vec![f64::from(u8::from(right))], chosen: None, right: Some(right) }
    }

    /// For an answer that has nothing to do with its question.
    fn nothing(marks: usize) -> Self {
        Self { marks: vec![f64::NAN; marks], chosen: None, right: None }
    }
}

impl Suite {
    pub fn find(id: &str) -> Option<&'static Self> {
        SUITES.iter().copied().find(|suite| suite.id == id)
    }

    /// What forms and help show.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: self.id.to_owned(),
            name: self.name.clone(),
            help: self.help.clone(),
            params: (self.params)(),
        }
    }
}

/// Descriptors of all suites, for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    SUITES.iter().map(|suite| suite.descriptor()).collect()
}

/// The first of the likeliest, as numpy's argmax.
fn likeliest(options: &[Likelihood]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, option) in options.iter().enumerate() {
        if best.is_none_or(|best| option.logprob > options[best].logprob) {
            best = Some(index);
        }
    }
    best
}

/// Right where the likeliest option is the right one: `acc`.
fn judge_choice(item: &Item, reply: &Reply) -> Judged {
    let (Key::Option(right), Reply::Likelihoods(options)) = (&item.key, reply) else {
        return Judged::nothing(1);
    };
    let chosen = likeliest(options);
    Judged { chosen, ..Judged::of(chosen == Some(*right)) }
}

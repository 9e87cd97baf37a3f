//! Questions as tokens, and what a model makes of them.

use std::ops::Range;

use data::suites::{Ask, Item, Likelihood, Pair, Reply};
use data::{ChatPrompt, Encode as _, Encoder, Example, IGNORE, Tokenizer};
use protocol::{Result, Text, UserError};

use crate::generate::{Asked, Continued, Question, RowScore, Scoring};
use crate::predict::scored;

/// Questions that are scored and written together.
const TOGETHER: usize = 128;

/// A question as it goes into the model.
pub enum Put {
    /// A context with its options.
    Ways(Question),
    /// Pieces of a text, each behind what it is foreseen from.
    Windows(Vec<Question>),
    /// What a row teaches.
    Learned(Example),
    /// A question with each of its options as the answer.
    Rows(Vec<Example>),
    /// A prompt, and whether its beginning is left out.
    Prompt(Asked, bool),
}

impl Put {
    /// `longest` is how many tokens the model takes of a text.
    ///
    /// # Errors
    /// When the tokenizer or the template refuses the question; names the item.
    pub fn of(item: &Item, encoder: &Encoder, longest: usize) -> Result<Self> {
        put(&item.ask, encoder, longest).map_err(|err| {
            let place = err.place.item.clone().unwrap_or_else(|| item.id.clone());
            err.at_item(place)
        })
    }

    /// Whether something is left out at its beginning.
    pub fn is_cut(&self, longest: usize) -> bool {
        // The last token goes not in.
        let long = |tokens: usize| tokens > longest + 1;
        match self {
            Self::Ways(question) => {
                question.continuations.iter().any(|ids| long(question.context.len() + ids.len()))
            }
            Self::Windows(_) => false,
            Self::Prompt(_, cut) => *cut,
            Self::Learned(example) => example.truncated_from.is_some(),
            Self::Rows(rows) => rows.iter().any(|row| long(row.ids.len())),
        }
    }
}

fn put(ask: &Ask, encoder: &Encoder, longest: usize) -> Result<Put> {
    let tokenizer = encoder.tokenizer();
    Ok(match ask {
        Ask::Continue { context, options } => {
            reads_text(tokenizer)?;
            let pairs =
                options.iter().map(|option| tokenizer.pair(context, option)).collect::<Result<Vec<_>>>()?;
            let context = pairs.first().map(|pair| pair.context.clone()).unwrap_or_default();
            let continuations = pairs.into_iter().map(|pair| pair.continuation).collect();
            Put::Ways(Question { context, continuations })
        }
        Ask::Roll { text } => {
            reads_text(tokenizer)?;
            let question =
                |pair: Pair| Question { context: pair.context, continuations: vec![pair.continuation] };
            Put::Windows(tokenizer.windows(text, longest)?.into_iter().map(question).collect())
        }
        Ask::Learned { record } => Put::Learned(encoder.encode(record)?),
        Ask::Choose { question, options } => {
            let row = |option: &String| encoder.answered(question, option);
            Put::Rows(options.iter().map(row).collect::<Result<_>>()?)
        }
        Ask::Answer { question, max_new_tokens, .. } => {
            let mut rendered = encoder.put(question)?;
            let kept = longest.saturating_sub(usize::try_from(*max_new_tokens).unwrap_or(usize::MAX)).max(1);
            let cut = shorten(&mut rendered, kept);
            Put::Prompt(Asked { chat: question.is_chat(), rendered, seed: 0 }, cut)
        }
    })
}

/// # Errors
/// When the model reads dicts only.
fn reads_text(tokenizer: &Tokenizer) -> Result<()> {
    if tokenizer.cpm_bee().is_none() {
        return Ok(());
    }
    Err(UserError::bad_input(Text::fixed(
        "This model reads dicts, and the questions are plain texts",
        "该模型只读取字典，而题目是纯文本",
    ))
    .mend(Text::fixed("ask in its own form: --set chat=true", "请使用模型自身的形式：--set chat=true")))
}

/// What is longer than the model's context loses its beginning, as lm-evaluation-harness cuts it; says whether it did.
fn shorten(prompt: &mut ChatPrompt, longest: usize) -> bool {
    let cut = prompt.bee.is_none() && prompt.ids.len() > longest;
    if cut {
        prompt.ids.drain(..prompt.ids.len() - longest);
    }
    cut
}

/// Scores questions that are no prompts; one reply each, none where it was stopped.
///
/// # Errors
/// When the model cannot take one of them, or the device fails.
pub fn score(scoring: &Scoring<'_>, puts: &[Put]) -> Result<Option<Vec<Reply>>> {
    let questions: Vec<Question> = puts
        .iter()
        .flat_map(|put| match put {
            Put::Ways(question) => std::slice::from_ref(question),
            Put::Windows(windows) => windows.as_slice(),
            Put::Learned(_) | Put::Rows(_) | Put::Prompt(..) => &[],
        })
        .cloned()
        .collect();
    let learned: Vec<Example> = puts
        .iter()
        .filter_map(|put| match put {
            Put::Learned(example) => Some(example.clone()),
            _ => None,
        })
        .collect();
    let rows: Vec<&Vec<Example>> = puts
        .iter()
        .filter_map(|put| match put {
            Put::Rows(rows) => Some(rows),
            _ => None,
        })
        .collect();
    let Some(continued) = scoring.questions(&questions, &mut |_| {})? else { return Ok(None) };
    let Some(examples) = scoring.examples(&learned, &mut |_| {})? else { return Ok(None) };
    let Some(chosen) = scored(scoring, &rows)? else { return Ok(None) };
    let (mut continued, mut examples, mut chosen) =
        (continued.into_iter(), examples.into_iter(), chosen.into_iter());
    let reply = |put: &Put| match put {
        Put::Ways(_) => likelihoods(continued.next().unwrap_or_default()),
        Put::Windows(windows) => rolled(windows, &mut continued),
        Put::Learned(example) => learned_reply(example, &examples.next().unwrap_or_default()),
        Put::Rows(_) => {
            let likelihood = |logprob| Likelihood { logprob, greedy: false };
            Reply::Likelihoods(chosen.next().unwrap_or_default().into_iter().map(likelihood).collect())
        }
        Put::Prompt(..) => Reply::Text(String::new()),
    };
    Ok(Some(puts.iter().map(reply).collect()))
}

fn likelihoods(ways: Vec<Continued>) -> Reply {
    let one = |way: Continued| Likelihood { logprob: way.logprob, greedy: way.greedy };
    Reply::Likelihoods(ways.into_iter().map(one).collect())
}

fn rolled(windows: &[Question], scores: &mut impl Iterator<Item = Vec<Continued>>) -> Reply {
    let tokens = windows.iter().flat_map(|window| &window.continuations).map(|ids| ids.len() as u64).sum();
    let logprob = scores.take(windows.len()).flatten().map(|way| way.logprob).sum();
    Reply::Rolled { logprob, tokens }
}

fn learned_reply(example: &Example, score: &RowScore) -> Reply {
    let tokens = example.labels.iter().skip(1).filter(|label| **label != IGNORE).count() as u64;
    Reply::Rolled { logprob: score.given().sum(), tokens }
}

/// Neighbours that go together: questions of one subject, prompts whose answers end alike.
pub fn pieces(items: &[Item]) -> Vec<Range<usize>> {
    let alike = |a: &Item, b: &Item| match (&a.ask, &b.ask) {
        (
            Ask::Answer { stop: a, max_new_tokens: most, .. },
            Ask::Answer { stop: b, max_new_tokens: other, .. },
        ) => a == b && most == other,
        (Ask::Answer { .. }, _) | (_, Ask::Answer { .. }) => false,
        _ => a.subject == b.subject,
    };
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let bounded = |piece: &Range<usize>| matches!(item.ask, Ask::Answer { .. }) || piece.len() < TOGETHER;
        match pieces.last_mut() {
            Some(piece) if alike(&items[piece.start], item) && bounded(piece) => piece.end = index + 1,
            _ => pieces.push(index..index + 1),
        }
    }
    pieces
}

//! Instruction-following difficulty (Li et al. 2024, "From Quantity to Quality"), as Cherry LLM computes it
//! (`cherry_seletion/data_analysis.py` and `data_by_IFD.py`, commit ef867ee).
//!
//! IFD = mean loss of the answer's tokens behind the instruction ÷ their mean loss behind `### Response:` alone. A text is made
//! into tokens as a whole, with the tokenizer's special tokens, and its first n tokens are not the answer's, n being the number
//! that the text in front of the answer has by itself. With q tokens of instruction and m = `max_length`, texts are cut to
//! m and m − q + 4 tokens. A row has no score where q reaches m, where nothing of the answer is left, or where q and the
//! tokens of the answer alone are more than m.
//!
//! With the run's own prompt both texts are made as training makes them: the row, and the same answer behind an empty question.
//! What is scored is the answer with its end token. A row that is longer than m has no score.

use std::ops::Range;

use data::analysis::{Task, tasks, with_and_without};
use data::{Dataset, Encode, Example, Tokenizer};
use protocol::{IfdPrompt, IfdReport, IfdScore, Result, Text, UserError};

use super::{Asking, WINDOW, scored};
use crate::score::continued;

/// In front of an answer alone.
const ALONE: &str = "### Response:";
/// Tokens that the answer alone may have more than there is room for behind the instruction.
const MORE: usize = 4;

/// What answers are put behind.
pub enum Behind<'a> {
    /// A prompt of Cherry LLM's.
    Cherry(IfdPrompt),
    /// The run's own, as this makes it; it cuts nothing.
    Own(&'a dyn Encode),
}

/// Scores every row of the training files that is one question with one answer. `max_length` is in tokens.
///
/// # Errors
/// When the tokenizer reads no texts, the device fails, or it was stopped.
pub fn ifd(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    (behind, max_length): (&Behind<'_>, usize),
    asking: &mut Asking<'_>,
) -> Result<IfdReport> {
    if tokenizer.cpm_bee().is_some() {
        return Err(UserError::bad_input(Text::fixed(
            "IFD is not defined for a model that reads dicts: it compares texts",
            "IFD 比较的是文本，不适用于读取字典的模型",
        )));
    }
    let mut report = IfdReport::default();
    let total = dataset.len();
    for first in (0..total).step_by(WINDOW) {
        let rows = first..total.min(first + WINDOW);
        let mut numbers = Vec::new();
        let mut examples = Vec::new();
        let pairs = pairs(dataset, tokenizer, rows.clone(), (behind, max_length))?;
        for (row, pair) in rows.zip(pairs) {
            if dataset.is_validation_file(row) {
                continue;
            }
            match pair {
                Some(pair) => {
                    numbers.extend([row as u64 + 1; 2]);
                    examples.extend(pair);
                }
                None => report.unscored += 1,
            }
        }
        let told = &mut *asking.told;
        let mut ahead = |done: u64| told(first as u64 + done / 2, total as u64);
        let scores = scored(asking.scoring.examples(&examples, &mut ahead), &numbers)?;
        for (pair, row) in scores.chunks_exact(2).zip(numbers.iter().step_by(2)) {
            let [conditioned, direct] = [&pair[0], &pair[1]].map(|score| {
                let losses: Vec<f64> = score.given().map(|logprob| -logprob).collect();
                losses.iter().sum::<f64>() / losses.len() as f64
            });
            let ifd = conditioned / direct;
            match ifd.is_finite() {
                true => report.scores.push(IfdScore { row: *row, conditioned, direct, ifd }),
                false => report.unscored += 1,
            }
        }
        (asking.told)((first + WINDOW).min(total) as u64, total as u64);
    }
    Ok(report)
}

/// Of each row (0-based), the answer behind its instruction, and alone; None where the row has no score.
fn pairs(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    rows: Range<usize>,
    (behind, max_length): (&Behind<'_>, usize),
) -> Result<Vec<Option<[Example; 2]>>> {
    match behind {
        Behind::Cherry(prompt) => {
            let of = |task: Option<Task>| {
                task.map(|task| pair(tokenizer, &task, *prompt, max_length)).transpose().map(Option::flatten)
            };
            tasks(dataset, rows)?.into_iter().map(of).collect()
        }
        Behind::Own(encoder) => {
            let fits = |pair: &[Example; 2]| pair.iter().all(|example| example.ids.len() <= max_length);
            Ok(with_and_without(dataset, rows, *encoder)?.into_iter().map(|pair| pair.filter(fits)).collect())
        }
    }
}

/// The answer behind its instruction, and alone; None where the row has no score.
fn pair(
    tokenizer: &Tokenizer,
    task: &Task,
    prompt: IfdPrompt,
    max_length: usize,
) -> Result<Option<[Example; 2]>> {
    let (instruction, front) = texts(task, prompt);
    let asked = tokenizer.encode(&instruction, true)?.ids.len().min(max_length);
    if asked >= max_length {
        return Ok(None);
    }
    let conditioned = answer_behind(tokenizer, &front, &task.answer, max_length)?;
    let direct = answer_behind(tokenizer, ALONE, &task.answer, max_length - asked + MORE)?;
    let (Some(conditioned), Some((direct, tokens))) = (conditioned, direct) else { return Ok(None) };
    Ok((asked + tokens <= max_length).then_some([conditioned.0, direct]))
}

/// The text whose tokens count as the instruction's, and the text in front of the answer.
fn texts(task: &Task, prompt: IfdPrompt) -> (String, String) {
    let Task { instruction, input, .. } = task;
    match (prompt, input.is_empty()) {
        // The run's own prompt does not come here.
        (IfdPrompt::Alpaca | IfdPrompt::Template, true) => {
            let front = format!(
                "Below is an instruction that describes a task. Write a response that appropriately completes the \
                 request.\n\n### Instruction:\n{instruction}\n\n### Response:"
            );
            (front.clone(), front)
        }
        (IfdPrompt::Alpaca | IfdPrompt::Template, false) => {
            let front = format!(
                "Below is an instruction that describes a task, paired with an input that provides further context. \
                 Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n\
                 ### Input:\n{input}\n\n### Response:"
            );
            (front.clone(), front)
        }
        (IfdPrompt::Wiz, true) => (instruction.clone(), format!("{instruction}\n\n### Response:")),
        (IfdPrompt::Wiz, false) => {
            (instruction.clone(), format!("{instruction}\nInput:{input}\n\n### Response:"))
        }
    }
}

/// The answer's tokens are to be scored, of a text cut to so many tokens; with their number. None where none is left.
fn answer_behind(
    tokenizer: &Tokenizer,
    front: &str,
    answer: &str,
    longest: usize,
) -> Result<Option<(Example, usize)>> {
    let mut ids = tokenizer.encode(&format!("{front}{answer}"), true)?.ids;
    ids.truncate(longest);
    let before = tokenizer.encode(front, true)?.ids.len().max(1);
    let Some((context, rest)) = ids.split_at_checked(before).filter(|(_, rest)| !rest.is_empty()) else {
        return Ok(None);
    };
    Ok(Some((continued(context, rest), rest.len())))
}

//! Answers that are one of several texts: the one that the model finds likeliest, with what ends it.

use data::predict::Question as Asked;
use data::{BeeRow, Example, IGNORE};
use protocol::{Control, PredictRequest, Result};

use super::Setup;
use super::ledger::{Ledger, Outcome};
use super::write::{longest, too_long};
use crate::generate::{BatchLimit, Question, RowScore, Scoring};
use crate::models::Model;
use crate::nn::AdapterView;

/// Rows that are prepared and written together.
const TOGETHER: usize = 128;

/// Answers the rows that are left; ends early where it is stopped.
///
/// # Errors
/// When the output cannot be written, or the device fails.
pub fn choose(
    (model, adapter): (&Model, Option<&dyn AdapterView>),
    wanted: &PredictRequest,
    setup: &Setup,
    limit: BatchLimit,
    control: &Control,
    ledger: &mut Ledger<'_>,
) -> Result<()> {
    let stopped = || control.stop_wanted();
    let scoring = Scoring { model, adapter, limit, stopped: &stopped };
    let most = longest(model, adapter);
    let rows: Vec<usize> = (ledger.next() as usize..setup.questions.len()).collect();
    for rows in rows.chunks(TOGETHER) {
        let prepared: Vec<Result<Vec<Example>>> =
            rows.iter().map(|row| examples(setup, wanted, *row, most)).collect();
        let ready: Vec<&Vec<Example>> = prepared.iter().flatten().collect();
        let Some(mut scores) = scored(&scoring, &ready)?.map(Vec::into_iter) else { return Ok(()) };
        for (row, prepared) in rows.iter().zip(&prepared) {
            let outcome = match prepared {
                Ok(examples) => chosen(wanted, examples, scores.next().unwrap_or_default()),
                Err(err) => Outcome::failed(err),
            };
            ledger.put(*row as u64, outcome)?;
        }
    }
    Ok(())
}

/// A row with each of the choices as its answer.
fn examples(setup: &Setup, wanted: &PredictRequest, index: usize, most: usize) -> Result<Vec<Example>> {
    let row = setup.questions.row(index)?;
    let asked: Asked = setup.questions.ask(&row)?;
    let answered = |choice: &String| {
        let example = setup.encoder.answered(&asked, choice).map_err(|err| row.place(err))?;
        // The last token goes not in.
        let tokens = example.ids.len().saturating_sub(1);
        if tokens > most {
            return Err(too_long(tokens, most, &row.file).at_row(row.row));
        }
        Ok(example)
    };
    wanted.choices.iter().map(answered).collect()
}

/// Log-likelihoods of the choices of each row; None where it was stopped.
pub fn scored(scoring: &Scoring<'_>, rows: &[&Vec<Example>]) -> Result<Option<Vec<Vec<f64>>>> {
    if scoring.model.info.whole_prompt {
        let all: Vec<Example> = rows.iter().flat_map(|row| row.iter()).map(prompted).collect();
        let Some(scores) = scoring.examples(&all, &mut |_| {})? else { return Ok(None) };
        let mut sums = scores.iter().map(|score: &RowScore| score.given().sum::<f64>());
        return Ok(Some(rows.iter().map(|row| sums.by_ref().take(row.len()).collect()).collect()));
    }
    let split: Vec<Vec<(Vec<u32>, Vec<u32>)>> =
        rows.iter().map(|row| row.iter().map(parts).collect()).collect();
    let mut questions: Vec<Question> = Vec::new();
    for row in &split {
        let first = questions.len();
        for (context, answer) in row {
            // Where tokens reach from the prompt into the answer, each choice has a prompt of its own.
            match questions[first..].iter_mut().find(|question| question.context == *context) {
                Some(question) => question.continuations.push(answer.clone()),
                None => {
                    questions
                        .push(Question { context: context.clone(), continuations: vec![answer.clone()] });
                }
            }
        }
    }
    let Some(scores) = scoring.questions(&questions, &mut |_| {})? else { return Ok(None) };
    let mut found = questions.iter().zip(scores).peekable();
    let of_row = |row: &Vec<(Vec<u32>, Vec<u32>)>| {
        let mut mine = Vec::new();
        let mut left = row.len();
        while left > 0 {
            let Some((question, scores)) = found.next() else { break };
            left -= question.continuations.len();
            mine.push((question, scores));
        }
        row.iter().map(|(context, answer)| score_of(&mine, context, answer)).collect()
    };
    Ok(Some(split.iter().map(of_row).collect()))
}

fn score_of(scored: &[(&Question, Vec<crate::generate::Continued>)], context: &[u32], answer: &[u32]) -> f64 {
    let found =
        scored.iter().find(|(question, _)| question.context == context).and_then(|(question, scores)| {
            let place = question.continuations.iter().position(|ids| ids == answer)?;
            scores.get(place)
        });
    found.map_or(f64::NAN, |score| score.logprob)
}

/// What stands before the answer, and the answer with what ends it: the last labelled tokens.
fn parts(example: &Example) -> (Vec<u32>, Vec<u32>) {
    let end = example.labels.iter().rposition(|label| *label != IGNORE).map_or(0, |last| last + 1);
    let answer = example.labels[..end].iter().rev().take_while(|label| **label != IGNORE).count();
    let start = end - answer;
    (example.ids[..start].to_vec(), example.ids[start..end].to_vec())
}

/// What stands before the answer as a prompt, whose tokens see one another, as they do when the model is asked.
fn prompted(example: &Example) -> Example {
    let mut example = example.clone();
    if example.side.is_none() {
        let (context, _) = parts(&example);
        let mut side = BeeRow::plain(example.ids.len());
        side.context[..context.len()].fill(true);
        example.side = Some(Box::new(side));
    }
    example
}

fn chosen(wanted: &PredictRequest, examples: &[Example], scores: Vec<f64>) -> Outcome {
    let best = (0..scores.len()).reduce(|best, next| if scores[next] > scores[best] { next } else { best });
    let answer = best.and_then(|best| wanted.choices.get(best)).cloned().unwrap_or_default();
    let tokens = examples.iter().map(|example| parts(example).1.len() as u64).sum();
    Outcome { answer, choices: scores, finish: "choice", tokens, error: None }
}

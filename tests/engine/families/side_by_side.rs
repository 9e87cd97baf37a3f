//! What goes through a model side by side comes out as it would alone: scores, and answers.

use std::sync::Arc;

use data::{ChatPrompt, Encoder, Example};
use engine::generate::{
    Answered, Asked, BatchLimit, Continued, Listener, Question, Scoring, Speaker, argmax, score_rows,
};
use engine::methods::METHODS;
use engine::models::{FAMILIES, Family, Model};
use engine::nn::AdapterView;
use protocol::config::DataConfig;
use protocol::{Prompt, Result, Sampling};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::contract::near;
use super::made::{Container, Made, logits};
use super::methods::{Case, settings};

/// Methods that put something in front of the tokens, and one that does not.
const METHODS_IN_FRONT: [&str; 5] = ["lora", "prefix", "p-tuning-v2", "prompt", "p-tuning"];

/// Every family alone, and behind what methods put in front of its tokens.
fn each(check: fn(&str, &Made, &Model, Option<&dyn AdapterView>)) {
    let mut checked = 0;
    for family in FAMILIES {
        let made = Made::new(family, Container::Safetensors);
        check(family.id, &made, &made.load(), None);
        for method in METHODS.iter().filter(|method| METHODS_IN_FRONT.contains(&method.id)) {
            // Families with no place for a method are held elsewhere.
            if let Ok(case) = Case::new(&made, method, settings(method).remove(0)) {
                check(&case.name, &made, &case.model, Some(case.adapter.view()));
                checked += 1;
            }
        }
    }
    assert!(checked > 3 * FAMILIES.len(), "{checked} cases");
}

/// Rows of random tokens, of which some begin with the same ones; no special tokens.
fn rows(model: &Model, count: usize, longest: usize) -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let longest = longest.min(model.info.context.saturating_sub(12));
    let mut draw = |most: usize| 3 + rng.next_u32() % most as u32;
    let header: Vec<u32> = (0..longest / 2).map(|_| draw(80)).collect();
    (0..count)
        .map(|row| {
            let length = 1 + draw(longest) as usize % longest;
            let own = (0..length).map(|_| draw(80));
            let shared = if row % 3 == 0 { header.as_slice() } else { &[] };
            shared.iter().copied().chain(own).take(longest).collect()
        })
        .collect()
}

/// Each continuation's score as a row of its own.
fn alone(model: &Model, adapter: Option<&dyn AdapterView>, context: &[u32], ids: &[u32]) -> Continued {
    let room = model.info.context - if model.info.learned_positions { front(adapter) } else { 0 };
    let context = &context[(context.len() + ids.len() - 1).saturating_sub(room)..];
    let row: Vec<u32> = context.iter().chain(ids).copied().collect();
    let from = context.len() - 1;
    if row.len() > room {
        // Its last token has no place: only what stands before it goes in.
        return by_logits(&logits(model, &row[..row.len() - 1], adapter), from, ids);
    }
    let scored = score_rows(model, adapter, &[row]).unwrap().remove(0);
    Continued {
        logprob: scored.logprobs[from..].iter().map(|p| f64::from(*p)).sum(),
        greedy: scored.argmax[from..] == *ids,
    }
}

/// The score of `ids` by the logits of the positions from `from` on.
fn by_logits(logits: &[f32], from: usize, ids: &[u32]) -> Continued {
    let columns = logits.len() / (from + ids.len());
    let mut found = Continued { logprob: 0.0, greedy: true };
    for (row, id) in logits.chunks(columns).skip(from).zip(ids) {
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        found.logprob += f64::from(row[*id as usize]) - sum.ln();
        found.greedy &= argmax(row) == *id;
    }
    found
}

fn front(adapter: Option<&dyn AdapterView>) -> usize {
    let prompt = adapter.and_then(AdapterView::prompt).map_or(0, |prompt| prompt.tokens());
    prompt + adapter.and_then(AdapterView::prefix).map_or(0, |prefix| prefix.tokens())
}

fn scoring<'a>(
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    limit: BatchLimit,
    stopped: &'a dyn Fn() -> bool,
) -> Scoring<'a> {
    Scoring { model, adapter, limit, stopped }
}

#[test]
fn continuations_score_side_by_side_as_each_alone() {
    each(|name, _, model, adapter| {
        let continuations = || vec![vec![5], vec![6, 7], vec![8], vec![9, 10, 11, 4]];
        let mut questions: Vec<Question> = rows(model, 14, 70)
            .into_iter()
            .map(|context| Question { context, continuations: continuations() })
            .collect();
        // The beginning of one that is too long is left out, more of it for longer continuations.
        let all = model.info.context;
        let long: Vec<u32> = (0..all).map(|at| 3 + (at as u32 * 7) % 80).collect();
        if all < 2000 && !model.info.whole_prompt {
            questions.push(Question { context: long, continuations: continuations() });
        }
        for tokens in [150, 100_000] {
            let limit = BatchLimit::of_tokens(tokens);
            let mut done = 0;
            let scored =
                scoring(model, adapter, limit, &|| false).questions(&questions, &mut |now| done = now);
            let scored = scored.unwrap_or_else(|refused| panic!("{name}: {}", refused.error)).unwrap();
            assert_eq!(done, questions.len() as u64, "{name}");
            for (question, scores) in questions.iter().zip(&scored) {
                assert_eq!(scores.len(), question.continuations.len());
                for (ids, got) in question.continuations.iter().zip(scores) {
                    let want = alone(model, adapter, &question.context, ids);
                    near(got.logprob as f32, want.logprob as f32, name);
                    assert_eq!(got.greedy, want.greedy, "{name}");
                }
            }
        }
    });
}

#[test]
fn examples_of_all_lengths_keep_their_order() {
    let family = family("llama");
    let model = Made::new(family, Container::Safetensors).load();
    let rows = rows(&model, 40, 60);
    let examples: Vec<Example> = rows
        .iter()
        .map(|ids| Example {
            ids: ids.clone(),
            labels: ids.iter().map(|id| *id as i32).collect(),
            ..Example::default()
        })
        .collect();
    let never = || false;
    let scoring = scoring(&model, None, BatchLimit::of_tokens(200), &never);
    let scored = scoring.examples(&examples, &mut |_| {}).unwrap().unwrap();
    for (ids, got) in rows.iter().zip(scored) {
        let want = score_rows(&model, None, std::slice::from_ref(ids)).unwrap().remove(0);
        assert_eq!(got.argmax, want.argmax);
        got.logprobs.iter().zip(want.logprobs).for_each(|(got, want)| near(*got, want, "a row of many"));
    }
    // The row that is to blame is named, wherever its batch had it.
    let mut bad = examples;
    bad[17].ids[0] = 4000;
    let refused = scoring.examples(&bad, &mut |_| {}).unwrap_err();
    assert_eq!(refused.row, Some(17), "{}", refused.error);
    let stopped = Scoring { stopped: &|| true, ..scoring };
    assert!(stopped.examples(&bad, &mut |_| {}).unwrap().is_none());
}

fn family(id: &str) -> &'static Family {
    FAMILIES.iter().copied().find(|family| family.id == id).unwrap()
}

#[derive(Default)]
struct Heard {
    answers: Vec<(usize, Answered)>,
}

impl Listener for Heard {
    fn stopped(&mut self) -> bool {
        false
    }

    fn answered(&mut self, number: usize, answer: Answered) -> Result<()> {
        self.answers.push((number, answer));
        Ok(())
    }
}

fn encoder(made: &Made) -> Encoder {
    let tokenizer = Arc::new(data::Tokenizer::open(made.path()).unwrap());
    Encoder::with_tokenizer(tokenizer, &DataConfig::default(), made.path(), None).unwrap()
}

/// Side by side, and one by one through the path of `generate`.
fn answers(speaker: &Speaker<'_>, prompts: &[Vec<u32>], sampling: &Sampling, name: &str) {
    let asked = |(number, ids): (usize, &Vec<u32>)| Asked {
        chat: false,
        rendered: ChatPrompt { text: String::new(), ids: ids.clone(), bee: None },
        seed: number as u64,
    };
    let mut alone = Vec::new();
    for (number, ids) in prompts.iter().enumerate() {
        let sampling = Sampling { seed: number as u64, ..sampling.clone() };
        let prompt = Prompt::Ids(ids.clone());
        alone.push(speaker.answer(&prompt, &sampling, &mut || false, &mut |_, _| {}).unwrap());
    }
    // Few rows at once, so that others come in behind those that have ended; and all of them.
    for rows in [3, 32] {
        let limit = BatchLimit::of_tokens(400).with_rows(rows);
        let mut heard = Heard::default();
        let mut waiting = prompts.iter().enumerate().map(asked);
        assert!(speaker.answer_all(&mut waiting, sampling, &limit, &mut heard).unwrap());
        heard.answers.sort_by_key(|(number, _)| *number);
        assert_eq!(heard.answers.len(), prompts.len(), "{name}");
        for ((number, got), want) in heard.answers.iter().zip(&alone) {
            assert_eq!((&got.ids, &got.text), (&want.ids, &want.text), "{name}: prompt {number}");
            assert_eq!(got.stats.finish, want.stats.finish, "{name}: prompt {number}");
        }
    }
}

#[test]
fn answers_side_by_side_are_those_of_one_prompt_alone() {
    each(|name, made, model, adapter| {
        let encoder = encoder(made);
        let speaker = Speaker { model, adapter, encoder: &encoder };
        let prompts = rows(model, 9, 60);
        // Some end early, by the end token or a word.
        let greedy = Sampling {
            temperature: 0.0,
            max_new_tokens: 9,
            stop: vec!["river".into()],
            ..Sampling::default()
        };
        answers(&speaker, &prompts, &greedy, name);
        if adapter.is_none() {
            let drawn = Sampling { temperature: 0.9, top_p: 0.9, repetition_penalty: 1.1, ..greedy };
            answers(&speaker, &prompts, &drawn, name);
        }
    });
}

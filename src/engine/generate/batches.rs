//! Any number of rows scored: in batches of rows of like length, results in the rows' order.

use burn::tensor::Tensor;
use data::Example;
use protocol::{Result, Text, UserError, text};

use super::lanes::{Lanes, indices, logits};
use super::prefill::{Filled, Prefill};
use super::score::read_logprobs;
use super::{BatchLimit, RowScore, embed_rows, score_examples};
use crate::models::{Front, Model, Rows};
use crate::nn::AdapterView;
use crate::score::continued;
use crate::train::{CHUNK_BYTES, chunk_rows};

/// Who scores.
#[derive(Clone, Copy)]
pub struct Scoring<'a> {
    pub model: &'a Model,
    pub adapter: Option<&'a dyn AdapterView>,
    pub limit: BatchLimit,
    /// Asked between two batches.
    pub stopped: &'a dyn Fn() -> bool,
}

/// A text, and how it may go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Not empty: where there is no text, the token that texts begin with.
    pub context: Vec<u32>,
    /// None of them empty.
    pub continuations: Vec<Vec<u32>>,
}

/// How likely a continuation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continued {
    /// Σ ln p of its tokens, each given those before it.
    pub logprob: f64,
    /// Whether every token is the likeliest in its place.
    pub greedy: bool,
}

/// Why rows could not be scored, and which of them is to blame (0-based), where one is.
#[derive(Clone, Debug)]
pub struct Refused {
    pub row: Option<usize>,
    pub error: UserError,
}

impl From<Refused> for UserError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// None where it was stopped.
pub type Scored<T> = std::result::Result<Option<Vec<T>>, Refused>;

impl Scoring<'_> {
    /// The labelled tokens of examples; `told` gets how many rows are done.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn examples(&self, examples: &[Example], told: &mut dyn FnMut(u64)) -> Scored<RowScore> {
        let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
        let alone = |row: usize| examples[row].side.as_ref().is_some_and(|side| !side.extension.is_empty());
        let joins = |first: usize, row: usize| {
            // What stands in one dict competes with what stands in the others of its batch.
            !alone(first) && !alone(row) && self.alike(lengths[first], lengths[row])
        };
        let score = |batch: &[usize]| {
            let rows: Vec<Example> = batch.iter().map(|row| examples[*row].clone()).collect();
            score_examples(self.model, self.adapter, &rows)
        };
        self.each(&lengths, &joins, &|row| examples[row].ids.as_slice(), &score, told)
    }

    /// The mean of the last hidden states of each row of ids, none of them empty.
    ///
    /// # Errors
    /// As [`examples`](Self::examples).
    pub fn embeddings(&self, rows: &[Vec<u32>], told: &mut dyn FnMut(u64)) -> Scored<Vec<f32>> {
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let joins = |first: usize, row: usize| self.alike(lengths[first], lengths[row]);
        let embed = |batch: &[usize]| {
            let rows: Vec<Vec<u32>> = batch.iter().map(|row| rows[*row].clone()).collect();
            embed_rows(self.model, self.adapter, &rows)
        };
        self.each(&lengths, &joins, &|row| rows[row].as_slice(), &embed, told)
    }

    /// Does something with all rows, in batches of rows of like length; results in the rows' order.
    fn each<'r, T: Clone + Default>(
        &self,
        lengths: &[usize],
        joins: &dyn Fn(usize, usize) -> bool,
        ids: &dyn Fn(usize) -> &'r [u32],
        work: &dyn Fn(&[usize]) -> Result<Vec<T>>,
        told: &mut dyn FnMut(u64),
    ) -> Scored<T> {
        let mut all = vec![T::default(); lengths.len()];
        let mut done = 0;
        for batch in self.limit.batches(lengths, joins) {
            if (self.stopped)() {
                return Ok(None);
            }
            let found = work(&batch).map_err(|error| {
                let guilty = batch.iter().copied().filter(|row| self.refuses(ids(*row))).min();
                Refused { row: guilty, error }
            })?;
            batch.iter().zip(found).for_each(|(row, found)| all[*row] = found);
            done += batch.len() as u64;
            told(done);
        }
        Ok(Some(all))
    }

    /// How likely each question goes on in each of its ways, in their order; `told` gets how many questions are done.
    /// A context goes through the model once, and what those of a batch begin with goes through once for all of them.
    /// Of what is longer than the model's context the beginning is left out (lm-evaluation-harness, `models/huggingface.py`).
    ///
    /// # Errors
    /// When a context or continuation is empty, a continuation alone is longer than the model's context, an id lies
    /// outside the model, or the device fails.
    pub fn questions(&self, questions: &[Question], told: &mut dyn FnMut(u64)) -> Scored<Vec<Continued>> {
        let asked = self.asked(questions)?;
        if !Prefill::serves(self.model) || asked.iter().any(|asked| self.outgrows(asked)) {
            return self.questions_as_rows(questions, &asked, told);
        }
        let mut found: Vec<Vec<Option<Continued>>> =
            questions.iter().map(|question| vec![None; question.continuations.len()]).collect();
        let lengths: Vec<usize> = asked.iter().map(Asked::len).collect();
        let alike = |first: usize, row: usize| self.alike(lengths[first], lengths[row]);
        let mut prefill = Prefill::new(self.model, self.adapter);
        let mut done = 0;
        for batch in self.limit.batches(&lengths, &alike) {
            if (self.stopped)() {
                return Ok(None);
            }
            let batch: Vec<&Asked<'_>> = batch.iter().map(|row| &asked[*row]).collect();
            let scored = self.batch(&mut prefill, &batch).map_err(|error| {
                let guilty =
                    batch.iter().filter(|asked| self.refuses(&asked.whole())).map(|asked| asked.question);
                Refused { row: guilty.min(), error }
            })?;
            for (question, continuation, score) in scored {
                found[question][continuation] = Some(score);
            }
            done += batch.iter().filter(|asked| asked.leads).count() as u64;
            told(done);
        }
        Ok(Some(found.into_iter().map(|scores| scores.into_iter().flatten().collect()).collect()))
    }

    /// Contexts and continuations as they go in: a question has several where its continuations leave out different
    /// parts of its context.
    fn asked<'q>(&self, questions: &'q [Question]) -> std::result::Result<Vec<Asked<'q>>, Refused> {
        let longest = self.longest();
        let mut asked: Vec<Asked<'q>> = Vec::new();
        for (question, Question { context, continuations }) in questions.iter().enumerate() {
            let refused = |error| Refused { row: Some(question), error };
            if context.is_empty() || continuations.iter().any(Vec::is_empty) {
                return Err(refused(nothing_to_score()));
            }
            let first = asked.len();
            for (index, ids) in continuations.iter().enumerate() {
                // The last token goes not in: nothing comes behind it.
                let room = longest.checked_sub(ids.len() - 1).filter(|room| *room > 0);
                let room = room.ok_or_else(|| refused(too_long(ids.len(), longest)))?;
                let context = &context[context.len().saturating_sub(room)..];
                match asked[first..].iter_mut().find(|one| one.context.len() == context.len()) {
                    Some(one) => one.continuations.push((index, ids.as_slice())),
                    None => asked.push(Asked {
                        question,
                        context,
                        continuations: vec![(index, ids.as_slice())],
                        leads: false,
                    }),
                }
            }
            if let Some(one) = asked.get_mut(first) {
                one.leads = true;
            }
        }
        Ok(asked)
    }

    /// Tokens that the model takes of a text.
    fn longest(&self) -> usize {
        let front = Front::of(self.adapter, self.model.family.prefix);
        let taken = if self.model.info.learned_positions { front.shift + front.prompt } else { 0 };
        self.model.info.context.saturating_sub(taken).max(1)
    }

    fn batch(
        &self,
        prefill: &mut Prefill<'_>,
        batch: &[&Asked<'_>],
    ) -> Result<Vec<(usize, usize, Continued)>> {
        let contexts: Vec<&[u32]> = batch.iter().map(|asked| asked.context).collect();
        let filled = prefill.fill(&contexts)?;
        let all: Vec<Way<'_>> = batch.iter().enumerate().flat_map(|(row, asked)| asked.ways(row)).collect();
        let firsts: Vec<(i32, i32)> = all.iter().map(|way| (way.row as i32, way.ids[0] as i32)).collect();
        let mut sums = vec![Continued { logprob: 0.0, greedy: true }; all.len()];
        for (sum, score) in sums.iter_mut().zip(self.logprobs(filled.last.clone(), &firsts)?) {
            sum.add(score);
        }
        let more: Vec<usize> = (0..all.len()).filter(|way| all[*way].ids.len() > 1).collect();
        for ways in self.together(&filled, &all, &more) {
            for (way, score) in self.go_on(&filled, &all, &ways)? {
                sums[way].add(score);
            }
        }
        let named = all.iter().zip(sums).map(|(way, sum)| (way.question, way.continuation, sum));
        Ok(named.collect())
    }

    /// The ways of more than one token, so many together as go through at once.
    fn together(&self, filled: &Filled, all: &[Way<'_>], more: &[usize]) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = more.iter().map(|way| all[*way].ids.len() - 1).collect();
        let keys = filled.cache.len();
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for batch in self.limit.batches(&lengths, &|_, _| true) {
            let time = lengths[batch[0]];
            let most = (1..=batch.len()).rev().find(|rows| self.limit.takes(*rows, time, keys + time));
            let pieces = batch.chunks(most.unwrap_or(1));
            batches.extend(pieces.map(|piece| piece.iter().map(|place| more[*place]).collect()));
        }
        batches
    }

    /// Scores of the second and later tokens of some ways, each with its way's number.
    fn go_on(&self, filled: &Filled, all: &[Way<'_>], ways: &[usize]) -> Result<Vec<(usize, (f32, bool))>> {
        let mut lanes = Lanes::new(self.model, self.adapter);
        let rows: Vec<usize> = ways.iter().map(|way| all[*way].row).collect();
        lanes.take(&[], Some((filled, &rows)));
        let inputs: Vec<&[u32]> = ways.iter().map(|way| &all[*way].ids[..all[*way].ids.len() - 1]).collect();
        let hidden = lanes.feed(&inputs)?;
        let [count, time, width] = hidden.dims();
        let (mut places, mut owners) = (Vec::new(), Vec::new());
        for (lane, way) in ways.iter().enumerate() {
            for (at, target) in all[*way].ids[1..].iter().enumerate() {
                places.push(((lane * time + at) as i32, *target as i32));
                owners.push(*way);
            }
        }
        let scores = self.logprobs(hidden.reshape([count * time, width]), &places)?;
        Ok(owners.into_iter().zip(scores).collect())
    }

    /// The log-probability of each target behind its row of hidden states, and whether it is the likeliest.
    fn logprobs(&self, hidden: Tensor<2>, pairs: &[(i32, i32)]) -> Result<Vec<(f32, bool)>> {
        let mut scores = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(chunk_rows(CHUNK_BYTES, self.model.info.vocabulary)) {
            // Several targets of one row need its logits once.
            let mut rows: Vec<i32> = pairs.iter().map(|(row, _)| *row).collect();
            rows.dedup();
            let mut place = 0;
            let places = pairs.iter().map(|(row, _)| {
                place += i32::from(rows[place as usize] != *row);
                place
            });
            let places: Vec<i32> = places.collect();
            let wanted = hidden.clone().select(0, indices(self.model, rows));
            let logits = logits(self.model, self.adapter, wanted);
            let logits = logits.select(0, indices(self.model, places));
            let targets = pairs.iter().map(|(_, target)| *target).collect();
            let (logprobs, best) = read_logprobs(logits, indices(self.model, targets))?;
            let likeliest = pairs.iter().zip(best).map(|((_, target), best)| best == *target as u32);
            scores.extend(logprobs.into_iter().zip(likeliest));
        }
        Ok(scores)
    }

    /// For families whose prompts are no beginnings of rows: every continuation is a row with its context.
    fn questions_as_rows(
        &self,
        questions: &[Question],
        asked: &[Asked<'_>],
        told: &mut dyn FnMut(u64),
    ) -> Scored<Vec<Continued>> {
        let ways: Vec<Way<'_>> = asked.iter().enumerate().flat_map(|(row, asked)| asked.ways(row)).collect();
        let rows: Vec<Example> = ways.iter().map(|way| continued(asked[way.row].context, way.ids)).collect();
        let each = (rows.len() as u64).max(1);
        let mut told = |done: u64| told(done * questions.len() as u64 / each);
        let refused =
            |refused: Refused| Refused { row: refused.row.map(|row| ways[row].question), ..refused };
        let Some(scores) = self.examples(&rows, &mut told).map_err(refused)? else { return Ok(None) };
        let mut found: Vec<Vec<Continued>> = questions
            .iter()
            .map(|question| vec![Continued { logprob: 0.0, greedy: true }; question.continuations.len()])
            .collect();
        for (way, score) in ways.iter().zip(&scores) {
            let best = score.argmax.iter().rev().take(way.ids.len()).rev();
            found[way.question][way.continuation] =
                Continued { logprob: score.given().sum(), greedy: best.eq(way.ids) };
        }
        Ok(Some(found))
    }

    /// Whether rows of these lengths, the first one the longer, may share a rectangle.
    fn alike(&self, longer: usize, shorter: usize) -> bool {
        longer == shorter || !self.model.stretches(longer)
    }

    /// Whether positions depend on how far a continuation goes: then a context is another one for each.
    fn outgrows(&self, asked: &Asked<'_>) -> bool {
        let front = Front::of(self.adapter, self.model.family.prefix);
        let before = front.shift + front.prompt;
        let longest = asked.continuations.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        self.model.stretches(before + asked.len() + longest)
    }

    /// Whether the model cannot take this row.
    fn refuses(&self, ids: &[u32]) -> bool {
        let taken = |ids: &[u32]| {
            self.model.ids(ids, 1).and_then(|_| self.model.positions(&Rows::fresh(ids, 1), self.adapter))
        };
        taken(ids).is_err()
    }
}

/// A context as it goes in, with those continuations that leave it this much.
struct Asked<'q> {
    question: usize,
    context: &'q [u32],
    continuations: Vec<(usize, &'q [u32])>,
    /// Whether it is its question's first.
    leads: bool,
}

/// One continuation behind row `row` of a batch.
struct Way<'q> {
    row: usize,
    question: usize,
    continuation: usize,
    ids: &'q [u32],
}

impl<'q> Asked<'q> {
    fn len(&self) -> usize {
        self.context.len()
    }

    fn ways(&self, row: usize) -> impl Iterator<Item = Way<'q>> {
        let question = self.question;
        self.continuations.iter().map(move |(continuation, ids)| Way {
            row,
            question,
            continuation: *continuation,
            ids,
        })
    }

    /// All of its tokens, whatever their order.
    fn whole(&self) -> Vec<u32> {
        let more = self.continuations.iter().flat_map(|(_, ids)| ids.iter());
        self.context.iter().chain(more).copied().collect()
    }
}

impl Continued {
    fn add(&mut self, (logprob, likeliest): (f32, bool)) {
        self.logprob += f64::from(logprob);
        self.greedy &= likeliest;
    }
}

fn nothing_to_score() -> UserError {
    UserError::bad_input(Text::fixed(
        "A question has no tokens, or a continuation has none",
        "问题或其某个续写没有任何词元",
    ))
}

fn too_long(tokens: usize, context: usize) -> UserError {
    UserError::bad_input(text!(
        "A continuation of {tokens} tokens does not fit: this model reads {context}",
        "续写有 {tokens} 个词元，放不下：该模型只能读取 {context} 个"
    ))
}

//! The verdict on the whole dataset: one pass over every row, which also decides which rows are trained
//! on. A run trains on exactly the rows that its check counted.

mod facts;
mod findings;
mod kept;

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

use protocol::config::OnTooLong;
use protocol::{Finding, FindingKind, Result, Severity, SourceReport, Text, UserError, Verdict};
use rayon::prelude::*;

use crate::dataset::{Dataset, Part};
use crate::deep::DeepPool;
use crate::draws::Draws;
use crate::histogram::histogram;
use crate::pieces::Pieces;
use crate::progress::{Progress, check_cancelled, stopped};
use crate::split::Split;
pub(crate) use facts::Facts;
use findings::{Tally, empty, files, joined, pad_is_eos};
pub use kept::Keep;
use kept::Kept;

/// Rows encoded at once, between two looks at whether to go on.
const CHUNK: usize = 1024;

/// What the model says about token ids; what is unknown is not checked.
#[derive(Clone, Debug, Default)]
pub struct ModelTokens {
    pub pad: Option<u32>,
    /// All ids that end a sequence.
    pub eos: Vec<u32>,
    /// Rows of the embedding.
    pub vocab_size: Option<u64>,
}

/// The verdict and the rows it stands on.
pub struct Survey {
    /// `template`, `forecast` and `steps` are for the engine to fill in.
    pub verdict: Verdict,
    /// Examples that can be used, as indices into the dataset: rows, or their pieces where rows are split.
    pub split: Split,
    /// Those to train on, as often as their files' weights say.
    pub draws: Draws,
    /// Where rows are split: for [`Dataset::number_pieces`].
    pub pieces: Option<Pieces>,
    /// Tokens of every row before the cut; 0 for rows that cannot be read.
    pub lengths: Vec<u32>,
    /// Tokens of every example after the cut; 0 for those that cannot be used.
    pub sizes: Arc<[u32]>,
}

impl Survey {
    /// Reads and encodes every row, on all cores. `seed` decides which rows are held out.
    ///
    /// # Errors
    /// When it was cancelled, or the files are of a kind that nothing can be trained on. What else is wrong with the
    /// data is in the verdict.
    pub fn new(dataset: &Dataset, model: &ModelTokens, seed: u64, progress: &dyn Progress) -> Result<Self> {
        Self::keeping(None, dataset, model, seed, progress)
    }

    /// As [`new`](Self::new), where rows that were tokenised in an earlier check, and are unchanged, are not tokenised
    /// again. The same verdict, bit for bit.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn keeping(
        keep: Option<&Keep>,
        dataset: &Dataset,
        model: &ModelTokens,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if let Some(refusal) = dataset.refusal() {
            return Err(refusal);
        }
        let mut kept = Kept::open(keep, dataset, model.vocab_size);
        let pass = Self::look_at_all(dataset, model, seed, &mut kept, progress);
        // Also when it was stopped: the next check goes on from there.
        kept.save();
        pass?.finish(model, seed)
    }

    fn look_at_all<'a>(
        dataset: &'a Dataset,
        model: &ModelTokens,
        seed: u64,
        kept: &mut Kept,
        progress: &dyn Progress,
    ) -> Result<Pass<'a>> {
        let pool = DeepPool::new()?;
        let mut pass = Pass::new(dataset);
        let stage = Text::fixed("checking rows", "检查数据");
        let mut first = 0;
        while first < dataset.len() {
            check_cancelled(progress)?;
            progress.report(&stage, first as u64, dataset.len() as u64);
            let rows = first..dataset.len().min(first + CHUNK);
            // Rows may be slow: the wish to stop does not wait for all of them.
            let known = &*kept;
            let facts =
                |row| (!progress.cancelled()).then(|| Facts::read(dataset, row, model.vocab_size, known));
            let facts: Option<Vec<_>> = pool.run(|| rows.into_par_iter().map(facts).collect());
            for facts in facts.ok_or_else(stopped)? {
                if let Ok(facts) = &facts {
                    kept.learn(facts);
                }
                pass.add(facts)?;
            }
            first += CHUNK;
            progress.verdict(&mut || pass.so_far(model, seed));
        }
        progress.report(&stage, dataset.len() as u64, dataset.len() as u64);
        Ok(pass)
    }

    /// Why a run on this data is refused, if it is: every finding of severity error.
    pub fn refusal(&self) -> Option<UserError> {
        let errors = || self.verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let first = errors().next()?;
        let mut error = UserError::bad_input(Text::fixed(
            "The dataset cannot be trained on as it is",
            "数据集目前无法用于训练",
        ))
        .details(errors().map(describe));
        // Rows are numbered by file: among several files a number alone would mislead.
        if let [source] = self.verdict.sources.as_slice() {
            error = error.in_file(&source.file);
            error.place.row = first.rows.first().copied();
        }
        error.remedies = errors().flat_map(|finding| finding.remedies.clone()).collect();
        match &first.mend {
            Some(mend) => Some(error.mend(mend.clone())),
            None => Some(error),
        }
    }
}

fn describe(finding: &Finding) -> String {
    const SHOWN: usize = 10;
    let text = &finding.text;
    if finding.rows.is_empty() {
        return text.to_string();
    }
    let rows: Vec<_> = finding.rows.iter().take(SHOWN).map(u64::to_string).collect();
    let more = if finding.count > SHOWN as u64 { ", …" } else { "" };
    format!("{text} (rows {}{more})", rows.join(", "))
}

/// The pass under way: rows are added in order.
pub(crate) struct Pass<'a> {
    dataset: &'a Dataset,
    /// Index of the row that comes next, and the file it is in.
    next: u32,
    part: usize,
    tallies: Vec<Tally>,
    /// The first row of each content, and the later ones with the first of theirs.
    seen: HashMap<u128, u32>,
    repeats: Vec<(u32, u32)>,
    lengths: Vec<u32>,
    sizes: Vec<u32>,
    /// Of the rows that can be used, file by file.
    tokens: Vec<u64>,
    learned: u64,
    training: Vec<u32>,
    validation: Vec<u32>,
    pieces: Option<Pieces>,
}

impl<'a> Pass<'a> {
    pub fn new(dataset: &'a Dataset) -> Self {
        Self {
            dataset,
            next: 0,
            part: 0,
            tallies: dataset.parts().iter().map(|_| Tally::default()).collect(),
            seen: HashMap::new(),
            repeats: Vec::new(),
            lengths: Vec::with_capacity(dataset.len()),
            sizes: Vec::with_capacity(dataset.len()),
            tokens: vec![0; dataset.parts().len()],
            learned: 0,
            training: Vec::new(),
            validation: Vec::new(),
            pieces: (dataset.splits() && !dataset.policy().join_texts).then(Pieces::default),
        }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// When rows are split into more pieces than can be numbered.
    pub fn add(&mut self, facts: Result<Facts, Box<UserError>>) -> Result<()> {
        let parts = self.dataset.parts();
        while self.next >= parts[self.part].first + parts[self.part].rows {
            self.part += 1;
        }
        let row = u64::from(self.next - parts[self.part].first) + 1;
        let (mut used, mut last_piece) = (0, 0);
        match facts {
            Err(err) => {
                self.tallies[self.part].add_bad_row(row, &err);
                self.lengths.push(0);
            }
            Ok(facts) => {
                self.lengths.push(u32::try_from(facts.length).unwrap_or(u32::MAX));
                if self.judge(row, &facts) {
                    (used, last_piece) = (facts.pieces, facts.last_piece);
                    self.tokens[self.part] += facts.tokens;
                    self.learned += facts.learned;
                    let side =
                        if parts[self.part].validation { &mut self.validation } else { &mut self.training };
                    side.push(self.next);
                }
            }
        }
        self.next += 1;
        self.measure(used, last_piece);
        self.pieces.as_mut().map_or(Ok(()), |pieces| pieces.push(used))
    }

    /// Notes the sizes of a row's examples. Where rows are not split, one that cannot be used is an example, too.
    fn measure(&mut self, examples: u32, last: u32) {
        if self.pieces.is_some() {
            let whole = u32::try_from(self.dataset.policy().max_length).unwrap_or(u32::MAX);
            self.sizes.extend((1..examples).map(|_| whole));
        }
        if self.pieces.is_none() || examples > 0 {
            self.sizes.push(last);
        }
    }

    /// Counts what is to be said of a row; whether it can be used.
    fn judge(&mut self, row: u64, facts: &Facts) -> bool {
        let policy = self.dataset.policy();
        let tally = &mut self.tallies[self.part];
        let dropped = facts.cut && policy.on_too_long != OnTooLong::Truncate;
        let windows = facts.windows(policy.max_length);
        if windows > 1 && !policy.join_texts {
            tally.add_too_long(row, if self.pieces.is_some() { facts.pieces.into() } else { windows });
        }
        if facts.long_source {
            tally.add(FindingKind::LongSource, row);
        }
        if facts.long_target {
            tally.add(FindingKind::LongTarget, row);
        }
        if let Some(text) = &facts.escaped {
            tally.add_escaped(row, text);
        }
        if facts.empty_answer {
            tally.add(FindingKind::EmptyAnswer, row);
        }
        match self.seen.entry(facts.hash) {
            Entry::Vacant(new) => {
                new.insert(self.next);
            }
            Entry::Occupied(first) => {
                self.repeats.push((*first.get(), self.next));
                let parts = self.dataset.parts();
                // A validation row that stands in the training files is a leak, not one row too many.
                if parts[self.part].validation == self.dataset.is_validation_file(*first.get() as usize) {
                    tally.add(FindingKind::Duplicate, row);
                }
            }
        }
        if dropped {
            return false;
        }
        if let Some(id) = facts.bad_id {
            tally.add_bad_id(row, id);
        }
        if facts.learned == 0 {
            tally.add(FindingKind::NoLabels, row);
        } else if !facts.stops && !facts.cut {
            tally.add(FindingKind::NoEndToken, row);
        }
        facts.learned > 0 && facts.bad_id.is_none()
    }

    /// The verdict on the rows looked at, and their number. Which rows are held out is not drawn yet.
    fn so_far(&self, model: &ModelTokens, seed: u64) -> (Verdict, u64) {
        let policy = self.dataset.policy();
        let split = Split::hold_out(&[], policy.fraction, seed);
        let mut verdict = self.verdict(model, &split);
        let held = (self.training.len() as f64 * policy.fraction).ceil() as u64;
        verdict.usable_rows = (self.training.len() as u64).saturating_sub(held);
        verdict.validation_rows = held + self.validation.len() as u64;
        verdict.findings.retain(|finding| finding.kind != FindingKind::Empty);
        verdict.ok = verdict.findings.iter().all(|finding| finding.severity != Severity::Error);
        (verdict, u64::from(self.next))
    }

    /// Which rows are trained on, and which are held out or lie in validation files.
    pub fn split(&self, seed: u64) -> Split {
        let mut split = Split::hold_out(&self.training, self.dataset.policy().fraction, seed);
        split.validation.extend(&self.validation);
        split
    }

    /// Rows that are held out or lie in validation files, and whose content is trained on.
    fn leaks(&self, split: &Split) -> Vec<u32> {
        let mut alike: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (first, row) in &self.repeats {
            alike.entry(*first).or_insert_with(|| vec![*first]).push(*row);
        }
        let is_trained_on = |row: &u32| split.train.binary_search(row).is_ok();
        let trained_on = alike.into_values().filter(|rows| rows.iter().any(is_trained_on));
        let mut leaks: Vec<u32> =
            trained_on.flatten().filter(|row| split.validation.binary_search(row).is_ok()).collect();
        leaks.sort_unstable();
        leaks
    }

    fn finish(mut self, model: &ModelTokens, seed: u64) -> Result<Survey> {
        let mut split = self.split(seed);
        let parts = self.dataset.parts();
        for row in self.leaks(&split) {
            let part = parts.partition_point(|part| part.first + part.rows <= row);
            self.tallies[part].add(FindingKind::Leak, u64::from(row - parts[part].first) + 1);
        }
        let mut verdict = self.verdict(model, &split);
        let mut files = self.by_file(&split.train);
        let policy = self.dataset.policy();
        if policy.join_texts {
            let pieces = Pieces::joined(&self.lengths, [&split.train, &split.validation], policy.max_length)?;
            let texts = (split.train.len() + split.validation.len()) as u64;
            let blocks = [&split.train, &split.validation].map(|rows| pieces.of_rows(rows).len() as u64);
            let blocks = blocks.iter().sum();
            // The first token of a block is predicted by nothing.
            verdict.learned_tokens = verdict.tokens.saturating_sub(blocks);
            verdict.findings.push(joined(texts, blocks, policy.max_length));
            // Blocks are full, but for the last of each list.
            let full = u32::try_from(policy.max_length).unwrap_or(u32::MAX);
            self.sizes = vec![full; pieces.len()];
            self.pieces = Some(pieces);
        }
        if let Some(pieces) = &self.pieces {
            split =
                Split { train: pieces.of_rows(&split.train), validation: pieces.of_rows(&split.validation) };
            files.iter_mut().for_each(|(rows, _)| *rows = pieces.of_rows(rows));
        }
        let draws = Draws::weighted(files, seed);
        Ok(Survey {
            verdict,
            split,
            draws,
            pieces: self.pieces,
            lengths: self.lengths,
            sizes: self.sizes.into(),
        })
    }

    /// Rows in file order, parted by the weights of their files: neighbours of one weight are one.
    fn by_file(&self, rows: &[u32]) -> Vec<(Vec<u32>, f64)> {
        let mut files: Vec<(Vec<u32>, f64)> = Vec::new();
        let mut rest = rows;
        for part in self.dataset.parts().iter().filter(|part| !part.validation) {
            let (own, others) = rest.split_at(rest.partition_point(|row| *row < part.first + part.rows));
            rest = others;
            match files.last_mut() {
                // Together they are drawn as each would be.
                Some((rows, weight)) if *weight == part.weight && weight.fract() == 0.0 => rows.extend(own),
                _ => files.push((own.to_vec(), part.weight)),
            }
        }
        files
    }

    /// The files as they were read, with the part that each has in an epoch.
    fn sources(&self) -> Vec<SourceReport> {
        let mut sources = self.dataset.sources();
        let parts = || self.dataset.parts().iter().zip(&self.tokens);
        let drawn = |(part, tokens): (&Part, &u64)| part.weight * *tokens as f64;
        let all: f64 = parts().filter(|(part, _)| !part.validation).map(drawn).sum();
        for (source, (part, tokens)) in sources.iter_mut().zip(parts()) {
            source.tokens = *tokens;
            source.share = (!part.validation && all > 0.0).then(|| drawn((part, tokens)) / all);
        }
        sources
    }

    fn verdict(&self, model: &ModelTokens, split: &Split) -> Verdict {
        let policy = self.dataset.policy();
        let mut findings = Vec::new();
        for (part, tally) in self.dataset.parts().iter().zip(&self.tallies) {
            let name = (self.dataset.parts().len() > 1).then(|| file_name(part));
            findings.extend(tally.findings(policy, name.as_deref()));
        }
        findings.extend(self.dataset.notes().iter().cloned().map(files));
        findings.extend(model.pad.filter(|pad| model.eos.contains(pad)).map(pad_is_eos));
        if split.train.is_empty() {
            findings.push(empty(self.dataset.len() as u64));
        }
        Verdict {
            sources: self.sources(),
            template: None,
            template_reason: None,
            rows: self.dataset.len() as u64,
            usable_rows: split.train.len() as u64,
            validation_rows: split.validation.len() as u64,
            tokens: self.tokens.iter().sum(),
            learned_tokens: self.learned,
            longest: self.lengths.iter().copied().max().unwrap_or(0).into(),
            max_length: policy.max_length,
            lengths: histogram(self.lengths.iter().map(|length| (u64::from(*length), 1))),
            ok: findings.iter().all(|finding| finding.severity != Severity::Error),
            findings,
            forecast: None,
            steps: 0,
            padding: None,
        }
    }
}

fn file_name(part: &Part) -> String {
    let path = part.source.file().path();
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

//! An evaluation from its first question to its report.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data::Encoder;
use data::suites::{Answers, Ask, Item, Loaded, Reply, table};
use protocol::{
    Control, Event, RequestId, Result, Sampling, SuiteReport, SuiteRequest, SuiteRow, Text, UserError, text,
};

use super::ask::{self, Put, pieces};
use super::folder;
use super::journal::{Journal, Line, Who};
use super::prepare::Prepared;
use crate::files::RunLock;
use crate::generate::{Answered, Asked, BatchLimit, Listener, Scoring, Speaker};
use crate::predict::longest;
use crate::session::Session;
use crate::sink::Sink;

/// Between two tables.
const PAUSE: Duration = Duration::from_secs(2);
/// A table takes at most one part in so many of the time.
const LEISURE: u32 = 10;

/// Asks every question that has no answer yet, and tells the report.
///
/// # Errors
/// When the folder holds another evaluation, the model cannot be loaded or take a question, an answer cannot be written,
/// or the work is stopped: the same request then goes on.
pub fn evaluate(
    request: RequestId,
    wanted: &SuiteRequest,
    prepared: &Prepared,
    runs_dir: &Path,
    (session, control, sink): (&mut Session, &Control, &mut Sink),
) -> Result<()> {
    let subject = prepared.subject(wanted, &session.chosen.report.name)?;
    let dir = folder::choose(wanted, &subject, runs_dir);
    let _lock = RunLock::acquire(&dir)?;
    let journal = Journal::open(&dir, &subject)?;
    let mut work = Evaluation {
        request,
        wanted,
        prepared,
        control,
        sink,
        before: journal.len(),
        journal,
        started: Instant::now(),
        began: Instant::now(),
        next_table: Instant::now() + PAUSE,
    };
    if let Some(report) = folder::report(&dir)?.filter(|_| work.left() == 0) {
        work.sink.emit(Event::Evaluated { request, report: Box::new(report) });
        return Ok(());
    }
    for who in whom(wanted) {
        work.ask_all(who, session)?;
    }
    let report = work.report(dir);
    folder::write_report(&report)?;
    sink.emit(Event::Evaluated { request, report: Box::new(report) });
    Ok(())
}

/// Who is asked, in this order.
fn whom(wanted: &SuiteRequest) -> Vec<Who> {
    match (wanted.model.adapters.is_empty(), wanted.compare) {
        (true, _) => vec![Who::Base],
        (false, true) => vec![Who::Base, Who::Tuned],
        (false, false) => vec![Who::Tuned],
    }
}

/// An evaluation under way.
struct Evaluation<'a> {
    request: RequestId,
    wanted: &'a SuiteRequest,
    prepared: &'a Prepared,
    control: &'a Control,
    sink: &'a mut Sink,
    journal: Journal,
    /// Answers that were there from before.
    before: usize,
    started: Instant,
    /// When the one that is asked now began to answer.
    began: Instant,
    next_table: Instant,
}

impl Evaluation<'_> {
    fn items(&self) -> &[Item] {
        &self.prepared.loaded.items
    }

    fn total(&self) -> usize {
        self.items().len() * whom(self.wanted).len()
    }

    fn left(&self) -> usize {
        self.total().saturating_sub(self.journal.len())
    }

    fn ask_all(&mut self, who: Who, session: &mut Session) -> Result<()> {
        if self.items().iter().all(|item| self.journal.has(who, &item.id)) {
            return Ok(());
        }
        let chosen = session.chosen.clone();
        let number = (who == Who::Tuned).then_some(0);
        let loading = Text::fixed("loading the model", "加载模型");
        let request = self.request;
        let loaded = session.speak(&self.wanted.model, number, &mut |done, total| {
            self.sink.progress(request, loading.clone(), done, total, None);
        })?;
        let (model, adapter) = (&loaded.model, loaded.adapter());
        let limit = BatchLimit::new(model, &chosen, self.wanted.batch_tokens);
        let longest = longest(model, adapter);
        let encoder = self.prepared.encoder(loaded, longest)?;
        self.began = Instant::now();
        self.before = self.journal.len();
        for piece in pieces(self.items()) {
            if let Ask::Answer { .. } = self.items()[piece.start].ask {
                let speaker = Speaker { model, adapter, encoder: &encoder };
                self.answer(who, piece, &speaker, &limit, longest)?;
            } else {
                let control = self.control;
                let stopped = || control.stop_wanted();
                let scoring = Scoring { model, adapter, limit, stopped: &stopped };
                self.score(who, piece, &scoring, &encoder, longest)?;
            }
            self.tell(false);
        }
        Ok(())
    }

    /// Scores questions together. Those that are there already are scored again, so that every batch is what it would
    /// have been without an interruption.
    fn score(
        &mut self,
        who: Who,
        piece: Range<usize>,
        scoring: &Scoring<'_>,
        encoder: &Encoder,
        longest: usize,
    ) -> Result<()> {
        let items = &self.prepared.loaded.items[piece];
        if items.iter().all(|item| self.journal.has(who, &item.id)) {
            return Ok(());
        }
        let puts = items.iter().map(|item| Put::of(item, encoder, longest)).collect::<Result<Vec<_>>>()?;
        let Some(replies) = ask::score(scoring, &puts)? else { return Err(stopped()) };
        let line = |((item, put), reply): ((&Item, &Put), Reply)| {
            let judged = (self.prepared.suite.judge)(item, &reply);
            Line::of(who, item, put.is_cut(longest), &reply, judged)
        };
        let lines = items.iter().zip(&puts).zip(replies).map(line).collect();
        self.journal.write(lines)
    }

    /// Has answers written; each is kept as it ends.
    fn answer(
        &mut self,
        who: Who,
        piece: Range<usize>,
        speaker: &Speaker<'_>,
        limit: &BatchLimit,
        longest: usize,
    ) -> Result<()> {
        let items: Vec<&Item> = self.prepared.loaded.items[piece]
            .iter()
            .filter(|item| !self.journal.has(who, &item.id))
            .collect();
        let Some(Ask::Answer { stop, max_new_tokens, .. }) = items.first().map(|item| &item.ask) else {
            return Ok(());
        };
        let sampling = Sampling {
            temperature: 0.0,
            top_p: 1.0,
            max_new_tokens: *max_new_tokens,
            stop: stop.clone(),
            ..Sampling::default()
        };
        let prompt = |item: &&Item| match Put::of(item, speaker.encoder, longest)? {
            Put::Prompt(asked, cut) => Ok((asked, cut)),
            _ => Err(stopped()),
        };
        let asked = items.iter().map(prompt).collect::<Result<Vec<_>>>()?;
        let (asked, cut): (Vec<Asked>, Vec<bool>) = asked.into_iter().unzip();
        let mut ear = Ear { work: self, items: &items, cut: &cut, who };
        match speaker.answer_all(&mut asked.into_iter(), &sampling, limit, &mut ear)? {
            true => Ok(()),
            false => Err(stopped()),
        }
    }

    /// Progress, and now and then the table so far.
    fn tell(&mut self, even_if_soon: bool) {
        let (done, total) = (self.journal.len() as u64, self.total() as u64);
        let fresh = self.journal.len().saturating_sub(self.before).max(1) as f64;
        let left = self.began.elapsed().as_secs_f64() / fresh * self.left() as f64;
        self.sink.progress(self.request, Text::fixed("evaluating", "评测"), done, total, Some(left));
        let now = Instant::now();
        if !even_if_soon && now < self.next_table {
            return;
        }
        let rows = self.rows();
        self.sink.emit(Event::Evaluating { request: self.request, rows, done, total });
        self.next_table = Instant::now() + PAUSE.max(now.elapsed() * LEISURE);
    }

    fn rows(&self) -> Vec<SuiteRow> {
        let Loaded { items, metrics, .. } = &self.prepared.loaded;
        let whom = whom(self.wanted);
        let answers = |who: Who| -> Option<Answers> {
            let marks = |item: &Item| self.journal.marks(who, &item.id).cloned();
            whom.contains(&who).then(|| items.iter().map(marks).collect())
        };
        let (base, tuned) = (answers(Who::Base), answers(Who::Tuned));
        table(self.prepared.suite.id, items, metrics, base.as_ref(), tuned.as_ref())
    }

    fn report(&self, dir: PathBuf) -> SuiteReport {
        SuiteReport {
            suite: self.wanted.suite.clone(),
            data: self.wanted.data.clone(),
            data_hash: self.prepared.data_hash.clone(),
            model: self.wanted.model.path.clone(),
            adapters: self.wanted.model.adapters.clone(),
            settings: self.prepared.settings.clone(),
            limit: self.wanted.limit,
            when: chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
            dir,
            rows: self.rows(),
            seconds: self.started.elapsed().as_secs_f64(),
            notes: self.notes(),
        }
    }

    fn notes(&self) -> Vec<Text> {
        let mut notes = self.prepared.loaded.notes.clone();
        let cut = whom(self.wanted).into_iter().map(|who| self.journal.cut(who)).max().unwrap_or(0);
        if cut > 0 {
            notes.push(text!(
                "{cut} questions are longer than the model's context and were asked without their beginning",
                "{cut} 道题目超出模型的上下文长度，提问时略去了开头"
            ));
        }
        if self.prepared.loaded.items.iter().any(|item| !item.groups.is_empty()) {
            notes.push(Text::fixed(
                "The whole and the groups count every question alike",
                "总分与各组得分中每道题目的权重相同",
            ));
        }
        notes
    }
}

/// Keeps answers as they end.
struct Ear<'e, 'a> {
    work: &'e mut Evaluation<'a>,
    items: &'e [&'e Item],
    /// Whether the beginning of each was left out.
    cut: &'e [bool],
    who: Who,
}

impl Listener for Ear<'_, '_> {
    fn stopped(&mut self) -> bool {
        self.work.control.stop_wanted()
    }

    fn answered(&mut self, number: usize, answer: Answered) -> Result<()> {
        let (Some(item), Some(cut)) = (self.items.get(number), self.cut.get(number)) else { return Ok(()) };
        let reply = Reply::Text(answer.text);
        let judged = (self.work.prepared.suite.judge)(item, &reply);
        self.work.journal.write(vec![Line::of(self.who, item, *cut, &reply, judged)])?;
        self.work.tell(false);
        Ok(())
    }
}

fn stopped() -> UserError {
    UserError::failure(Text::fixed("The evaluation was stopped", "评测已中止")).mend(Text::fixed(
        "ask for the same again: it goes on where it was",
        "再次发出同样的请求即可从中断处继续",
    ))
}

//! A run from its first step to its last: the loop, and what happens between two steps.

mod between;
mod ending;
mod guard;
mod loading;
mod saving;
mod wishes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use data::{Encoder, Progress};
use protocol::{
    Control, Event, MetricsLine, Outcome, Phases, RequestId, Result, RunEvent, RunId, StepMetrics,
    StopReason, Text,
};

use self::saving::Writing;
use super::clock::Clock;
use super::events_log::EventsLog;
use super::folder::{PlanFile, RunFolder};
use super::imported::refuse_elsewhere;
use super::metrics_log::MetricsLog;
use super::prefetch::{Prefetch, StepBatches};
use super::state::RunState;
use super::step::{Learner, StepResult, StepSettings};
use crate::device::{self, Chosen, PeakMeter};
use crate::files::{CheckpointStore, RunLock};
use crate::plan::Plan;
use crate::sink::Sink;

/// A run under way.
pub struct Run<'a> {
    plan: Plan,
    plan_file: PlanFile,
    folder: RunFolder,
    store: CheckpointStore,
    log: MetricsLog,
    events: EventsLog,
    state: RunState,
    chosen: Chosen,
    control: &'a Control,
    sink: &'a mut Sink,
    meanwhile: &'a mut dyn Meanwhile,
    request: RequestId,
    id: RunId,
    began: Instant,
    /// When the first step of this session was over, and how many were done then: that one step waits for files, caches
    /// and kernels.
    pace: Option<(Instant, u64)>,
    peak: PeakMeter,
    /// Seconds of earlier sessions.
    seconds_before: f64,
    writing: Option<Writing>,
    _lock: RunLock,
}

/// Where a run happens and who hears of it.
pub struct Surroundings<'a> {
    /// The engine's device; the run file may name others.
    pub chosen: &'a Chosen,
    pub control: &'a Control,
    pub sink: &'a mut Sink,
    pub request: RequestId,
    pub progress: &'a dyn Progress,
    pub meanwhile: &'a mut dyn Meanwhile,
}

/// What the worker does while a run is under way, whenever the run lets it.
pub trait Meanwhile {
    /// Between two steps: answers what was asked of the run's model.
    fn between_steps(&mut self, learner: &Learner, encoder: &Arc<Encoder>, sink: &mut Sink);

    /// During a pause, when the device's memory is free: waits for a moment, and does what was asked.
    fn paused(&mut self, sink: &mut Sink);

    /// The pause is over: the device's memory belongs to the run again.
    fn resumed(&mut self);
}

/// The clock's time, without what no template writes.
fn now() -> chrono::NaiveDateTime {
    chrono::Local::now().naive_local()
}

/// The rate of a step, and its time.
struct Timing {
    lr: f64,
    /// Waiting for rows left out.
    seconds: f64,
    phases: Option<Phases>,
}

/// Why the loop ended.
enum Ending {
    Completed,
    Stopped,
    EarlyStopped,
    Paused,
}

impl<'a> Run<'a> {
    /// Sets up a new run in `out`.
    ///
    /// # Errors
    /// When the run file, the model, the data or the folder forbid it.
    pub fn create(
        mut config: protocol::RunConfig,
        base: PathBuf,
        source: &str,
        out: PathBuf,
        around: Surroundings<'a>,
    ) -> Result<Self> {
        RunFolder::refuse_used(&out)?;
        // The folder is made when nothing speaks against the run any more: a refused one leaves none.
        let chosen = device::for_run(around.chosen, &config.train.devices)?;
        if chosen.count() > 1 || !config.train.devices.is_empty() {
            // What goes on later goes on on the same.
            config.train.devices = chosen.all().map(|one| one.report.word()).collect();
        }
        let plan = Plan::make(config, &base, now(), &chosen, around.progress)?;
        plan.refuse()?;
        let plan_file = PlanFile::of(&plan, &base, crate::plan::device_name(&chosen))?;
        let lock = RunLock::acquire(&out)?;
        let folder = RunFolder::create(&out)?;
        if let Some(extension) = &plan.extension {
            folder.write_tokenizer(extension)?;
        }
        folder.write(source, &plan_file)?;
        Self::set_up(plan, plan_file, (folder, lock), chosen, around)
    }

    /// Goes on in a run folder.
    ///
    /// # Errors
    /// When the folder holds no run, another process works in it, or what it was started with has changed.
    pub fn resume(dir: PathBuf, around: Surroundings<'a>) -> Result<Self> {
        let (folder, old) = RunFolder::open(&dir)?;
        refuse_elsewhere(&dir, &old)?;
        let lock = RunLock::acquire(&dir)?;
        let chosen = device::for_run(around.chosen, &old.config.train.devices)?;
        // The tokens that the run began with, wherever they came from.
        let config = folder.with_tokenizer(old.config.clone());
        let mut plan = Plan::make(config, &old.base, old.now, &chosen, around.progress)?;
        plan.refuse()?;
        old.keep_roundings(&mut plan.layout);
        let now = PlanFile::of(&plan, &old.base, crate::plan::device_name(&chosen))?;
        old.refuse_changes(&now).map_err(|error| error.in_file(&dir))?;
        let now = PlanFile { imported: old.imported, ..now };
        Self::set_up(plan, now, (folder, lock), chosen, around)
    }

    fn set_up(
        plan: Plan,
        plan_file: PlanFile,
        (folder, lock): (RunFolder, RunLock),
        chosen: Chosen,
        around: Surroundings<'a>,
    ) -> Result<Self> {
        let name =
            folder.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let store =
            CheckpointStore::new(folder.checkpoints(), plan.config.train.keep_checkpoints.max(1) as usize);
        let log = MetricsLog::open(&folder.path, u64::MAX, true)?;
        Ok(Self {
            plan,
            plan_file,
            store,
            log,
            events: EventsLog::new(&folder.path),
            folder,
            state: RunState::default(),
            peak: PeakMeter::start(&chosen),
            chosen,
            control: around.control,
            sink: around.sink,
            meanwhile: around.meanwhile,
            request: around.request,
            id: RunId(name),
            began: Instant::now(),
            pace: None,
            seconds_before: 0.0,
            writing: None,
            _lock: lock,
        })
    }

    /// Trains to the end, through any number of pauses.
    ///
    /// # Errors
    /// When the device, the disk or the data fail, or too many steps come out not finite.
    pub fn work(mut self) -> Result<Outcome> {
        let outcome = self.train();
        if outcome.is_err() {
            // What is being written still counts; the first error is the one that is told.
            self.wait_for_checkpoint().ok();
        }
        let noted = match &outcome {
            Ok(outcome) => outcome.clone(),
            Err(error) => Outcome::Failed { error: Box::new(error.clone()) },
        };
        self.events.write(&RunEvent::Ended { outcome: noted });
        outcome
    }

    fn train(&mut self) -> Result<Outcome> {
        loop {
            let mut learner = self.load()?;
            let reason = match self.session(&mut learner)? {
                Ending::Completed => StopReason::Completed,
                Ending::Stopped => StopReason::Stopped,
                Ending::EarlyStopped => StopReason::EarlyStopped,
                Ending::Paused => {
                    drop(learner);
                    self.wait_out_pause();
                    continue;
                }
            };
            return self.finish(learner, reason);
        }
    }

    fn session(&mut self, learner: &mut Learner) -> Result<Ending> {
        let mut sampler = self.plan.batches.sampler(&self.plan.survey)?;
        sampler.seek(self.state.position)?;
        let workers = self.workers(learner)?;
        let pieces = self.plan.layout.pieces * workers.count();
        let batches = Prefetch::start(self.plan.dataset.clone(), sampler, self.plan.pad, pieces)?;
        let mut settings = StepSettings::new(&self.plan.config.train, self.plan.layout);
        self.pace = None;
        self.tell_tuning();
        loop {
            if let Some(ending) = self.ended() {
                return Ok(ending);
            }
            if let Some(ending) = self.asked_to_end(learner)? {
                return Ok(ending);
            }
            if self.state.evaluation_due {
                self.between_steps(learner, &workers)?;
                continue;
            }
            self.hear_rate();
            self.meanwhile.between_steps(learner, &self.plan.encoder, self.sink);
            if self.control.stop_wanted() {
                continue;
            }
            let (step, lr) = (self.state.step, self.rate());
            settings.loss_scale = self.state.loss_scale.map_or(1.0, |scaler| scaler.scale());
            let clock = Clock::of_step(step, &self.chosen);
            clock.start();
            let next = batches.next()?;
            clock.lap(|phases| &mut phases.data);
            let started = Instant::now();
            let Some(result) =
                workers.step(learner, &next.batches, (step, lr), &settings, self.control, &clock)?
            else {
                // Only a stop breaks a step off: the next look at the wishes ends the session.
                continue;
            };
            let timing = Timing { lr, seconds: started.elapsed().as_secs_f64(), phases: clock.phases() };
            self.after_step(learner, &next, result, timing)?;
            self.between_steps(learner, &workers)?;
        }
    }

    /// Whether there is nothing left to do: told by the counters alone, so that a resumed run knows it, too.
    fn ended(&self) -> Option<Ending> {
        if self.state.evaluation_due {
            return None;
        }
        if self.state.step >= self.plan.total_steps {
            return Some(Ending::Completed);
        }
        let patience = self.plan.config.train.early_stop_patience;
        (patience > 0 && self.state.without_improvement >= patience).then_some(Ending::EarlyStopped)
    }

    fn after_step(
        &mut self,
        learner: &Learner,
        next: &StepBatches,
        result: StepResult,
        timing: Timing,
    ) -> Result<()> {
        let fed: u64 = next.batches.iter().map(|batch| batch.tokens).sum();
        let loss_scale = self.state.loss_scale.map(|scaler| scaler.scale());
        let overflowed = self.makes_way(&result);
        let state = &mut self.state;
        state.step += 1;
        state.updates = learner.updates;
        state.position = next.after;
        state.tokens += fed;
        state.skipped_in_a_row = match result.applied {
            true => 0,
            false => state.skipped_in_a_row + u64::from(!overflowed),
        };
        state.skipped += u64::from(!result.applied);
        state.seconds = self.seconds_before + self.began.elapsed().as_secs_f64();
        self.state.evaluation_due = self.can_evaluate() && self.is_due(self.plan.config.train.eval_every);
        let state = &self.state;
        let metrics = StepMetrics {
            step: state.step,
            epoch: self.epoch(),
            tokens: next.batches.iter().map(|batch| batch.learned).sum(),
            loss: result.loss,
            lr: timing.lr,
            grad_norm: result.grad_norm,
            loss_scale,
            tokens_per_s: fed as f64 / timing.seconds.max(1e-9),
            mem_bytes: device::memory_in_use_at_most(&self.chosen),
            seconds: state.seconds,
            phases: timing.phases,
            skipped: !result.applied,
        };
        self.log.write(&MetricsLine::Step(metrics.clone()))?;
        let seconds_left = self.seconds_left();
        self.tell(RunEvent::Stepped { steps: vec![metrics], seconds_left });
        if overflowed {
            self.tell_overflow();
        } else if !result.applied {
            self.guard(learner, next)?;
        }
        Ok(())
    }

    /// Whether what happens every so many steps happens now; 0 is at the end only.
    fn is_due(&self, every: u64) -> bool {
        (every > 0 && self.state.step.is_multiple_of(every)) || self.state.step == self.plan.total_steps
    }

    fn epoch(&self) -> f64 {
        let batches = &self.plan.batches;
        let per_epoch = batches.sampling.batches_per_epoch(batches.rows).max(1);
        self.state.position.epoch as f64 + self.state.position.batch as f64 / per_epoch as f64
    }

    fn seconds_left(&mut self) -> Option<f64> {
        let done = self.state.step;
        let (since, at) = *self.pace.get_or_insert_with(|| (Instant::now(), done));
        let a_step = match done.checked_sub(at) {
            None | Some(0) => self.state.seconds / done.max(1) as f64,
            Some(steps) => since.elapsed().as_secs_f64() / steps as f64,
        };
        (done > 0).then(|| a_step * self.plan.total_steps.saturating_sub(done) as f64)
    }

    /// The first step on a GPU compiles kernels and tries out which of them are fastest; the next run finds both
    /// ([`cache`](crate::cache)).
    fn tell_tuning(&mut self) {
        if self.chosen.report.kind.is_gpu() {
            let stage = Text::fixed("first step: compiling and tuning kernels", "第一步：编译并调优内核");
            self.sink.progress(self.request, stage, 0, 0, None);
        }
    }

    fn tell(&mut self, update: RunEvent) {
        self.events.write(&update);
        self.sink.emit(Event::Run { request: self.request, run: self.id.clone(), update });
    }

    pub fn id(&self) -> RunId {
        self.id.clone()
    }
}

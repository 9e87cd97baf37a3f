//! A run from its first step to its last: the loop, and what happens between two steps.

mod ending;
mod guard;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use data::{Progress, Sampler};
use protocol::{
    Control, EvalMetrics, Event, MetricsLine, Outcome, RequestId, Result, RunEvent, RunId, RunSummary,
    StepMetrics, StopReason, Text, UserError,
};

use super::evaluate::Evaluation;
use super::folder::{PlanFile, RunFolder};
use super::metrics_log::MetricsLog;
use super::prefetch::{Prefetch, StepBatches};
use super::state::{self, RunState};
use super::step::{Learner, StepResult, StepSettings};
use crate::device::{self, Chosen};
use crate::files::{CheckpointStore, RunLock};
use crate::methods::{self, Adapter, Attach};
use crate::models::ModelFolder;
use crate::plan::Plan;
use crate::sink::Sink;

/// A run under way.
pub struct Run<'a> {
    plan: Plan,
    plan_file: PlanFile,
    folder: RunFolder,
    store: CheckpointStore,
    log: MetricsLog,
    state: RunState,
    chosen: &'a Chosen,
    control: &'a Control,
    sink: &'a mut Sink,
    request: RequestId,
    id: RunId,
    began: Instant,
    /// Seconds of earlier sessions.
    seconds_before: f64,
    _lock: RunLock,
}

/// Where a run happens and who hears of it.
pub struct Surroundings<'a> {
    pub chosen: &'a Chosen,
    pub control: &'a Control,
    pub sink: &'a mut Sink,
    pub request: RequestId,
    pub progress: &'a dyn Progress,
}

/// The clock's time, without what no template writes.
fn now() -> chrono::NaiveDateTime {
    chrono::Local::now().naive_local()
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
        config: protocol::RunConfig,
        base: PathBuf,
        source: &str,
        out: PathBuf,
        around: Surroundings<'a>,
    ) -> Result<Self> {
        RunFolder::refuse_used(&out)?;
        // The folder is made when nothing speaks against the run any more: a refused one leaves none.
        let plan = Plan::make(config, &base, now(), around.chosen, around.progress)?;
        plan.refuse()?;
        let plan_file = PlanFile::of(&plan, &base, crate::plan::device_name(around.chosen))?;
        let lock = RunLock::acquire(&out)?;
        let folder = RunFolder::create(&out)?;
        folder.write(source, &plan_file)?;
        Self::set_up(plan, plan_file, folder, lock, RunState::default(), around)
    }

    /// Goes on in a run folder.
    ///
    /// # Errors
    /// When the folder holds no run, another process works in it, or what it was started with has changed.
    pub fn resume(dir: PathBuf, around: Surroundings<'a>) -> Result<Self> {
        let (folder, old) = RunFolder::open(&dir)?;
        let lock = RunLock::acquire(&dir)?;
        let plan = Plan::make(old.config.clone(), &old.base, old.now, around.chosen, around.progress)?;
        plan.refuse()?;
        let now = PlanFile::of(&plan, &old.base, crate::plan::device_name(around.chosen))?;
        old.refuse_changes(&now)?;
        Self::set_up(plan, now, folder, lock, RunState::default(), around)
    }

    fn set_up(
        plan: Plan,
        plan_file: PlanFile,
        folder: RunFolder,
        lock: RunLock,
        state: RunState,
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
            folder,
            store,
            log,
            state,
            chosen: around.chosen,
            control: around.control,
            sink: around.sink,
            request: around.request,
            id: RunId(name),
            began: Instant::now(),
            seconds_before: 0.0,
            _lock: lock,
        })
    }

    /// Trains to the end, through any number of pauses.
    ///
    /// # Errors
    /// When the device, the disk or the data fail, or too many steps come out not finite.
    pub fn work(mut self) -> Result<Outcome> {
        loop {
            let mut learner = self.load()?;
            let ending = self.session(&mut learner)?;
            let reason = match ending {
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

    /// Loads the model, attaches the method, and restores the newest sound checkpoint if there is one.
    fn load(&mut self) -> Result<Learner> {
        let mut learner = self.fresh_learner()?;
        self.store.remove_leftovers()?;
        let (found, notices) = self.store.newest_sound()?;
        for text in notices {
            self.tell(RunEvent::Notice { text });
        }
        self.set_damaged_aside(found.as_ref().map_or(0, |found| found.manifest.step))?;
        self.state = match &found {
            Some(recovered) => state::restore(recovered, &mut learner)?,
            None => RunState::default(),
        };
        self.seconds_before = self.state.seconds;
        self.began = Instant::now();
        self.log = MetricsLog::open(&self.folder.path, self.state.step, !self.state.evaluation_due)?;
        let summary = RunSummary {
            first_step: self.state.step + 1,
            total_steps: self.plan.total_steps,
            train_rows: self.plan.survey.split.train.len() as u64,
            validation_rows: self.plan.survey.split.validation.len() as u64,
            trainable_parameters: self.plan.trainable,
            parameters: self.plan.parameters,
            forecast: self.plan.forecast.clone(),
            device: self.chosen.report.name.clone(),
            dtype: self.plan.dtype_name().into(),
        };
        self.tell(RunEvent::Planned { dir: self.folder.path.clone(), summary });
        Ok(learner)
    }

    /// Renames the damaged checkpoints after `step`: left in place they would count among the newest, which
    /// are kept, and sound ones would go for them.
    fn set_damaged_aside(&self, step: u64) -> Result<()> {
        for (_, dir) in self.store.list()?.into_iter().filter(|(damaged, _)| *damaged > step) {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let free = (1_u32..)
                .map(|n| dir.with_file_name(format!("damaged-{n}-{name}")))
                .find(|dir| !dir.exists());
            let aside = free.unwrap_or_else(|| dir.clone());
            std::fs::rename(&dir, &aside).map_err(|err| {
                UserError::io(
                    Text::fixed("set the damaged checkpoint aside", "移开已损坏的检查点"),
                    &dir,
                    &err,
                )
            })?;
        }
        Ok(())
    }

    fn fresh_learner(&mut self) -> Result<Learner> {
        let config = &self.plan.config;
        let (device, dtype) = (&self.chosen.device, self.plan.dtype);
        let mut model = if config.model.from_scratch {
            ModelFolder::open_config(&config.model.path, &config.model.overrides)?.initialise(
                device,
                dtype,
                config.train.seed,
            )
        } else {
            let folder = ModelFolder::open(&config.model.path, &config.model.overrides)?;
            let (request, sink) = (self.request, &mut *self.sink);
            folder.load(device, dtype, &mut |done, total| {
                sink.progress(request, Text::fixed("loading the model", "加载模型"), done, total, None);
            })?
        };
        let context = Attach { seed: config.train.seed, learning_rate: config.train.learning_rate };
        let adapter = methods::attach(&mut model, &config.method, &context)?;
        Ok(Learner { model, adapter, optimizer: (self.plan.optimizer.build)(&config.train), updates: 0 })
    }

    fn session(&mut self, learner: &mut Learner) -> Result<Ending> {
        let rows: Arc<[u32]> = self.plan.survey.split.train.clone().into();
        let mut sampler = Sampler::new(rows, self.plan.sampling)?;
        sampler.seek(self.state.position)?;
        let batches = Prefetch::start(self.plan.dataset.clone(), sampler, self.plan.pad)?;
        let settings = StepSettings::new(&self.plan.config.train, self.plan.kept_graphs);
        loop {
            if let Some(ending) = self.ended() {
                return Ok(ending);
            }
            if let Some(ending) = self.asked_to_end(learner)? {
                return Ok(ending);
            }
            if self.state.evaluation_due {
                self.between_steps(learner)?;
                continue;
            }
            let next = batches.next()?;
            let started = Instant::now();
            let lr = self.plan.schedule.rate(self.state.step);
            let Some(result) = learner.step(&next.batches, self.state.step, lr, &settings, self.control)?
            else {
                // Only a stop breaks a step off: the next look at the wishes ends the session.
                continue;
            };
            self.after_step(learner, &next, result, lr, started)?;
            self.between_steps(learner)?;
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

    /// Stop and pause save first, so that nothing is lost by them.
    fn asked_to_end(&mut self, learner: &Learner) -> Result<Option<Ending>> {
        if self.control.stop_wanted() {
            self.save(learner)?;
            return Ok(Some(Ending::Stopped));
        }
        if self.control.pause_wanted() {
            self.save(learner)?;
            return Ok(Some(Ending::Paused));
        }
        Ok(None)
    }

    fn after_step(
        &mut self,
        learner: &Learner,
        next: &StepBatches,
        result: StepResult,
        lr: f64,
        started: Instant,
    ) -> Result<()> {
        let fed: u64 = next.batches.iter().map(|batch| batch.tokens).sum();
        let state = &mut self.state;
        state.step += 1;
        state.updates = learner.updates;
        state.position = next.after;
        state.tokens += fed;
        state.skipped_in_a_row = if result.applied { 0 } else { state.skipped_in_a_row + 1 };
        state.skipped += u64::from(!result.applied);
        state.seconds = self.seconds_before + self.began.elapsed().as_secs_f64();
        self.state.evaluation_due =
            !self.plan.survey.split.validation.is_empty() && self.is_due(self.plan.config.train.eval_every);
        let state = &self.state;
        let metrics = StepMetrics {
            step: state.step,
            epoch: self.epoch(),
            tokens: next.batches.iter().map(|batch| batch.learned).sum(),
            loss: result.loss,
            lr,
            grad_norm: result.grad_norm,
            tokens_per_s: fed as f64 / started.elapsed().as_secs_f64().max(1e-9),
            mem_bytes: device::memory_in_use(self.chosen),
            seconds: state.seconds,
            phases: None,
            skipped: !result.applied,
        };
        self.log.write(&MetricsLine::Step(metrics.clone()))?;
        let seconds_left = self.seconds_left();
        self.tell(RunEvent::Stepped { steps: vec![metrics], seconds_left });
        if result.applied { Ok(()) } else { self.guard(learner, next) }
    }

    /// Whether what happens every so many steps happens now; 0 is at the end only.
    fn is_due(&self, every: u64) -> bool {
        (every > 0 && self.state.step.is_multiple_of(every)) || self.state.step == self.plan.total_steps
    }

    /// Evaluation and checkpoints when they are due.
    fn between_steps(&mut self, learner: &Learner) -> Result<()> {
        let mut improved = false;
        if self.state.evaluation_due {
            match self.evaluate(learner)? {
                Some(best) => improved = best,
                // Stopped: the checkpoint that follows says that the evaluation is still to come.
                None => return Ok(()),
            }
        }
        let train = &self.plan.config.train;
        let (keep_best, due) = (improved && train.keep_best, self.is_due(train.save_every));
        if due || keep_best || self.control.take_save_now() {
            self.save(learner)?;
        }
        Ok(())
    }

    /// True when this is the lowest validation loss so far; None if the user stopped.
    fn evaluate(&mut self, learner: &Learner) -> Result<Option<bool>> {
        let evaluation = Evaluation {
            model: &learner.model,
            adapter: learner.adapter.as_deref().map(Adapter::view),
            dataset: &self.plan.dataset,
            batch_size: self.plan.config.train.batch_size as usize,
            pad: self.plan.pad,
            control: self.control,
        };
        let rows = &self.plan.survey.split.validation;
        let (request, total, sink) = (self.request, rows.len() as u64, &mut *self.sink);
        let mut tick = |done| sink.progress(request, Text::fixed("evaluating", "评估"), done, total, None);
        let result = evaluation.run(rows, &mut tick)?;
        let Some((loss, tokens)) = result else { return Ok(None) };
        self.state.evaluation_due = false;
        let best = self.state.best_loss.is_none_or(|best| (loss as f32) < best);
        if best {
            self.state.best_loss = Some(loss as f32);
            self.state.best_step = Some(self.state.step);
            self.state.without_improvement = 0;
        } else {
            self.state.without_improvement += 1;
        }
        self.state.last_eval = Some(loss);
        let eval = EvalMetrics {
            step: self.state.step,
            epoch: self.epoch(),
            eval_loss: loss,
            eval_tokens: tokens,
            best,
        };
        self.log.write(&eval.clone().into())?;
        self.tell(RunEvent::Evaluated { eval });
        Ok(Some(best))
    }

    fn save(&mut self, learner: &Learner) -> Result<()> {
        self.state.seconds = self.seconds_before + self.began.elapsed().as_secs_f64();
        let extra =
            serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "eval_loss": self.state.last_eval });
        let base = self.plan.config.model.path.display().to_string();
        let (state, step) = (&self.state, self.state.step);
        let dir = self.store.save(step, extra, |dir| state::save(dir, learner, state, &base))?;
        let best = if self.plan.config.train.keep_best { self.state.best_step } else { None };
        self.store.prune(best)?;
        self.tell(RunEvent::Saved { step, dir });
        Ok(())
    }

    fn wait_out_pause(&mut self) {
        self.chosen.device.memory_cleanup();
        let step = self.state.step;
        self.tell(RunEvent::Paused { step });
        self.sink.drain();
        while self.control.pause_wanted() && !self.control.stop_wanted() && !self.sink.is_gone() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        if self.sink.is_gone() {
            self.control.stop();
        }
        self.control.resume();
        self.tell(RunEvent::Resumed { step });
    }

    fn epoch(&self) -> f64 {
        let per_epoch = self.plan.sampling.batches_per_epoch(self.plan.survey.split.train.len()).max(1);
        self.state.position.epoch as f64 + self.state.position.batch as f64 / per_epoch as f64
    }

    fn seconds_left(&self) -> Option<f64> {
        let done = self.state.step;
        let seconds = self.state.seconds;
        (done > 0).then(|| seconds / done as f64 * self.plan.total_steps.saturating_sub(done) as f64)
    }

    fn tell(&mut self, update: RunEvent) {
        self.sink.emit(Event::Run { request: self.request, run: self.id.clone(), update });
    }

    pub fn id(&self) -> RunId {
        self.id.clone()
    }
}

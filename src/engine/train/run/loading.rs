//! What a session of a run begins with: the model, the method on it, and the newest checkpoint.

use std::time::Instant;

use protocol::{Result, RunEvent, RunSummary, Text, UserError};

use super::Run;
use crate::methods::{self, Attach};
use crate::plan::open_model;
use crate::train::loss_scale::LossScaler;
use crate::train::metrics_log::MetricsLog;
use crate::train::state::{self, RunState};
use crate::train::step::Learner;

impl Run<'_> {
    /// Loads the model, attaches the method, and restores the newest sound checkpoint if there is one.
    pub(super) fn load(&mut self) -> Result<Learner> {
        let mut learner = self.fresh_learner()?;
        self.store.remove_leftovers()?;
        let (found, notices) = self.store.newest_sound()?;
        for text in notices {
            self.tell(RunEvent::Notice { text });
        }
        self.set_damaged_aside(found.as_ref().map_or(0, |found| found.manifest.step))?;
        self.state = match &found {
            Some(recovered) => state::restore(recovered, &mut learner)?,
            None => self.first_state(),
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
            padding: self.plan.batches.padding,
        };
        self.tell(RunEvent::Planned { dir: self.folder.path.clone(), summary: Box::new(summary) });
        if self.state.rate_factor() != RunState::default().rate_factor() {
            self.tell_rate();
        }
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
        let mut folder = open_model(config)?;
        folder.resize(self.plan.folder.model().growth.clone())?;
        let mut model = if config.model.from_scratch {
            folder.initialise(device, dtype, config.train.seed)
        } else {
            let (request, sink) = (self.request, &mut *self.sink);
            folder.streaming(self.plan.layout.streamed).load(device, dtype, &mut |done, total| {
                sink.progress(request, Text::fixed("loading the model", "加载模型"), done, total, None);
            })?
        };
        let context = Attach { seed: config.train.seed, learning_rate: config.train.learning_rate };
        let adapter = methods::attach(&mut model, &config.method, &context)?;
        Ok(Learner { model, adapter, optimizer: self.plan.optimizer.build(&config.train), updates: 0 })
    }

    /// Before anything was trained there are only samples to take.
    fn first_state(&self) -> RunState {
        let mut state = RunState::default();
        state.evaluation_due = !self.plan.config.train.samples.is_empty();
        state.loss_scale = LossScaler::of(self.plan.config.train.loss_scale, self.plan.dtype);
        state
    }
}

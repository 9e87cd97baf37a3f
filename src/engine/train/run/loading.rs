//! What a session of a run begins with: the model, the method on it, and the newest checkpoint.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{DType, Device};
use protocol::{Result, RunConfig, RunEvent, RunSummary, Text, UserError};

use super::Run;
use crate::methods::{self, Attach};
use crate::models::{Growth, ModelFolder};
use crate::nn::{Stages, Value};
use crate::optim::Choice;
use crate::plan::{Sharing, open_model};
use crate::train::Layout;
use crate::train::loss_scale::LossScaler;
use crate::train::metrics_log::MetricsLog;
use crate::train::parallel::{Build, Exchange, Post, Workers};
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
            Some(recovered) => {
                let state = state::restore(recovered, &mut learner)?;
                learner.settle();
                state
            }
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
            device: self.chosen.told(),
            dtype: self.plan.dtype_name().into(),
            padding: self.plan.batches.padding,
        };
        self.tell(RunEvent::Planned { dir: self.folder.path.clone(), summary: Box::new(summary) });
        self.tell_imported();
        if self.state.rate_factor() != RunState::default().rate_factor() {
            self.tell_rate();
        }
        Ok(learner)
    }

    /// Where the run is as it came back from other machines: what of it goes on as it was, and what does not.
    fn tell_imported(&mut self) {
        let Some(imported) = self.plan_file.imported.as_ref() else { return };
        if imported.step == Some(self.state.step) {
            for text in imported.told(&self.plan) {
                self.tell(RunEvent::Notice { text });
            }
        }
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
        let recipe = self.recipe();
        let (request, sink) = (self.request, &mut *self.sink);
        recipe.learner(&self.chosen.device, &mut |done, total| {
            sink.progress(request, Text::fixed("loading the model", "加载模型"), done, total, None);
        })
    }

    /// Those who compute a step: the learner's device, and where rows are shared, the others with copies of it.
    pub(super) fn workers(&mut self, learner: &Learner) -> Result<Workers> {
        if self.plan.sharing != Sharing::Rows {
            return Ok(Workers::alone());
        }
        let recipe = Arc::new(self.recipe());
        let posts = self.chosen.others.iter().map(|other| Post {
            name: other.report.word(),
            device: other.device.clone(),
            build: recipe.clone().copy_of(learner, &other.device),
        });
        let devices = || self.chosen.all().map(|one| one.device.clone()).collect();
        let exchange =
            if self.chosen.has_transport() { Exchange::Collective(devices()) } else { Exchange::Host };
        let stage = Text::fixed("loading the model on the other devices", "在其余设备上加载模型");
        self.sink.progress(self.request, stage, 0, 0, None);
        Workers::start(&self.chosen.report.word(), learner, posts.collect(), exchange)
    }

    /// Where layers are spread: which device has which.
    fn stages(&self) -> Option<Stages> {
        let Sharing::Layers(blocks) = &self.plan.sharing else { return None };
        let devices: Vec<Device> = self.chosen.all().map(|one| one.device.clone()).collect();
        Some(Stages::new(&devices, blocks))
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            config: self.plan.config.clone(),
            growth: self.plan.folder.model().growth.clone(),
            dtype: self.plan.dtype,
            layout: self.plan.layout,
            optimizer: self.plan.optimizer.clone(),
            stages: self.stages(),
        }
    }

    /// Before anything was trained there are only samples to take.
    fn first_state(&self) -> RunState {
        let mut state = RunState::default();
        state.evaluation_due = !self.plan.config.train.samples.is_empty();
        state.loss_scale = LossScaler::of(self.plan.config.train.loss_scale, self.plan.dtype);
        state
    }
}

/// What makes the learner of a run, on whichever device.
struct Recipe {
    config: RunConfig,
    growth: Option<Arc<Growth>>,
    dtype: DType,
    layout: Layout,
    optimizer: Choice,
    stages: Option<Stages>,
}

impl Recipe {
    /// With the weights of the model's files; `progress` gets loaded and total elements.
    fn learner(&self, device: &Device, progress: &mut dyn FnMut(u64, u64)) -> Result<Learner> {
        let folder = self.folder()?;
        let model = if self.config.model.from_scratch {
            folder.initialise(device, self.dtype, self.config.train.seed)
        } else {
            folder.streaming(self.layout.streamed).load(device, self.dtype, progress)?
        };
        self.attached(model)
    }

    /// What makes another one on `device`: with the same frozen values where that is the learner's own.
    fn copy_of(self: Arc<Self>, learner: &Learner, device: &Device) -> Build {
        let device = device.clone();
        if device != learner.model.device {
            return Box::new(move || self.learner(&device, &mut |_, _| {}));
        }
        let values: Vec<Value> = learner.model.params.iter().map(|(_, param)| param.value.clone()).collect();
        Box::new(move || self.attached(self.folder()?.beside(values, &device, self.dtype)))
    }

    fn folder(&self) -> Result<ModelFolder> {
        let mut folder = open_model(&self.config)?;
        folder.resize(self.growth.clone())?;
        Ok(folder.spread(self.stages.clone()))
    }

    fn attached(&self, mut model: crate::models::Model) -> Result<Learner> {
        let train = &self.config.train;
        let context = Attach { seed: train.seed, learning_rate: train.learning_rate };
        let adapter = methods::attach(&mut model, &self.config.method, &context)?;
        let mut learner = Learner::new(model, adapter, self.optimizer.build(train));
        learner.settle();
        Ok(learner)
    }
}

//! One optimizer step: micro-batches, clipping, update.

use burn::tensor::{DType, Device, Tensor};
use crossbeam_channel::{Receiver, Sender, bounded};
use data::Batch;
use protocol::config::TrainConfig;
use protocol::{Control, Result};

use super::backward::Backward;
use super::clock::Clock;
use super::layout::Layout;
use crate::methods::Adapter;
use crate::models::Model;
use crate::nn::{AdapterView, DropoutKey, Gradients, Param, ParamId, Space, Value, on, ops};
use crate::optim::{Optimizer, Subject, Trained, Update, block_matrices};

/// What is trained, and with what.
pub struct Learner {
    pub model: Model,
    pub adapter: Option<Box<dyn Adapter>>,
    pub optimizer: Optimizer,
    /// Updates that were applied.
    pub updates: u32,
    pub lent: Lent,
}

/// What is trained, lent to somebody who reads it. It is waited for before an update: so nobody sees half of one, and
/// the update works in place instead of on a second copy of everything.
#[derive(Debug, Default)]
pub struct Lent(Option<Receiver<()>>);

impl Lent {
    /// Lends once more; what comes back is dropped by the borrower.
    pub fn lend(&mut self) -> Sender<()> {
        self.wait();
        let (back, waited) = bounded(0);
        self.0 = Some(waited);
        back
    }

    /// Waits until it is back.
    fn wait(&mut self) {
        if let Some(waited) = self.0.take() {
            // Nothing is ever sent: the end of the other side is the sign.
            waited.recv().unwrap_or_default();
        }
    }
}

/// Settings of a step that a run file fixes.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    pub seed: u64,
    pub weight_decay: f64,
    pub max_grad_norm: f64,
    pub layout: Layout,
    /// Factor on the loss for the backward pass, taken back before the update; 1 for none.
    pub loss_scale: f64,
}

impl StepSettings {
    pub fn new(config: &TrainConfig, layout: Layout) -> Self {
        Self {
            seed: config.seed,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
            layout,
            loss_scale: 1.0,
        }
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over the labelled tokens of all micro-batches.
    pub loss: f64,
    /// Without the loss scale.
    pub grad_norm: f64,
    /// False when loss or gradient was not finite: nothing was changed.
    pub applied: bool,
}

impl Learner {
    pub fn new(model: Model, adapter: Option<Box<dyn Adapter>>, optimizer: Optimizer) -> Self {
        Self { model, adapter, optimizer, updates: 0, lent: Lent::default() }
    }

    /// Trains on the micro-batches of one step, numbered from 0, whole or in pieces. None if the user stopped: nothing was
    /// changed.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn step(
        &mut self,
        batches: &[Batch],
        step: u64,
        lr: f64,
        settings: &StepSettings,
        control: &Control,
    ) -> Result<Option<StepResult>> {
        self.timed_step(batches, step, lr, settings, control, &Clock::off())
    }

    /// [`step`](Self::step), with the time of its parts.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn timed_step(
        &mut self,
        batches: &[Batch],
        step: u64,
        lr: f64,
        settings: &StepSettings,
        control: &Control,
        clock: &Clock,
    ) -> Result<Option<StepResult>> {
        let weight = weight_of(batches);
        let share = Share { weight, ..self.share(step, settings, control, clock) };
        let Some(found) = share.compute(numbered(batches))? else { return Ok(None) };
        let result = self.conclude(found, weight, lr, settings)?;
        clock.lap(|phases| &mut phases.optimizer);
        Ok(Some(result))
    }

    /// The way of rows through this model in step `step`; their weight is for the caller to say.
    pub fn share<'a>(
        &'a self,
        step: u64,
        settings: &'a StepSettings,
        control: &'a Control,
        clock: &'a Clock,
    ) -> Share<'a> {
        let adapter = self.adapter.as_deref().map(Adapter::view);
        Share { model: &self.model, adapter, step, weight: 1.0, settings, control, clock }
    }

    /// Clips and updates, with the gradients of all rows of a step; `weight` is [`weight_of`] them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn conclude(
        &mut self,
        Found { gradients, loss }: Found,
        weight: f32,
        lr: f64,
        settings: &StepSettings,
    ) -> Result<StepResult> {
        let norm = unscaled(global_norm(&gradients, &self.model), settings.loss_scale);
        let (loss, grad_norm) = read_pair(loss * weight, norm.clone())?;
        let applied = loss.is_finite() && grad_norm.is_finite();
        if applied {
            self.apply(gradients, norm, lr, settings)?;
        }
        Ok(StepResult { loss, grad_norm, applied })
    }

    fn apply(
        &mut self,
        gradients: Gradients,
        norm: Tensor<1>,
        lr: f64,
        settings: &StepSettings,
    ) -> Result<()> {
        self.lent.wait();
        self.updates += 1;
        let scale = if settings.max_grad_norm > 0.0 {
            // torch.nn.utils.clip_grad_norm_: max / (norm + 1e-6), at most 1.
            (norm + 1e-6).recip().mul_scalar(settings.max_grad_norm).clamp_max(1.0)
        } else {
            norm.ones_like()
        };
        let scale = unscaled(scale, settings.loss_scale);
        let matrices = block_matrices(&self.model);
        for Group { device, rate, decays, gradients } in self.groups(gradients) {
            let weight_decay = if decays { settings.weight_decay } else { 0.0 };
            let grad_scale = on(scale.clone(), &device);
            let update = Update { lr: lr * rate, weight_decay, step: self.updates, grad_scale };
            let (ids, gradients): (Vec<_>, Vec<_>) = gradients.into_iter().unzip();
            let values: Vec<_> = ids.iter().filter_map(|id| self.taken(*id)).collect();
            let (model, adapter) = (&self.model, self.adapter.as_deref());
            let subject = |id: &ParamId| {
                let Param { name, shape, .. } = param(model, adapter, *id)?;
                Some(Subject { name, shape, block_matrix: matrices.get(id).copied() })
            };
            let params = ids.iter().filter_map(subject).zip(values).zip(gradients);
            let params = params.map(|((subject, value), gradient)| Trained { subject, value, gradient });
            let updated = self.optimizer.update_all(params.collect(), &update)?;
            self.put_values(ids.into_iter().zip(updated));
        }
        Ok(())
    }

    /// Gradients of what is trained, by all that an update may have of its own.
    fn groups(&self, gradients: Gradients) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (id, gradient) in gradients {
            let Some(param) = self.trained_param(id) else { continue };
            let (device, rate) = (gradient.device(), param.lr_scale);
            let decays = param.decay == crate::nn::Decay::Yes;
            let alike = |group: &&mut Group| {
                (group.rate.to_bits(), group.decays) == (rate.to_bits(), decays) && group.device == device
            };
            match groups.iter_mut().find(alike) {
                Some(group) => group.gradients.push((id, gradient)),
                None => groups.push(Group { device, rate, decays, gradients: vec![(id, gradient)] }),
            }
        }
        groups
    }

    /// The value of a parameter, which is without one until it is put back.
    fn taken(&mut self, id: ParamId) -> Option<Tensor<1>> {
        let param = trained(&mut self.model, self.adapter.as_deref_mut(), id)?;
        Some(std::mem::replace(&mut param.value, Value::Absent).into_flat())
    }

    /// Brings everything to the devices where it belongs, where layers are spread: an adapter's parameters and what the
    /// optimizer remembers are with their block.
    pub fn settle(&mut self) {
        if self.model.stages.is_none() {
            return;
        }
        self.model.settle();
        let model = &self.model;
        for param in self.adapter.iter_mut().flat_map(|adapter| adapter.params_mut().iter_mut()) {
            let value = std::mem::replace(&mut param.value, Value::Absent);
            param.value = value.on(model.place_of(&param.name));
        }
        self.optimizer.slots.settle(|name| model.place_of(name).clone());
    }

    /// A parameter, if it is trained.
    pub fn trained_param(&self, id: ParamId) -> Option<&Param> {
        param(&self.model, self.adapter.as_deref(), id).filter(|param| param.trainable)
    }

    /// Values of all that is trained or stands beside the model, flat.
    pub fn every_value(&self) -> impl Iterator<Item = (ParamId, Tensor<1>)> {
        let own = self.model.params.iter().filter(|(_, param)| param.trainable);
        let adapter = self.adapter.iter().flat_map(|adapter| adapter.params().iter());
        let there = |(_, param): &(ParamId, &Param)| !matches!(param.value, Value::Absent);
        own.chain(adapter).filter(there).map(|(id, param)| (id, param.value.flat()))
    }

    /// Puts such values in place.
    pub fn put_values(&mut self, values: impl IntoIterator<Item = (ParamId, Tensor<1>)>) {
        for (id, value) in values {
            if let Some(param) = trained(&mut self.model, self.adapter.as_deref_mut(), id) {
                param.value = Value::from_flat(value, &param.shape);
            }
        }
    }

    /// Every trained parameter with a name that is unique over model and adapter.
    pub fn trained_params(&self) -> impl Iterator<Item = (ParamId, &Param)> {
        let adapter = self.adapter.iter().flat_map(|adapter| adapter.params().iter());
        self.model.params.iter().chain(adapter).filter(|(_, param)| param.trainable)
    }
}

/// Parameters that share an update.
struct Group {
    device: Device,
    /// Factor on the learning rate.
    rate: f64,
    decays: bool,
    gradients: Vec<(ParamId, Tensor<1>)>,
}

/// The way of some of a step's rows through a model.
#[derive(Clone, Copy)]
pub struct Share<'a> {
    pub model: &'a Model,
    pub adapter: Option<&'a dyn AdapterView>,
    pub step: u64,
    /// 1 / labelled tokens of the whole step.
    pub weight: f32,
    pub settings: &'a StepSettings,
    pub control: &'a Control,
    pub clock: &'a Clock,
}

/// What came of a share.
pub struct Found {
    /// Of the summed loss times the weight and the loss scale.
    pub gradients: Gradients,
    /// Summed over labels, `[1]`, on the device.
    pub loss: Tensor<1>,
}

impl Share<'_> {
    /// Batches come with the numbers of their micro-batches. None if the user stopped.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn compute<'b>(&self, pieces: impl IntoIterator<Item = (u64, &'b Batch)>) -> Result<Option<Found>> {
        let Self { model, settings, .. } = *self;
        // In 16 bits products take so little that waking the threads for each would be felt.
        let _awake = (model.dtype != DType::F32).then(|| ops::awake(&model.device));
        let mut gradients = Gradients::new();
        let mut loss = Tensor::<1>::zeros([1], (&model.device, DType::F32));
        for (micro, batch) in pieces {
            let first_row = batch.first_row as u64;
            let key = DropoutKey { seed: settings.seed, step: self.step, micro, first_row };
            let backward = Backward {
                model,
                adapter: self.adapter,
                dropout: Some(key),
                layout: settings.layout,
                control: self.control,
                clock: self.clock,
            };
            match backward.run(batch, self.weight * settings.loss_scale as f32, &mut gradients)? {
                Some(sum) => loss = loss + sum,
                None => return Ok(None),
            }
        }
        Ok(Some(Found { gradients, loss }))
    }
}

/// 1 / labelled tokens of a step.
pub fn weight_of(batches: &[Batch]) -> f32 {
    let learned: u64 = batches.iter().map(|batch| batch.learned).sum();
    1.0 / learned.max(1) as f32
}

/// The batches of a step with the numbers of their micro-batches, from 0: a piece that is not its micro-batch's first
/// belongs to the one before.
pub fn numbered(batches: &[Batch]) -> impl Iterator<Item = (u64, &Batch)> {
    batches.iter().enumerate().scan(0, |micro, (index, batch)| {
        *micro += u64::from(index > 0 && batch.first_row == 0);
        Some((*micro, batch))
    })
}

fn param<'a>(model: &'a Model, adapter: Option<&'a dyn Adapter>, id: ParamId) -> Option<&'a Param> {
    match id.space {
        Space::Base => Some(model.params.get(id)),
        Space::Adapter => Some(adapter?.params().get(id)),
    }
}

fn trained<'a>(
    model: &'a mut Model,
    adapter: Option<&'a mut (dyn Adapter + 'static)>,
    id: ParamId,
) -> Option<&'a mut Param> {
    match id.space {
        Space::Base => Some(model.params.get_mut(id)),
        Space::Adapter => adapter.map(|adapter| adapter.params_mut().get_mut(id)),
    }
}

/// What a loss scale multiplied, without it.
fn unscaled(x: Tensor<1>, scale: f64) -> Tensor<1> {
    if scale == 1.0 { x } else { x.div_scalar(scale) }
}

/// L2 norm over all gradients, `[1]`, on the device.
fn global_norm(gradients: &Gradients, model: &Model) -> Tensor<1> {
    let mut by_device: Vec<(Device, Vec<Tensor<1>>)> = Vec::new();
    for gradient in gradients.values() {
        let device = gradient.device();
        match by_device.iter_mut().find(|(other, _)| *other == device) {
            Some((_, gradients)) => gradients.push(gradient.clone()),
            None => by_device.push((device, vec![gradient.clone()])),
        }
    }
    let squares =
        by_device.into_iter().map(|(_, gradients)| on(ops::sum_of_squares(gradients), &model.device));
    squares
        .reduce(|sum, more| sum + more)
        .map_or_else(|| Tensor::zeros([1], (&model.device, DType::F32)), Tensor::sqrt)
}

/// Both numbers in one read: the only wait for the device in a step.
fn read_pair(a: Tensor<1>, b: Tensor<1>) -> Result<(f64, f64)> {
    let numbers = crate::weights::read_f32(&Value::Vector(Tensor::cat(vec![a, b], 0)))?;
    match numbers.as_slice() {
        [a, b] => Ok((f64::from(*a), f64::from(*b))),
        _ => Err(crate::device_failure(&"a result is missing")),
    }
}

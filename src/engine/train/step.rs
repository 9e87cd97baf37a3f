//! One optimizer step: micro-batches, clipping, update.

use burn::tensor::{DType, Tensor};
use data::Batch;
use protocol::config::TrainConfig;
use protocol::{Control, Result};

use super::backward::Backward;
use super::clock::Clock;
use super::layout::Layout;
use crate::methods::Adapter;
use crate::models::Model;
use crate::nn::{DropoutKey, Gradients, Param, ParamId, Space, Value, ops};
use crate::optim::{Optimizer, Subject, Update, block_matrices};

/// What is trained, and with what.
pub struct Learner {
    pub model: Model,
    pub adapter: Option<Box<dyn Adapter>>,
    pub optimizer: Optimizer,
    /// Updates that were applied.
    pub updates: u32,
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
        let learned: u64 = batches.iter().map(|batch| batch.learned).sum();
        let weight = 1.0 / learned.max(1) as f32;
        let mut gradients = Gradients::new();
        let mut loss = Tensor::<1>::zeros([1], (&self.model.device, DType::F32));
        let mut micro = 0;
        for (index, batch) in batches.iter().enumerate() {
            micro += u64::from(index > 0 && batch.first_row == 0);
            let key = DropoutKey { seed: settings.seed, step, micro, first_row: batch.first_row as u64 };
            let backward = Backward {
                model: &self.model,
                adapter: self.adapter.as_deref().map(Adapter::view),
                dropout: Some(key),
                layout: settings.layout,
                control,
                clock,
            };
            match backward.run(batch, weight * settings.loss_scale as f32, &mut gradients)? {
                Some(sum) => loss = loss + sum,
                None => return Ok(None),
            }
        }
        let norm = unscaled(global_norm(&gradients, &self.model), settings.loss_scale);
        let (loss, grad_norm) = read_pair(loss * weight, norm.clone())?;
        let applied = loss.is_finite() && grad_norm.is_finite();
        if applied {
            self.apply(gradients, norm, lr, settings)?;
        }
        clock.lap(|phases| &mut phases.optimizer);
        Ok(Some(StepResult { loss, grad_norm, applied }))
    }

    fn apply(
        &mut self,
        gradients: Gradients,
        norm: Tensor<1>,
        lr: f64,
        settings: &StepSettings,
    ) -> Result<()> {
        self.updates += 1;
        let scale = if settings.max_grad_norm > 0.0 {
            // torch.nn.utils.clip_grad_norm_: max / (norm + 1e-6), at most 1.
            (norm + 1e-6).recip().mul_scalar(settings.max_grad_norm).clamp_max(1.0)
        } else {
            norm.ones_like()
        };
        let scale = unscaled(scale, settings.loss_scale);
        let matrices = block_matrices(&self.model);
        for (id, gradient) in gradients {
            let (lr, step) = (lr, self.updates);
            let optimizer = &mut self.optimizer;
            let param = trained(&mut self.model, self.adapter.as_deref_mut(), id);
            let Some(param) = param else { continue };
            let decay = if param.decay == crate::nn::Decay::Yes { settings.weight_decay } else { 0.0 };
            let update =
                Update { lr: lr * param.lr_scale, weight_decay: decay, step, grad_scale: scale.clone() };
            let value = std::mem::replace(&mut param.value, Value::Absent).into_flat();
            let block_matrix = matrices.get(&id).copied();
            let subject = Subject { name: &param.name, shape: &param.shape, block_matrix };
            let value = optimizer.update(&subject, value, gradient, &update)?;
            param.value = Value::from_flat(value, &param.shape);
        }
        Ok(())
    }

    /// Every trained parameter with a name that is unique over model and adapter.
    pub fn trained_params(&self) -> impl Iterator<Item = (ParamId, &Param)> {
        let adapter = self.adapter.iter().flat_map(|adapter| adapter.params().iter());
        self.model.params.iter().chain(adapter).filter(|(_, param)| param.trainable)
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
    let squares: Vec<Tensor<1>> =
        gradients.values().map(|gradient| ops::sum_of_squares(gradient.clone())).collect();
    if squares.is_empty() {
        return Tensor::zeros([1], (&model.device, DType::F32));
    }
    Tensor::cat(squares, 0).sum().sqrt()
}

/// Both numbers in one read: the only wait for the device in a step.
fn read_pair(a: Tensor<1>, b: Tensor<1>) -> Result<(f64, f64)> {
    let numbers = crate::weights::read_f32(&Value::Vector(Tensor::cat(vec![a, b], 0)))?;
    match numbers.as_slice() {
        [a, b] => Ok((f64::from(*a), f64::from(*b))),
        _ => Err(crate::device_failure(&"a result is missing")),
    }
}

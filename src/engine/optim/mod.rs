//! Optimizers and learning-rate schedules. An optimizer is one file here and one word in
//! `optimizers!`; a schedule is one entry of [`schedule`]'s table.

mod choice;
pub mod schedule;
mod slots;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use protocol::config::TrainConfig;
use protocol::{Descriptor, ParamSpec, Result, Text};

pub use choice::{Choice, Settings, optimizer_of};
pub use schedule::Schedule;
pub use slots::{Slots, Stored};

use crate::models::Model;
use crate::nn::ParamId;

/// What an update needs besides value and gradient.
#[derive(Clone, Debug)]
pub struct Update {
    pub lr: f64,
    pub weight_decay: f64,
    /// Counted from 1: the number of updates including this one.
    pub step: u32,
    /// `[1]`, on the device: factor on the gradient (clipping, and the loss scale taken back).
    pub grad_scale: Tensor<1>,
}

/// A parameter, as far as optimizers tell one from another.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Unique over model and adapter.
    pub name: &'a str,
    pub shape: &'a [usize],
    /// Outputs and inputs, where it is a matrix of the model's own blocks.
    pub block_matrix: Option<[usize; 2]>,
}

impl Subject<'_> {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Outputs and inputs of every matrix of the model's blocks, whichever way it is stored: what Muon turns into an
/// orthogonal step. Embeddings, head, norms and biases are not among them.
pub fn block_matrices(model: &Model) -> BTreeMap<ParamId, [usize; 2]> {
    let sites = model.sites.iter().filter(|site| site.layer.is_some());
    sites.map(|site| (site.weight, [site.outputs, site.inputs])).collect()
}

/// A parameter on its way through an update.
pub struct Trained<'a> {
    pub subject: Subject<'a>,
    /// Flat and f32, as the gradient is.
    pub value: Tensor<1>,
    pub gradient: Tensor<1>,
}

/// How a gradient becomes an update. What it remembers of each parameter is in the [`Slots`].
pub trait Rule: Send {
    /// The new value of a parameter; value and gradient are flat and f32.
    ///
    /// # Errors
    /// When the device fails, where a state is brought to the host.
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>>;

    /// The new values of parameters that share an update; where there is nothing to gain from it, one after the other.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    fn update_all(
        &self,
        slots: &mut Slots,
        params: Vec<Trained<'_>>,
        update: &Update,
    ) -> Result<Vec<Tensor<1>>> {
        one_by_one(self, slots, params, update)
    }
}

/// [`Rule::update`] of each.
///
/// # Errors
/// As it.
fn one_by_one<R: Rule + ?Sized>(
    rule: &R,
    slots: &mut Slots,
    params: Vec<Trained<'_>>,
    update: &Update,
) -> Result<Vec<Tensor<1>>> {
    let one = |Trained { subject, value, gradient }| rule.update(slots, &subject, value, gradient, update);
    params.into_iter().map(one).collect()
}

/// A rule with what it remembers.
pub struct Optimizer {
    rule: Box<dyn Rule>,
    pub slots: Slots,
}

impl Optimizer {
    /// See [`Rule::update_all`].
    ///
    /// # Errors
    /// As there.
    pub fn update_all(&mut self, params: Vec<Trained<'_>>, update: &Update) -> Result<Vec<Tensor<1>>> {
        self.rule.update_all(&mut self.slots, params, update)
    }
}

/// The optimizer of a run file.
///
/// # Errors
/// When nobody knows it, or its settings cannot be used.
pub fn build(config: &TrainConfig) -> Result<Optimizer> {
    Ok(Choice::of(config)?.build(config))
}

/// What one optimizer's file exports.
pub struct OptimizerEntry {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// Settings in `[train.optimizer_settings]`.
    pub params: fn() -> Vec<ParamSpec>,
    /// Keys of `[train]` that say nothing to it: setting them is refused.
    pub ignores: &'static [&'static str],
    /// Whether it is made for the model's own matrices and not for an adapter's.
    pub whole_models_only: bool,
    /// Whether states live on the host and come to the device for their parameter's update only.
    pub on_host: bool,
    /// Bytes of the state of one parameter.
    pub state_bytes: fn(&Settings, &Subject<'_>) -> u64,
    pub rule: fn(&TrainConfig, &Settings) -> Box<dyn Rule>,
}

macro_rules! optimizers {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every optimizer this program knows.
        pub const OPTIMIZERS: &[&OptimizerEntry] = &[$(&$module::OPTIMIZER),*];
    };
}

optimizers! { adamw, adamw_8bit, paged_adamw, adafactor, lion, sgd, muon }

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    OPTIMIZERS
        .iter()
        .map(|entry| Descriptor {
            id: entry.id.into(),
            name: entry.name.clone(),
            help: entry.help.clone(),
            params: (entry.params)(),
        })
        .collect()
}

//! Optimizers and learning-rate schedules. An optimizer is one file here and one word in
//! `optimizers!`.

pub mod schedule;

use burn::tensor::Tensor;
use protocol::config::{TrainConfig, nearest};
use protocol::{Descriptor, Result, Text, UserError, text};

pub use schedule::Schedule;

/// What an update needs besides value and gradient.
#[derive(Clone, Debug)]
pub struct Update {
    pub lr: f64,
    pub weight_decay: f64,
    /// Counted from 1: the number of updates including this one.
    pub step: u32,
    /// `[1]`, on the device: factor on the gradient (clipping).
    pub grad_scale: Tensor<1>,
}

/// Turns gradients into updates, with a state for each parameter, kept by the parameter's name.
pub trait Optimizer: Send {
    /// The new value of a parameter; all tensors flat and f32.
    fn update(&mut self, name: &str, value: Tensor<1>, gradient: Tensor<1>, update: &Update) -> Tensor<1>;

    /// Every state tensor with a name that [`restore`](Self::restore) understands.
    fn state(&self) -> Vec<(String, Tensor<1>)>;

    fn restore(&mut self, name: &str, tensor: Tensor<1>);
}

/// What one optimizer's file exports.
pub struct OptimizerEntry {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// State on the device for one trained element.
    pub bytes_per_element: u64,
    pub build: fn(&TrainConfig) -> Box<dyn Optimizer>,
}

macro_rules! optimizers {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every optimizer this program knows.
        pub const OPTIMIZERS: &[&OptimizerEntry] = &[$(&$module::OPTIMIZER),*];
    };
}

optimizers! { adamw }

/// The optimizer of a run file.
///
/// # Errors
/// When nobody knows it; names the nearest.
pub fn optimizer_of(id: &str) -> Result<&'static OptimizerEntry> {
    OPTIMIZERS.iter().copied().find(|entry| entry.id == id).ok_or_else(|| {
        let known: Vec<_> = OPTIMIZERS.iter().map(|entry| entry.id).collect();
        let near = nearest(id, known.iter().copied()).unwrap_or("adamw");
        UserError::bad_input(text!("There is no optimizer `{id}`", "没有名为 `{id}` 的优化器"))
            .at_item("train.optimizer")
            .mend(text!("did you mean `{near}`?", "是否想用 `{near}`？"))
    })
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    OPTIMIZERS
        .iter()
        .map(|entry| Descriptor {
            id: entry.id.into(),
            name: entry.name.clone(),
            help: entry.help.clone(),
            params: Vec::new(),
        })
        .collect()
}

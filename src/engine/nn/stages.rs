//! A model whose blocks are on several devices: the hidden state goes from one to the next, and what a pass needs beside
//! it is there on each.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};

use super::ops::Mask;
use super::{KeysValues, Positions, Rotary, Value, View};

/// Which device has which blocks.
#[derive(Clone, Debug)]
pub struct Stages {
    /// One a block.
    devices: Vec<Device>,
}

impl Stages {
    /// So many `blocks` on each of `devices`, in the model's order.
    pub fn new(devices: &[Device], blocks: &[usize]) -> Self {
        let each = devices.iter().zip(blocks);
        Self {
            devices: each.flat_map(|(device, blocks)| std::iter::repeat_n(device.clone(), *blocks)).collect(),
        }
    }

    /// None beyond the last block.
    pub fn device(&self, block: usize) -> Option<&Device> {
        self.devices.get(block)
    }
}

/// On `device`: the same tensor, if it is there already.
pub fn on<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if tensor.device() == *device { tensor } else { tensor.to_device(device) }
}

impl Value {
    /// On `device`, where it is a tensor of its own; what is packed or elsewhere stays.
    pub fn on(self, device: &Device) -> Self {
        match self {
            Self::Vector(vector) => Self::Vector(on(vector, device)),
            Self::Matrix(matrix) => Self::Matrix(on(matrix, device)),
            other @ (Self::Packed(_) | Self::Elsewhere(_) | Self::Absent) => other,
        }
    }
}

impl KeysValues {
    pub fn on(self, device: &Device) -> Self {
        Self { keys: on(self.keys, device), values: on(self.values, device) }
    }
}

impl View {
    fn on(&self, device: &Device) -> Self {
        let table = |(cos, sin): &(Tensor<3>, Tensor<3>)| (on(cos.clone(), device), on(sin.clone(), device));
        let rotary = self.rotary.as_ref().map(|rotary| Rotary {
            tables: rotary.tables.iter().map(table).collect(),
            interleaved: rotary.interleaved,
        });
        let mask = match &self.mask {
            Mask::Bias(bias) => Mask::Bias(on(bias.clone(), device)),
            Mask::Causal(causal) => Mask::Causal(causal.clone()),
        };
        Self { rotary, mask }
    }
}

/// The positions of a pass on other devices, made when a block there needs them. A clone has none: it may be changed.
#[derive(Default)]
pub struct Copies(Mutex<Vec<(Device, Arc<Positions>)>>);

impl Clone for Copies {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copies").finish_non_exhaustive()
    }
}

impl Positions {
    /// The same on another device. What a family keeps of its own stays where it is: its layers cannot be spread.
    pub fn on(&self, device: &Device) -> Arc<Self> {
        let mut copies = self.copies.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, copy)) = copies.iter().find(|(other, _)| other == device) {
            return Arc::clone(copy);
        }
        let copy = Arc::new(Self {
            offset: self.offset,
            views: self.views.iter().map(|view| view.on(device)).collect(),
            prompt: self.prompt,
            prefix: self.prefix.iter().map(|front| front.clone().on(device)).collect(),
            ids: self.ids.clone().to_device(device),
            own: self.own.clone(),
            copies: Copies::default(),
        });
        copies.push((device.clone(), Arc::clone(&copy)));
        copy
    }
}

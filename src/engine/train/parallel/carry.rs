//! How gradients and values come from one worker to another.

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{DType, Device, Tensor, TensorData};
use protocol::Result;

use crate::nn::{Gradients, ParamId, add_gradient};
use crate::train::step::Learner;

/// How the workers of a run reach each other.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// Through the host's memory, or where they have one device, as they are.
    Host,
    /// Among these devices, by the driver's own means (NCCL). All of them must take part in every exchange.
    Collective(Vec<Device>),
}

/// A flat tensor on its way to another worker.
#[derive(Clone, Debug)]
pub enum Carried {
    /// To a worker on the same device.
    Here(Tensor<1>),
    Host(TensorData),
}

impl Carried {
    /// # Errors
    /// When the device fails on the way to the host.
    pub fn new(tensor: Tensor<1>, to: &Device) -> Result<Self> {
        if tensor.device() == *to {
            return Ok(Self::Here(tensor));
        }
        tensor.try_into_data().map(Self::Host).map_err(|err| crate::device_failure(&err))
    }

    pub fn arrived(self, device: &Device) -> Tensor<1> {
        match self {
            Self::Here(tensor) => tensor,
            Self::Host(data) => {
                let dtype = data.dtype();
                Tensor::from_data(data, (device, dtype))
            }
        }
    }
}

/// Values or gradients of parameters.
pub type Parcel = Vec<(ParamId, Carried)>;

/// # Errors
/// When the device fails on the way to the host.
pub fn parcel(tensors: impl IntoIterator<Item = (ParamId, Tensor<1>)>, to: &Device) -> Result<Parcel> {
    tensors.into_iter().map(|(id, tensor)| Ok((id, Carried::new(tensor, to)?))).collect()
}

/// Adds what another worker found.
pub fn add(into: &mut Gradients, parcel: Parcel, device: &Device) {
    for (id, carried) in parcel {
        add_gradient(into, id, carried.arrived(device));
    }
}

/// The sum over all devices of one vector from each, on each. Everybody has to call it.
pub fn summed(flat: Tensor<1>, devices: &[Device]) -> Tensor<1> {
    all_reduce(flat, ReduceOperation::Sum, devices.to_vec()).resolve()
}

/// One f32 vector of all that is trained, in its order: `of` each parameter, zeros where there is none.
pub fn joined(learner: &Learner, of: impl Fn(ParamId) -> Option<Tensor<1>>) -> Tensor<1> {
    let options = (&learner.model.device, DType::F32);
    let parts = learner.trained_params().map(|(id, param)| match of(id) {
        Some(part) => part.cast(DType::F32),
        None => Tensor::zeros([param.elements()], options),
    });
    Tensor::cat(parts.collect(), 0)
}

/// The inverse of [`joined`].
pub fn parted(learner: &Learner, flat: &Tensor<1>) -> Vec<(ParamId, Tensor<1>)> {
    let part = |at: &mut usize, (id, elements): (ParamId, usize)| {
        let first = *at;
        *at += elements;
        Some((id, flat.clone().narrow(0, first, elements)))
    };
    learner.trained_params().map(|(id, param)| (id, param.elements())).scan(0, part).collect()
}

//! What settings cost in memory, by the model's shapes: one calculation for the plan, the estimate and the
//! remedies, which ask what other settings would cost.

use burn::tensor::DType;
use protocol::{MemoryForecast, Result, RunConfig};

use crate::device::{self, Chosen};
use crate::memory::{self, Needs};
use crate::methods::Footprint;
use crate::models::ModelFolder;
use crate::nn::Quantization;
use crate::optim::{OptimizerEntry, optimizer_of};

/// A model on a device, to be trained.
pub struct Costs<'a> {
    pub folder: &'a ModelFolder,
    pub optimizer: &'static OptimizerEntry,
    pub dtype: DType,
    pub quantization: Option<Quantization>,
    /// Bytes that may be used; 0 if unknown.
    pub budget: u64,
    fused: bool,
    chosen: &'a Chosen,
}

/// What one micro-batch costs.
pub struct Cost {
    pub forecast: MemoryForecast,
    pub kept_graphs: usize,
}

impl<'a> Costs<'a> {
    /// # Errors
    /// When optimizer, dtype or memory budget of the run file cannot be used.
    pub fn new(folder: &'a ModelFolder, config: &RunConfig, chosen: &'a Chosen) -> Result<Self> {
        let optimizer = optimizer_of(&config.train.optimizer)?;
        let dtype = device::compute_dtype(&config.model.dtype, chosen)?;
        let budget = memory::budget(&config.train, device::memory_free(chosen))?;
        let fused = device::fuses(chosen, dtype);
        let quantization = folder.model().quantization;
        Ok(Self { folder, optimizer, dtype, quantization, budget, fused, chosen })
    }

    /// The same settings computed in bf16, where the device does that and they are not already.
    pub fn in_bf16(&self) -> Option<Self> {
        let dtype = device::compute_dtype("bf16", self.chosen).ok().filter(|dtype| *dtype != self.dtype)?;
        Some(Self { dtype, fused: device::fuses(self.chosen, dtype), ..*self })
    }

    /// The same settings on matrices in NF4, where they are not quantised already.
    pub fn in_nf4(&self) -> Option<Self> {
        let dense = self.quantization.is_none();
        dense.then_some(Self { quantization: Some(Quantization::Nf4), ..*self })
    }

    /// Micro-batches of `rows` rows of `time` tokens.
    pub fn of(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let needs = Needs {
            model: self.folder.model(),
            frozen: self.folder.model().params.elements() - footprint.own,
            quantization: self.quantization,
            trained: footprint.trainable(),
            element: if self.dtype == DType::F32 { 4 } else { 2 },
            optimizer_bytes_per_element: self.optimizer.bytes_per_element,
            rows,
            time,
            kept_graphs: 0,
            base_learns: footprint.own > 0,
            fused: self.fused,
        };
        let kept_graphs = memory::affordable_graphs(&needs, self.budget);
        let needs = Needs { kept_graphs: kept_graphs as u64, ..needs };
        Cost { forecast: memory::forecast(&needs, self.budget), kept_graphs }
    }
}

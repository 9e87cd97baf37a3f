//! What settings cost in memory, by the model's shapes: one calculation for the plan, the estimate and the
//! remedies, which ask what other settings would cost.

use burn::tensor::DType;
use protocol::{DeviceKind, MemoryForecast, Result, RunConfig};

use crate::device::{self, Chosen};
use crate::memory::{self, Needs};
use crate::methods::Footprint;
use crate::models::ModelFolder;
use crate::nn::Quantization;
use crate::optim::{Choice, Subject, block_matrices};

/// A model on a device, to be trained.
pub struct Costs<'a> {
    pub folder: &'a ModelFolder,
    pub optimizer: Choice,
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
        let optimizer = Choice::of(&config.train)?;
        let dtype = device::compute_dtype(&config.model.dtype, chosen)?;
        let budget = memory::budget(&config.train, device::memory_free(chosen))?;
        let fused = device::fuses(chosen, dtype);
        let quantization = folder.model().quantization;
        Ok(Self { folder, optimizer, dtype, quantization, budget, fused, chosen })
    }

    /// The same settings computed in bf16, where the device does that and they are not already.
    pub fn in_bf16(&self) -> Option<Self> {
        let dtype = device::compute_dtype("bf16", self.chosen).ok().filter(|dtype| *dtype != self.dtype)?;
        let fused = device::fuses(self.chosen, dtype);
        Some(Self { dtype, fused, optimizer: self.optimizer.clone(), ..*self })
    }

    /// The same settings on matrices in NF4, where they are not quantised already.
    pub fn in_nf4(&self) -> Option<Self> {
        let dense = self.quantization.is_none();
        dense.then(|| Self {
            quantization: Some(Quantization::Nf4),
            optimizer: self.optimizer.clone(),
            ..*self
        })
    }

    /// Micro-batches of `rows` rows of `time` tokens.
    pub fn of(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let model = self.folder.model();
        let own = footprint.own_elements(model);
        let needs = Needs {
            model,
            frozen: model.params.elements() - own,
            quantization: self.quantization,
            trained: footprint.trainable(model),
            element: if self.dtype == DType::F32 { 4 } else { 2 },
            optimizer_bytes: self.optimizer_bytes(footprint),
            rows,
            time,
            kept_graphs: 0,
            base_learns: own > 0,
            fused: self.fused,
        };
        let kept_graphs = memory::affordable_graphs(&needs, self.budget);
        let needs = Needs { kept_graphs: kept_graphs as u64, ..needs };
        Cost { forecast: memory::forecast(&needs, self.budget), kept_graphs }
    }

    /// Bytes of the optimizer's states on the device.
    fn optimizer_bytes(&self, footprint: &Footprint) -> u64 {
        let model = self.folder.model();
        let matrices = block_matrices(model);
        let own = footprint.own.iter().map(|id| {
            let param = model.params.get(*id);
            Subject { name: &param.name, shape: &param.shape, block_matrix: matrices.get(id).copied() }
        });
        let added = footprint.added.iter().filter(|(_, param)| param.trainable);
        let added =
            added.map(|(_, param)| Subject { name: &param.name, shape: &param.shape, block_matrix: None });
        self.optimizer.bytes(own.chain(added), self.chosen.report.kind == DeviceKind::Cuda)
    }
}

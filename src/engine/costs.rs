//! What settings cost in memory, by the model's shapes: one calculation for the plan, the estimate and the
//! remedies, which ask what other settings would cost.

use std::cell::OnceCell;

use burn::tensor::DType;
use protocol::{DeviceKind, MemoryForecast, Result, RunConfig, Text};

use crate::device::{self, Chosen};
use crate::memory::{self, Needs};
use crate::methods::Footprint;
use crate::models::ModelFolder;
use crate::nn::Quantization;
use crate::optim::{Choice, Subject, block_matrices};
use crate::planner::{self, Choices};
use crate::train::Layout;

/// A model on a device, to be trained.
pub struct Costs<'a> {
    pub folder: &'a ModelFolder,
    pub optimizer: Choice,
    pub dtype: DType,
    pub quantization: Option<Quantization>,
    /// Bytes that may be used; 0 if unknown.
    pub budget: u64,
    /// Tokens of an answer to a sample.
    answer: u64,
    /// Micro-batches of a step.
    accumulation: u64,
    /// Whether rows hold several texts.
    packed: bool,
    fused: bool,
    chosen: &'a Chosen,
    /// Bytes of weights read in a second, once that was asked.
    speed: OnceCell<Option<f64>>,
}

/// What one micro-batch costs.
pub struct Cost {
    pub forecast: MemoryForecast,
    pub layout: Layout,
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
        let (answer, accumulation) = (config.train.sample_tokens, config.train.gradient_accumulation.max(1));
        let speed = OnceCell::new();
        Ok(Self {
            folder,
            optimizer,
            dtype,
            quantization,
            budget,
            answer,
            accumulation,
            packed: config.data.packing,
            fused,
            chosen,
            speed,
        })
    }

    /// The same settings computed in bf16, where the device does that and they are not already.
    pub fn in_bf16(&self) -> Option<Self> {
        let dtype = device::compute_dtype("bf16", self.chosen).ok().filter(|dtype| *dtype != self.dtype)?;
        let fused = device::fuses(self.chosen, dtype);
        Some(Self { dtype, fused, optimizer: self.optimizer.clone(), speed: OnceCell::new(), ..*self })
    }

    /// The same settings with several texts in a row.
    pub fn packing(&self) -> Self {
        Self { packed: true, optimizer: self.optimizer.clone(), speed: OnceCell::new(), ..*self }
    }

    /// The same settings on matrices in NF4, where they are not quantised already.
    pub fn in_nf4(&self) -> Option<Self> {
        let (quantization, optimizer) = (Some(Quantization::Nf4), self.optimizer.clone());
        let dense = self.quantization.is_none();
        dense.then(|| Self { quantization, optimizer, speed: OnceCell::new(), ..*self })
    }

    /// Micro-batches of `rows` rows of `time` tokens.
    pub fn of(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let (layout, forecast) =
            planner::plan(&self.needs(footprint, rows, time), self.choices(), self.budget);
        Cost { forecast, layout }
    }

    /// The same, with how a step will go in words.
    pub fn told(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let Cost { mut forecast, layout } = self.of(footprint, rows, time);
        let streams = (layout.streamed > 0).then(|| self.streams(&forecast, &layout));
        forecast.plan = planner::words(&layout, &self.needs(footprint, rows, time), streams);
        if layout.streamed > 0 {
            forecast.plan.extend(self.without_streaming(footprint, rows, time));
        }
        Cost { forecast, layout }
    }

    /// The setting with which all weights would have room on the device. It changes numbers: a choice of the user's.
    fn without_streaming(&self, footprint: &Footprint, rows: u64, time: u64) -> Option<Text> {
        let rests = |costs: &Self| {
            let cost = costs.of(footprint, rows, time);
            cost.forecast.fits && cost.layout.streamed == 0
        };
        if self.in_bf16().is_some_and(|costs| rests(&costs)) {
            return Some(Text::fixed(
                "With model.dtype = \"bf16\" all weights would stay in memory, and steps be faster",
                "若设 model.dtype = \"bf16\"，所有权重都可留在内存中，训练更快",
            ));
        }
        self.in_nf4().is_some_and(|costs| rests(&costs)).then(|| {
            Text::fixed(
                "With model.quantization = \"nf4\" all weights would stay in memory, and steps be faster",
                "若设 model.quantization = \"nf4\"，所有权重都可留在内存中，训练更快",
            )
        })
    }

    fn needs(&self, footprint: &Footprint, rows: u64, time: u64) -> Needs<'a> {
        let model = self.folder.model();
        let own = footprint.own_elements(model);
        Needs {
            model,
            frozen: model.params.elements() - own,
            quantization: self.quantization,
            trained: footprint.trainable(model),
            element: if self.dtype == DType::F32 { 4 } else { 2 },
            optimizer_bytes: self.optimizer_bytes(footprint),
            rows,
            time,
            front: footprint.front,
            beside: footprint.beside,
            answer: time.saturating_add(self.answer).min(self.folder.info.context as u64),
            accumulates: self.accumulation > 1,
            packed: self.packed,
            base_learns: own > 0,
            fused: self.fused,
        }
    }

    fn choices(&self) -> Choices {
        let model = self.folder.model();
        // Families whose mask learns read dicts, and the words that stand in one dict compete with those of all.
        let dicts = model.decoder.pair_bias(&model.info).is_some_and(|bias| bias.learned);
        Choices {
            stream: self.folder.checkpoint.is_some() && self.quantization.is_none(),
            host: self.chosen.report.kind == DeviceKind::Cuda,
            paged: false,
            divide: !dicts,
        }
    }

    /// Bytes of weights that a step reads, forwards and backwards, and the seconds that takes.
    fn streams(&self, forecast: &MemoryForecast, layout: &Layout) -> (u64, Option<f64>) {
        let passes = 2 * self.accumulation.saturating_mul(layout.pieces as u64);
        let bytes = forecast.streamed.saturating_mul(passes);
        let speed = *self.speed.get_or_init(|| self.folder.reading_speed(self.dtype));
        (bytes, speed.map(|speed| bytes as f64 / speed))
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

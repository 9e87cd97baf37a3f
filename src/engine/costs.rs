//! What settings cost in memory, by the model's shapes: one calculation for the plan, the estimate and the
//! remedies, which ask what other settings would cost.

use std::cell::OnceCell;

use burn::tensor::DType;
use protocol::config::Parallel;
use protocol::{DeviceForecast, MemoryForecast, Result, RunConfig, Text, text};

use crate::device::{self, Chosen};
use crate::memory::{self, Needs};
use crate::methods::Footprint;
use crate::models::ModelFolder;
use crate::nn::Quantization;
use crate::nn::ops::own;
use crate::optim::{Choice, Subject, block_matrices};
use crate::planner::{self, Choices};
use crate::spread;
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
    parallel: Parallel,
    /// The budget is the user's word, and each device's.
    fixed: bool,
    /// Bytes of weights read in a second, once that was asked.
    speed: OnceCell<Option<f64>>,
}

/// What one micro-batch costs.
pub struct Cost {
    pub forecast: MemoryForecast,
    pub layout: Layout,
    pub sharing: Sharing,
}

/// How the devices of a run share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// There is one.
    Alone,
    /// Each has the model and computes its share of the rows.
    Rows,
    /// Each has so many of the blocks, in their order; the first has embedding and head, too.
    Layers(Vec<usize>),
}

impl<'a> Costs<'a> {
    /// # Errors
    /// When optimizer, dtype or memory budget of the run file cannot be used.
    pub fn new(folder: &'a ModelFolder, config: &RunConfig, chosen: &'a Chosen) -> Result<Self> {
        if chosen.count() > 1 && config.train.parallel == Parallel::Layers {
            spread::refuse(folder.model(), chosen.count())?;
        }
        let optimizer = Choice::of(&config.train)?;
        let dtype = device::compute_dtype(&config.model.dtype, chosen)?;
        let budget = memory::budget(&config.train, device::memory_free_each(chosen))?;
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
            parallel: config.train.parallel,
            fixed: memory::budget(&config.train, 0)? > 0,
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
        if self.chosen.count() == 1 {
            let (layout, forecast) =
                planner::plan(&self.needs(footprint, rows, time), self.choices(), self.budget);
            return Cost { forecast, layout, sharing: Sharing::Alone };
        }
        match self.parallel {
            Parallel::Data => self.by_rows(footprint, rows, time),
            Parallel::Layers => self.by_layers(footprint, rows, time),
            Parallel::Auto => {
                let shared = self.by_rows(footprint, rows, time);
                if shared.forecast.fits && shared.layout.streamed == 0 || !spread::can(self.folder.model()) {
                    return shared;
                }
                let spread = self.by_layers(footprint, rows, time);
                if spread.forecast.fits { spread } else { shared }
            }
        }
    }

    /// Each device with the whole model and its share of the rows.
    fn by_rows(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let one_memory = self.chosen.shares_memory();
        let needs = self.needs_by_rows(footprint, rows, time);
        let budget =
            if one_memory && self.fixed { self.budget.saturating_mul(self.workers()) } else { self.budget };
        let (layout, mut forecast) = planner::plan(&needs, self.choices(), budget);
        // The first one alone has what the optimizer remembers, and in one memory the weights.
        let shared = forecast.optimizer + if one_memory { forecast.weights } else { 0 };
        let another = match one_memory {
            true => forecast.total.saturating_sub(shared) / self.workers(),
            false => forecast.total.saturating_sub(shared),
        };
        let available = if one_memory { budget / self.workers() } else { budget };
        let device = |(at, one): (usize, &Chosen)| DeviceForecast {
            device: one.report.word(),
            blocks: 0,
            total: if at == 0 { another + shared } else { another },
            available,
        };
        forecast.devices = self.chosen.all().enumerate().map(device).collect();
        Cost { forecast, layout, sharing: Sharing::Rows }
    }

    fn needs_by_rows(&self, footprint: &Footprint, rows: u64, time: u64) -> Needs<'a> {
        // Dicts stay together.
        let each = if self.choices().divide { rows.div_ceil(self.workers()) } else { rows };
        let workers = if self.chosen.shares_memory() { self.workers() } else { 1 };
        Needs { workers, ..self.needs(footprint, each, time) }
    }

    /// Each device with some of the blocks.
    fn by_layers(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let needs = self.needs(footprint, rows, time);
        let each = if self.chosen.shares_memory() && !self.fixed {
            self.budget / self.workers()
        } else {
            self.budget
        };
        let names = self.chosen.all().map(|one| one.report.word()).collect::<Vec<_>>();
        let loads = spread::Loads::new(self.folder.model(), footprint, &needs, &|subject| {
            self.optimizer.bytes(std::iter::once(subject), self.chosen.report.kind.is_gpu())
        });
        let spread = spread::plan(&needs, self.choices().divide, &loads, &names, each);
        Cost { forecast: spread.forecast, layout: spread.layout, sharing: Sharing::Layers(spread.blocks) }
    }

    fn workers(&self) -> u64 {
        self.chosen.count() as u64
    }

    /// The same, with how a step will go in words.
    pub fn told(&self, footprint: &Footprint, rows: u64, time: u64) -> Cost {
        let Cost { mut forecast, layout, sharing } = self.of(footprint, rows, time);
        let streams = (layout.streamed > 0).then(|| self.streams(&forecast, &layout));
        let needs = match sharing {
            Sharing::Rows => self.needs_by_rows(footprint, rows, time),
            Sharing::Alone | Sharing::Layers(_) => self.needs(footprint, rows, time),
        };
        forecast.plan = sharing_in_words(&sharing, &forecast, &needs);
        forecast.plan.extend(planner::words(&layout, &needs, streams));
        if layout.streamed > 0 {
            forecast.plan.extend(self.without_streaming(footprint, rows, time));
        }
        Cost { forecast, layout, sharing }
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
        let learned = footprint.own_elements(model);
        Needs {
            model,
            frozen: model.params.elements() - learned,
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
            base_learns: learned > 0,
            fused: self.fused,
            own: own::serving(&self.chosen.device, self.dtype),
            workers: 1,
        }
    }

    fn choices(&self) -> Choices {
        let model = self.folder.model();
        // Families whose mask learns read dicts, and the words that stand in one dict compete with those of all.
        let dicts = model.decoder.pair_bias(&model.info).is_some_and(|bias| bias.learned);
        Choices {
            stream: self.folder.checkpoint.is_some() && self.quantization.is_none(),
            host: self.chosen.report.kind.is_gpu(),
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
        self.optimizer.bytes(own.chain(added), self.chosen.report.kind.is_gpu())
    }
}

/// What each device does, for people; nothing where there is one.
fn sharing_in_words(sharing: &Sharing, forecast: &MemoryForecast, needs: &Needs<'_>) -> Vec<Text> {
    match sharing {
        Sharing::Alone => Vec::new(),
        Sharing::Rows => {
            let (count, rows) = (forecast.devices.len(), needs.rows);
            vec![text!(
                "Each of {count} devices has the model and trains its share of every batch: up to {rows} rows",
                "{count} 个设备各有完整模型，各自训练每个批次的一部分：最多 {rows} 行"
            )]
        }
        Sharing::Layers(blocks) => {
            let each: Vec<String> = forecast
                .devices
                .iter()
                .zip(blocks)
                .map(|(one, blocks)| format!("{}: {blocks}", one.device))
                .collect();
            let each = each.join(", ");
            vec![text!(
                "The layers are spread over the devices ({each}); they compute one after the other",
                "各层分布在多个设备上（{each}），依次计算"
            )]
        }
    }
}

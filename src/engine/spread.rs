//! Layers spread over several devices: which device has which blocks. The blocks stay in their order, so that the hidden
//! state goes from one device to the next; what belongs to no block (embedding, final norm, head, what an adapter has in
//! front of all layers) is on the first.

use protocol::{DeviceForecast, MemoryForecast, Result, Text, UserError, text};

use crate::memory::{self, Needs};
use crate::methods::Footprint;
use crate::models::Model;
use crate::optim::{Subject, block_matrices};
use crate::train::{CHUNK_BYTES, Layout};

/// What stays where a part of the model is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub weights: u64,
    /// Elements that are trained.
    pub trained: u64,
    pub optimizer: u64,
}

/// What every block holds, and what belongs to none.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    pub blocks: Vec<Load>,
    pub rest: Load,
}

/// A placement with its forecast.
pub struct Spread {
    /// Blocks of each device.
    pub blocks: Vec<usize>,
    pub layout: Layout,
    pub forecast: MemoryForecast,
}

/// Whether the layers of a family can be on several devices. Where attention learns a bias of all pairs of positions, that
/// bias is one for all layers.
pub fn can(model: &Model) -> bool {
    !model.decoder.pair_bias(&model.info).is_some_and(|bias| bias.learned)
}

/// # Errors
/// When the layers cannot be spread, or there are fewer than devices.
pub fn refuse(model: &Model, devices: usize) -> Result<()> {
    let blocks = model.info.num_layers;
    if can(model) && devices <= blocks {
        return Ok(());
    }
    let family = model.family.name.clone();
    let what = if can(model) {
        text!("{devices} devices cannot share {blocks} layers", "{devices} 个设备无法分担 {blocks} 层")
    } else {
        let (en, zh) = (&family.en, &family.zh);
        text!("The layers of {en} cannot be spread over devices", "{zh} 的各层无法分布在多个设备上")
    };
    Err(UserError::bad_input(what).at_item("train.parallel").mend(Text::fixed(
        "set train.parallel to \"data\", or name fewer devices",
        "请将 train.parallel 设为 \"data\"，或减少设备",
    )))
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self {
            weights: self.weights.saturating_add(other.weights),
            trained: self.trained.saturating_add(other.trained),
            optimizer: self.optimizer.saturating_add(other.optimizer),
        }
    }

    /// With values and gradients in f32.
    fn bytes(self) -> u64 {
        self.weights.saturating_add(self.trained.saturating_mul(8)).saturating_add(self.optimizer)
    }
}

impl Loads {
    /// `state` is what the optimizer remembers of a parameter, in bytes.
    pub fn new(
        model: &Model,
        footprint: &Footprint,
        needs: &Needs<'_>,
        state: &dyn Fn(Subject<'_>) -> u64,
    ) -> Self {
        let mut loads = Self { blocks: vec![Load::default(); model.info.num_layers], rest: Load::default() };
        let matrices = block_matrices(model);
        let packed: std::collections::BTreeMap<_, _> = model.packed().collect();
        for (id, param) in model.params.iter() {
            let elements = param.elements() as u64;
            let load = if footprint.own.contains(&id) {
                let block_matrix = matrices.get(&id).copied();
                let subject = Subject { name: &param.name, shape: &param.shape, block_matrix };
                Load { trained: elements, optimizer: state(subject), ..Load::default() }
            } else {
                let few_bits = needs.quantization.filter(|_| packed.contains_key(&id));
                let outputs = param.shape.first().copied().unwrap_or(1) as u64;
                let weights = few_bits.map_or(elements * needs.element, |bits| bits.bytes(elements, outputs));
                Load { weights, ..Load::default() }
            };
            loads.add(model.block_of(&param.name), load);
        }
        for (_, param) in footprint.added.iter().filter(|(_, param)| param.trainable) {
            let subject = Subject { name: &param.name, shape: &param.shape, block_matrix: None };
            let load =
                Load { trained: param.elements() as u64, optimizer: state(subject), ..Load::default() };
            loads.add(model.block_of(&param.name), load);
        }
        loads
    }

    fn add(&mut self, block: Option<usize>, load: Load) {
        let place = block.and_then(|block| self.blocks.get_mut(block)).unwrap_or(&mut self.rest);
        *place = place.plus(load);
    }
}

/// The placement that fills the devices `names` evenly, within `budget` bytes of each (0 if unknown); the cheapest layout
/// that fits, or where none does, the one that needs least.
pub fn plan(needs: &Needs<'_>, divide: bool, loads: &Loads, names: &[String], budget: u64) -> Spread {
    let most = if divide { needs.rows.max(1) } else { 1 };
    let pieces = std::iter::successors(Some(1u64), |pieces| pieces.checked_mul(2)).take_while(|n| *n < most);
    let mut least: Option<Spread> = None;
    for pieces in pieces.chain([most]) {
        for head_chunk in [CHUNK_BYTES, CHUNK_BYTES / 4, CHUNK_BYTES / 16, CHUNK_BYTES / 64] {
            let layout = Layout { head_chunk, pieces: pieces as usize, ..Layout::keeping(1) };
            let spread = Placing { needs, loads, names, budget }.even(layout);
            if spread.forecast.fits {
                return spread;
            }
            if least.as_ref().is_none_or(|least| spread.forecast.total < least.forecast.total) {
                least = Some(spread);
            }
        }
    }
    least.unwrap_or_else(|| Placing { needs, loads, names, budget }.even(Layout::keeping(1)))
}

struct Placing<'a> {
    needs: &'a Needs<'a>,
    loads: &'a Loads,
    names: &'a [String],
    budget: u64,
}

/// What comes and goes on a device, in bytes.
struct Work {
    /// Of one block's input.
    hidden: u64,
    /// One block at work, with its graph and gradients.
    block: u64,
    /// The graph of one more block.
    graph: u64,
    head: u64,
    /// Masks and prefix, which every device has; and what makes packed matrices dense.
    shared: u64,
}

impl Placing<'_> {
    /// The blocks so that the fullest device has as little as possible.
    fn even(&self, layout: Layout) -> Spread {
        let one = memory::forecast(self.needs, &layout, 0);
        let two = memory::forecast(self.needs, &Layout { kept_graphs: 2, ..layout }, 0);
        let frozen = self.loads.blocks.iter().fold(self.loads.rest, |sum, load| sum.plus(*load)).weights;
        let work = Work {
            hidden: one.inputs / (self.loads.blocks.len() as u64).max(1),
            block: one.graphs,
            graph: two.graphs.saturating_sub(one.graphs),
            head: one.head,
            shared: one.activations.saturating_sub(one.inputs).saturating_sub(one.graphs)
                + one.weights.saturating_sub(frozen),
        };
        let blocks = self.evenly(&work);
        let totals = self.totals(&blocks, &work);
        let kept = self.kept(&blocks, &totals, &work);
        let layout = Layout { kept_graphs: kept, ..layout };
        Spread {
            forecast: self.forecast(one, &blocks, totals, (kept as u64 - 1) * work.graph),
            blocks,
            layout,
        }
    }

    /// The lowest height to which every device can be filled: found by halving, filled from the first on.
    fn evenly(&self, work: &Work) -> Vec<usize> {
        let all: Vec<usize> = vec![self.loads.blocks.len()];
        let (mut below, mut enough) = (0, self.totals(&all, work).first().copied().unwrap_or(0));
        while enough - below > (enough / 1024).max(1) {
            let middle = below + (enough - below) / 2;
            match self.filled(middle, work) {
                Some(_) => enough = middle,
                None => below = middle,
            }
        }
        self.filled(enough, work).unwrap_or(all)
    }

    /// Blocks of each device where none takes more than `height` bytes.
    fn filled(&self, height: u64, work: &Work) -> Option<Vec<usize>> {
        let mut next = 0;
        let mut blocks = Vec::with_capacity(self.names.len());
        for device in 0..self.names.len() {
            let fits = |count: &usize| self.total(device, next..next + count, work) <= height;
            let most = self.loads.blocks.len() - next;
            let count = (0..=most).take_while(fits).last();
            // The first device has more than blocks.
            let count = if device == 0 { count? } else { count.unwrap_or(0) };
            blocks.push(count);
            next += count;
        }
        (next == self.loads.blocks.len()).then_some(blocks)
    }

    fn totals(&self, blocks: &[usize], work: &Work) -> Vec<u64> {
        let place = |first: &mut usize, (device, count): (usize, &usize)| {
            let range = *first..*first + count;
            *first = range.end;
            Some(self.total(device, range, work))
        };
        blocks.iter().enumerate().scan(0, place).collect()
    }

    fn total(&self, device: usize, blocks: std::ops::Range<usize>, work: &Work) -> u64 {
        let count = blocks.len() as u64;
        if device > 0 && count == 0 {
            return 0;
        }
        let block = if count > 0 { work.block } else { 0 };
        let at_work = if device == 0 { block.max(work.head) } else { block };
        let parts =
            [self.load(device, blocks).bytes(), work.hidden.saturating_mul(count), at_work, work.shared];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    fn load(&self, device: usize, blocks: std::ops::Range<usize>) -> Load {
        let rest = if device == 0 { self.loads.rest } else { Load::default() };
        self.loads.blocks[blocks].iter().fold(rest, |sum, load| sum.plus(*load))
    }

    /// How many of the last blocks keep their graph: as many as the last device has room for.
    fn kept(&self, blocks: &[usize], totals: &[u64], work: &Work) -> usize {
        let last = blocks.iter().rposition(|count| *count > 0).unwrap_or(0);
        let (Some(total), Some(count)) = (totals.get(last), blocks.get(last)) else { return 1 };
        let room = if self.budget == 0 { 0 } else { self.budget.saturating_sub(*total) };
        let more = room / work.graph.max(1);
        1 + (more as usize).min(count.saturating_sub(1))
    }

    fn forecast(
        &self,
        one: MemoryForecast,
        blocks: &[usize],
        mut totals: Vec<u64>,
        kept: u64,
    ) -> MemoryForecast {
        let last = blocks.iter().rposition(|count| *count > 0).unwrap_or(0);
        if let Some(total) = totals.get_mut(last) {
            *total = total.saturating_add(kept);
        }
        let fullest = (0..totals.len()).max_by_key(|device| totals[*device]).unwrap_or(0);
        let first: usize = blocks.iter().take(fullest).sum();
        let count = blocks.get(fullest).copied().unwrap_or(0);
        let load = self.load(fullest, first..first + count);
        let total = totals.iter().copied().max().unwrap_or(0);
        let device = |((name, blocks), total): ((&String, &usize), &u64)| DeviceForecast {
            device: name.clone(),
            blocks: *blocks as u64,
            total: *total,
            available: self.budget,
        };
        MemoryForecast {
            weights: load.weights,
            trainable: load.trained.saturating_mul(4),
            gradients: load.trained.saturating_mul(4),
            optimizer: load.optimizer,
            inputs: one.inputs / (self.loads.blocks.len() as u64).max(1) * count as u64,
            total,
            available: self.budget,
            fits: self.budget == 0 || total <= self.budget,
            devices: self.names.iter().zip(blocks).zip(&totals).map(device).collect(),
            ..one
        }
    }
}

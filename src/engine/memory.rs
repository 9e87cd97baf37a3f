//! What a run will need, before it starts.

use std::collections::BTreeMap;

use protocol::config::TrainConfig;
use protocol::{MemoryForecast, Result, Text, UserError, text};

use crate::models::{Front, Model};
use crate::nn::ops::own::Serving;
use crate::nn::ops::{READY_MASK, chunk_queries};
use crate::nn::{Held, HeldBeside, KvCache, ParamId, Quantization, ViewSpec};
use crate::train::{Layout, Place, chunk_rows};

/// Everything the forecast depends on beside the layout. Counts are elements.
#[derive(Clone)]
pub struct Needs<'a> {
    /// Its layers and sizes; weights need not be there.
    pub model: &'a Model,
    pub frozen: u64,
    /// How the frozen matrices of the blocks are kept; None: as the others.
    pub quantization: Option<Quantization>,
    /// Trained parameters and adapters; kept in f32.
    pub trained: u64,
    /// Bytes of an element of activations and frozen weights.
    pub element: u64,
    /// Of the optimizer's states, on the device.
    pub optimizer_bytes: u64,
    /// Rows of a micro-batch and their longest length.
    pub rows: u64,
    pub time: u64,
    /// What the method has in front of every row.
    pub front: Front,
    /// What the method's products hold.
    pub beside: HeldBeside,
    /// Tokens of a prompt and its answer, when the model is asked.
    pub answer: u64,
    /// Whether a step has several micro-batches: the gradients of one are there while the next goes through the model.
    pub accumulates: bool,
    /// Whether rows hold several texts: each then has a mask of its own.
    pub packed: bool,
    /// Whether the model's own parameters learn, not only an adapter's.
    pub base_learns: bool,
    /// Whether attention, norms and activations are single kernels: no scores of all pairs of positions are held.
    pub fused: bool,
    /// Which kernels of our own a GPU uses.
    pub own: Serving,
    /// How many compute so many rows each, with values and gradients of their own for what is trained, in one memory.
    pub workers: u64,
}

/// The forecast of one layout, against `available` bytes.
pub fn forecast(needs: &Needs<'_>, layout: &Layout, available: u64) -> MemoryForecast {
    Figures::of(needs, layout.pieces).forecast(layout, available)
}

/// What is the same for all layouts that cut a micro-batch into the same pieces, so that many can be compared.
pub struct Figures<'a> {
    needs: &'a Needs<'a>,
    /// Rows of a piece.
    rows: u64,
    block: BlockBytes,
    masks: u64,
    /// A prefix of every layer, as often as it is held.
    prefix: u64,
    /// Frozen matrices of the first blocks together, from none to all of them; the largest of these blocks.
    matrices: Vec<(u64, u64)>,
}

impl<'a> Figures<'a> {
    pub fn of(needs: &'a Needs<'a>, pieces: usize) -> Self {
        let rows = needs.rows.div_ceil(pieces.max(1) as u64);
        let matrices = frozen_matrices(needs).into_iter().scan((0u64, 0u64), |(sum, largest), bytes| {
            (*sum, *largest) = (sum.saturating_add(bytes), bytes.max(*largest));
            Some((*sum, *largest))
        });
        Self {
            needs,
            rows,
            block: BlockBytes::of(needs, rows),
            masks: mask_bytes(needs, rows),
            prefix: prefix_bytes(needs),
            matrices: std::iter::once((0, 0)).chain(matrices).collect(),
        }
    }

    pub fn forecast(&self, layout: &Layout, available: u64) -> MemoryForecast {
        let needs = self.needs;
        let layers = needs.model.info.num_layers as u64;
        let (streamed, at_work) = self.streamed(layout);
        let shared = self.masks.saturating_add(self.prefix);
        let waiting = if layout.inputs == Place::Host { layers.min(2) } else { layers };
        let inputs = product(&[waiting, self.hidden()]);
        // Blocks give up their graph one after the other: the last of them with the gradients of its activations, when
        // the others still have theirs. With none kept, one at a time is built anew.
        let graphs = self.graphs(layout.kept_graphs.max(1));
        let backward = graphs.saturating_add(self.block.gradients);
        let head = self.head(layout.head_chunk);
        let step = backward.max(if layout.kept_graphs == 0 { head } else { graphs.saturating_add(head) });
        let mut forecast = MemoryForecast {
            weights: sum(&[
                frozen_bytes(needs).saturating_sub(streamed),
                at_work,
                self.dense(layout),
                unpacking(needs),
            ]),
            trainable: needs.trained * 4,
            gradients: needs.trained * 4,
            optimizer: match layout.optimizer {
                Place::Device => needs.optimizer_bytes,
                Place::Host => 0,
            },
            activations: sum(&[inputs, shared, backward]),
            inputs,
            graphs: backward,
            head,
            kv_cache: self.kv_cache(),
            evaluation: sum(&[shared, 3 * self.hidden(), self.block.graph.max(head)]),
            streamed,
            available,
            ..MemoryForecast::default()
        };
        let stays = sum(&[forecast.weights, forecast.trainable, forecast.optimizer]);
        let trains = shared.saturating_add(self.height(layout, forecast.gradients, inputs, step));
        forecast.total = stays.saturating_add(trains.max(forecast.evaluation).max(forecast.kv_cache));
        let another = forecast.trainable.saturating_add(trains);
        forecast.total = forecast.total.saturating_add(product(&[another, needs.workers.saturating_sub(1)]));
        forecast.fits = available == 0 || forecast.total <= available;
        forecast
    }

    /// The height of a step: while inputs and kept graphs go, gradients come. It is reached at one of the ends: with the
    /// last block, or with the first.
    fn height(&self, layout: &Layout, gradients: u64, inputs: u64, step: u64) -> u64 {
        if self.needs.accumulates || layout.pieces > 1 {
            return sum(&[gradients, inputs, step]);
        }
        let info = &self.needs.model.info;
        // Of one block, and of the head.
        let matrix = product(&[info.vocabulary as u64, info.hidden as u64, 4]).min(gradients);
        let of_last = (gradients - matrix) / (info.num_layers as u64).max(1) + matrix;
        let of_first = sum(&[gradients, self.hidden(), self.graphs(1), self.block.gradients]);
        of_first.max(sum(&[of_last, inputs, step]))
    }

    /// Bytes of one block's input.
    fn hidden(&self) -> u64 {
        let needs = self.needs;
        product(&[self.rows, tokens(needs), needs.model.info.hidden as u64, needs.element])
    }

    /// Matrices in few bits that are dense with a graph.
    fn dense(&self, layout: &Layout) -> u64 {
        product(&[self.block.dense, layout.kept_graphs.max(1) as u64])
    }

    fn graphs(&self, count: usize) -> u64 {
        product(&[self.block.graph, count as u64])
    }

    /// Bytes of the matrices that wait elsewhere, and of those that are on the device meanwhile: of the block at work and
    /// of the one that is read.
    fn streamed(&self, layout: &Layout) -> (u64, u64) {
        let blocks = layout.streamed.min(self.matrices.len() - 1);
        let (sum, largest) = self.matrices[blocks];
        (sum, product(&[largest, blocks.min(2) as u64]))
    }

    /// Logits of one chunk with what is made of them, and rows of the hidden state: those with labels, their gradients,
    /// piece by piece and together, and those of all positions.
    fn head(&self, chunk: usize) -> u64 {
        let needs = self.needs;
        let info = &needs.model.info;
        let labels = product(&[self.rows, needs.time]);
        let rows = labels.min(chunk_rows(chunk, info.vocabulary) as u64);
        let logits = product(&[rows, info.vocabulary as u64, 4]);
        // The kernels write the gradient where the logits were; without one, logits are cast and copied.
        let copies = if needs.fused || needs.own.cross_entropy {
            needs.model.decoder.logit_copies() as u64
        } else {
            4
        };
        // Each chunk has its own gradient of the matrix.
        let matrix = if needs.base_learns && rows < labels {
            product(&[info.vocabulary as u64, info.hidden as u64, 4])
        } else {
            0
        };
        sum(&[product(&[copies, logits]), product(&[4, self.hidden()]), matrix])
    }

    fn kv_cache(&self) -> u64 {
        let info = &self.needs.model.info;
        let a_token = product(&[2, info.num_layers as u64, info.kv_heads as u64, info.head_dim as u64]);
        let tokens = self.needs.answer.saturating_add(self.needs.front.prefix as u64);
        // Room is taken in steps.
        let room = tokens.checked_next_multiple_of(KvCache::STEP as u64).unwrap_or(u64::MAX);
        product(&[a_token, room, self.needs.element])
    }
}

/// Positions of a row in the blocks.
fn tokens(needs: &Needs<'_>) -> u64 {
    needs.time.saturating_add(needs.front.prompt as u64)
}

/// Keys that a position may look at.
fn keys(needs: &Needs<'_>) -> u64 {
    tokens(needs).saturating_add(needs.front.prefix as u64)
}

/// Bytes of the matrices of each block that nothing trains.
fn frozen_matrices(needs: &Needs<'_>) -> Vec<u64> {
    let model = needs.model;
    let mut bytes = vec![0u64; model.info.num_layers];
    let stays = needs.base_learns || needs.quantization.is_some();
    let all: BTreeMap<ParamId, usize> = if stays { BTreeMap::new() } else { model.streamable().collect() };
    for (id, layer) in all {
        let elements = model.params.get(id).elements() as u64;
        bytes[layer] = bytes[layer].saturating_add(product(&[elements, needs.element]));
    }
    bytes
}

/// Keys and values in front of every row, of all layers: as made, with and without its graph, in the element type, where
/// the positions have them, and their gradients.
fn prefix_bytes(needs: &Needs<'_>) -> u64 {
    let info = &needs.model.info;
    let width = product(&[2, info.num_layers as u64, info.kv_heads as u64, info.head_dim as u64]);
    product(&[width, needs.front.prefix as u64, 2 * 4 + 4 * needs.element])
}

/// What the largest block holds.
struct BlockBytes {
    /// Kept by its graph.
    graph: u64,
    /// Gradients of activations, in its backward pass.
    gradients: u64,
    /// Matrices that are kept in few bits and dense only with the graph.
    dense: u64,
}

/// Frozen parameters as they are kept.
fn frozen_bytes(needs: &Needs<'_>) -> u64 {
    let Some(quantization) = needs.quantization else { return needs.frozen * needs.element };
    let (mut elements, mut packed) = (0, 0);
    for site in needs.model.block_linears() {
        let of_site = needs.model.params.get(site.weight).elements() as u64;
        elements += of_site;
        packed += quantization.bytes(of_site, site.outputs as u64);
    }
    needs.frozen.saturating_sub(elements) * needs.element + packed
}

/// What making the largest matrix dense takes beside the result, where no kernel does it: the codes as indices, and
/// the values in f32, before and after they are scaled.
fn unpacking(needs: &Needs<'_>) -> u64 {
    if needs.quantization.is_none() || needs.fused || needs.own.unpacking {
        return 0;
    }
    let elements =
        needs.model.block_linears().map(|site| needs.model.params.get(site.weight).elements() as u64);
    product(&[elements.max().unwrap_or(0), 10])
}

impl BlockBytes {
    fn of(needs: &Needs<'_>, rows: u64) -> Self {
        let model = needs.model;
        let dense = dense_bytes(needs);
        let bytes = (0..model.info.num_layers).map(|index| {
            let held = model.decoder.held(index, &model.info, &model.sites);
            Self { dense: dense.get(index).copied().unwrap_or(0), ..Self::of_block(needs, rows, held) }
        });
        let largest = bytes.max_by_key(|bytes| bytes.graph.saturating_add(bytes.dense));
        largest.unwrap_or(Self { graph: 0, gradients: 0, dense: 0 })
    }

    fn of_block(needs: &Needs<'_>, rows: u64, held: Held) -> Self {
        let all = product(&[rows, tokens(needs)]);
        let of_tokens = |elements: usize, size: u64| product(&[all, elements as u64, size]);
        let beside = needs.beside;
        let of_matrix = product(&[beside.matrix as u64, 4]);
        let mut bytes = Self {
            graph: of_tokens(
                held.kept.saturating_sub(held.read.beyond(beside.reads)) + beside.kept,
                needs.element,
            ),
            gradients: of_tokens(held.gradients, needs.element).saturating_add(of_matrix),
            dense: 0,
        };
        if !needs.fused {
            // Calculated again from what the graph holds: in one half of the block after the other.
            let composed = if needs.own.layers { held.composed - held.replaced } else { held.composed };
            let again = of_tokens(composed, 4).max(turn_bytes(needs, rows, held));
            bytes.gradients = bytes.gradients.saturating_add(again);
        }
        if needs.fused && needs.element < 4 {
            // One operation at a time calculates in `f32`: the most has attention, the gradients of every head and their
            // sums.
            let info = &needs.model.info;
            let widest = info.hidden.max(info.heads * info.head_dim);
            bytes.gradients = bytes.gradients.saturating_add(of_tokens(4 * widest, 4));
        }
        if needs.base_learns && learns_bias(needs) {
            let pairs = product(&[all, keys(needs)]);
            let heads = needs.model.info.heads as u64;
            // Beside what the softmax keeps: its result in the element type. Backwards, three maps of gradients.
            let kept = product(&[pairs, 4 * held.scores as u64 + needs.element * heads]);
            bytes.graph = bytes.graph.saturating_add(kept);
            bytes.gradients = bytes.gradients.saturating_add(product(&[pairs, 3 * 4 * heads]));
        }
        if needs.front.prefix > 0 {
            // Keys and values once more, behind the prefix, for every query head that shares them.
            let info = &needs.model.info;
            let width = product(&[2, info.kv_heads as u64, info.head_dim as u64]);
            let joined = product(&[rows, keys(needs), width, needs.element]);
            // Dropout's mask of each row, and backwards what it leaves of the gradient.
            let dropped = product(&[rows, needs.front.prefix as u64, width, needs.element]);
            let more = joined.saturating_add(if needs.front.dropped { dropped } else { 0 });
            bytes.graph = bytes.graph.saturating_add(more);
            bytes.gradients = bytes.gradients.saturating_add(more);
        }
        bytes
    }
}

/// The matrices of each block that are kept in few bits, as a graph holds them.
fn dense_bytes(needs: &Needs<'_>) -> Vec<u64> {
    let model = needs.model;
    let mut bytes = vec![0u64; model.info.num_layers];
    for (id, layer) in model.streamable().filter(|_| needs.quantization.is_some()) {
        let elements = model.params.get(id).elements() as u64;
        bytes[layer] = bytes[layer].saturating_add(product(&[elements, needs.element]));
    }
    bytes
}

/// Scores of the queries that have their turn at once, backwards: in `f32` those that are kept and what becomes of them,
/// and a copy in the element type. Where a kernel serves: scores and the gradient of the probabilities, each of which it
/// overwrites.
fn turn_bytes(needs: &Needs<'_>, rows: u64, held: Held) -> u64 {
    let heads = needs.model.info.heads as u64;
    let maps = if needs.own.softmax && !has_bias(needs) {
        2 * needs.element * heads
    } else {
        4 * (2 * heads + held.scores as u64) + needs.element * heads
    };
    product(&[rows, turn_queries(needs, rows), keys(needs), maps])
}

/// Queries that have their turn at once.
fn turn_queries(needs: &Needs<'_>, rows: u64) -> u64 {
    let heads = needs.model.info.heads as u64;
    let queries = chunk_queries(product(&[rows, heads]) as usize, keys(needs) as usize);
    (queries as u64).min(tokens(needs))
}

/// Whether scores of some view get a bias from memory: no kernel of ours takes one.
fn has_bias(needs: &Needs<'_>) -> bool {
    let info = &needs.model.info;
    needs.model.decoder.pair_bias(info).is_some() || info.views.iter().any(|view| view.key_bias.is_some())
}

fn learns_bias(needs: &Needs<'_>) -> bool {
    needs.model.decoder.pair_bias(&needs.model.info).is_some_and(|bias| bias.learned)
}

/// Biases for all pairs of positions, which all blocks share: a family's own, and where attention has no kernel, those of
/// causal views, as a whole or for the queries that have their turn ([`ready_mask`](crate::nn::ops::ready_mask)).
fn mask_bytes(needs: &Needs<'_>, rows: u64) -> u64 {
    let pairs = product(&[tokens(needs), keys(needs), 4]);
    if let Some(bias) = needs.model.decoder.pair_bias(&needs.model.info) {
        // A learned one is gathered from its table by an index, and summed with the mask.
        let maps = bias.heads as u64 * if bias.learned { 3 } else { 1 } + if bias.learned { 2 } else { 0 };
        return product(&[rows, maps, pairs]);
    }
    let of_rows = if needs.packed { rows } else { 1 };
    let causal = |maps: usize| {
        let whole = product(&[of_rows, maps as u64, pairs]);
        let turn = product(&[of_rows, maps as u64, turn_queries(needs, rows), keys(needs), 4]);
        if whole <= READY_MASK as u64 { whole } else { turn }
    };
    let bytes = |view: &ViewSpec| match (&view.key_bias, &view.slopes) {
        // Falcon's is a bias on every device.
        (Some(bias), _) => product(&[of_rows, bias.slopes.len() as u64, pairs]),
        _ if needs.fused || needs.own.softmax => 0,
        (None, slopes) => causal(slopes.as_ref().map_or(1, |slopes| slopes.len())),
    };
    needs.model.info.views.iter().map(bytes).fold(0, u64::saturating_add)
}

/// Settings may be any number: a forecast beyond 2⁶⁴ bytes stays there.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
}

/// The run file's `memory_budget` in bytes: `auto` is nine tenths of what is free.
///
/// # Errors
/// When it is neither `auto` nor a size.
pub fn budget(config: &TrainConfig, free: u64) -> Result<u64> {
    let word = config.memory_budget.trim();
    if word.is_empty() || word.eq_ignore_ascii_case("auto") {
        return Ok(free / 10 * 9);
    }
    parse_size(word).ok_or_else(|| {
        UserError::bad_input(text!("`{word}` is not a size of memory", "`{word}` 不是内存大小"))
            .at_item("train.memory_budget")
            .mend(Text::fixed(
                "write \"auto\" or a size such as \"8GB\"",
                "请写 \"auto\" 或如 \"8GB\" 的大小",
            ))
    })
}

fn parse_size(word: &str) -> Option<u64> {
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number: f64 = word[..digits].parse().ok()?;
    let unit = match word[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "mb" | "m" | "mib" => 1024.0 * 1024.0,
        "gb" | "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * unit;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

/// The refusal of a run that does not fit.
pub fn too_large(forecast: &MemoryForecast, budget: u64) -> UserError {
    let (need, have) = (size(forecast.total), size(budget));
    UserError::bad_input(text!(
        "This run needs {need} of memory with every saving that changes no result, and {have} may be used",
        "即使采用所有不改变结果的节省方式，本次训练仍需 {need} 内存，而可用 {have}"
    ))
    .at_item("data.max_length, train.memory_budget")
    .detail(format!("weights {}", size(forecast.weights)))
    .detail(format!(
        "trained parameters, gradients and optimizer {}",
        size(forecast.trainable + forecast.gradients + forecast.optimizer)
    ))
    .detail(format!("block inputs {}", size(forecast.inputs)))
    .detail(format!("one block at work {}, or the head {}", size(forecast.graphs), size(forecast.head)))
    .mend(Text::fixed(
        "lower max_length, choose LoRA instead of full, or a smaller model",
        "请减小 max_length、以 LoRA 代替全量微调，或换更小的模型",
    ))
}

/// Bytes, for people.
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1u64 << 20) as f64;
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("8GB"), Some(8 << 30));
        assert_eq!(parse_size("1.5 gib"), Some(3 << 29));
        assert_eq!(parse_size("512MB"), Some(512 << 20));
        assert_eq!(parse_size("lots"), None);
        assert_eq!(parse_size("-1GB"), None);
    }
}

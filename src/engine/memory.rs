//! What a run will need, before it starts.

use protocol::config::TrainConfig;
use protocol::{MemoryForecast, Result, Text, UserError, text};

use crate::models::Model;
use crate::nn::{Held, Quantization, ViewSpec};
use crate::train::CHUNK_BYTES;

/// Everything the forecast depends on. Counts are elements.
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
    pub kept_graphs: u64,
    /// Whether the model's own parameters learn, not only an adapter's.
    pub base_learns: bool,
    /// Whether attention, norms and activations are single kernels: no scores of all pairs of positions are held.
    pub fused: bool,
}

/// The forecast, against `available` bytes.
pub fn forecast(needs: &Needs<'_>, available: u64) -> MemoryForecast {
    let info = &needs.model.info;
    let inputs =
        product(&[info.num_layers as u64, needs.rows, needs.time, info.hidden as u64, needs.element]);
    let block = BlockBytes::of(needs);
    // Blocks give up their graph one after the other: the last of them with the gradients of its activations, when the
    // others still have theirs. With none kept, one at a time is built anew.
    let held = needs.kept_graphs.max(1);
    let graphs = product(&[block.graph, held]).saturating_add(block.gradients);
    let mut forecast = MemoryForecast {
        weights: frozen_bytes(needs)
            .saturating_add(product(&[block.dense, held]))
            .saturating_add(unpacking(needs)),
        trainable: needs.trained * 4,
        gradients: needs.trained * 4,
        optimizer: needs.optimizer_bytes,
        activations: inputs.saturating_add(graphs).saturating_add(mask_bytes(needs)),
        head: head_bytes(needs),
        total: 0,
        available,
        fits: true,
    };
    forecast.total = [
        forecast.weights,
        forecast.trainable,
        forecast.gradients,
        forecast.optimizer,
        forecast.activations,
        forecast.head,
    ]
    .into_iter()
    .fold(0, u64::saturating_add);
    forecast.fits = available == 0 || forecast.total <= available;
    forecast
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
    if needs.quantization.is_none() || needs.fused {
        return 0;
    }
    let elements =
        needs.model.block_linears().map(|site| needs.model.params.get(site.weight).elements() as u64);
    product(&[elements.max().unwrap_or(0), 10])
}

impl BlockBytes {
    fn of(needs: &Needs<'_>) -> Self {
        let model = needs.model;
        let bytes = (0..model.info.num_layers).map(|index| {
            let held = model.decoder.held(index, &model.info, &model.sites);
            Self { dense: dense_bytes(needs, index), ..Self::of_block(needs, held) }
        });
        let largest = bytes.max_by_key(|bytes| bytes.graph.saturating_add(bytes.dense));
        largest.unwrap_or(Self { graph: 0, gradients: 0, dense: 0 })
    }

    fn of_block(needs: &Needs<'_>, held: Held) -> Self {
        let tokens = product(&[needs.rows, needs.time]);
        let of_tokens = |elements: usize, size: u64| product(&[tokens, elements as u64, size]);
        let mut bytes = Self {
            graph: of_tokens(held.kept, needs.element),
            gradients: of_tokens(held.gradients, needs.element),
            dense: 0,
        };
        if !needs.fused {
            let composed = of_tokens(held.composed, 4);
            bytes.graph = bytes.graph.saturating_add(composed);
            bytes.gradients = bytes.gradients.saturating_add(composed);
        }
        if !needs.fused || needs.base_learns && learns_bias(needs) {
            let pairs = product(&[tokens, needs.time]);
            let heads = needs.model.info.heads as u64;
            // Beside what the softmax keeps: its result in the element type. Backwards, three maps of gradients.
            let kept = product(&[pairs, 4 * held.scores as u64 + needs.element * heads]);
            bytes.graph = bytes.graph.saturating_add(kept);
            bytes.gradients = bytes.gradients.saturating_add(product(&[pairs, 3 * 4 * heads]));
        }
        bytes
    }
}

/// The matrices of block `index` that are kept in few bits, as the graph holds them.
fn dense_bytes(needs: &Needs<'_>, index: usize) -> u64 {
    let sites =
        needs.model.block_linears().filter(|site| needs.quantization.is_some() && site.layer == Some(index));
    sites.map(|site| needs.model.params.get(site.weight).elements() as u64 * needs.element).sum()
}

fn learns_bias(needs: &Needs<'_>) -> bool {
    needs.model.decoder.pair_bias(&needs.model.info).is_some_and(|bias| bias.learned)
}

/// Biases for all pairs of positions, which all blocks share: a family's own, and where attention is a composition, those
/// of causal views ([`ready_mask`](crate::nn::ops::ready_mask)).
fn mask_bytes(needs: &Needs<'_>) -> u64 {
    let pairs = product(&[needs.time, needs.time, 4]);
    if let Some(bias) = needs.model.decoder.pair_bias(&needs.model.info) {
        // A learned one is gathered from its table by an index, and summed with the mask.
        let maps = bias.heads as u64 * if bias.learned { 3 } else { 1 } + if bias.learned { 2 } else { 0 };
        return product(&[needs.rows, maps, pairs]);
    }
    let maps = |view: &ViewSpec| match (&view.key_bias, &view.slopes) {
        // Falcon's is a bias on every device.
        (Some(bias), _) => bias.slopes.len() as u64,
        _ if needs.fused => 0,
        (None, Some(slopes)) => slopes.len() as u64,
        (None, None) => 1,
    };
    product(&[needs.model.info.views.iter().map(maps).sum(), pairs])
}

/// Logits of one chunk: as computed, their gradient, and the product of the two.
fn head_bytes(needs: &Needs<'_>) -> u64 {
    let all = product(&[needs.rows, needs.time, needs.model.info.vocabulary as u64, 4]);
    4 * all.min(CHUNK_BYTES as u64)
}

/// Settings may be any number: a forecast beyond 2⁶⁴ bytes stays there.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

/// How many of the last blocks can keep their graph within `budget` bytes.
pub fn affordable_graphs(needs: &Needs<'_>, budget: u64) -> usize {
    let bare = forecast(&Needs { kept_graphs: 0, ..needs.clone() }, 0).total;
    let Some(room) = budget.checked_sub(bare) else { return 0 };
    // The first costs nothing: a block's graph is there in any case.
    let block = BlockBytes::of(needs);
    let more = room / block.graph.saturating_add(block.dense).max(1);
    (more.saturating_add(1) as usize).min(needs.model.info.num_layers)
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
        "This run needs {need} of memory, and {have} may be used",
        "本次训练需要 {need} 内存，而可用 {have}"
    ))
    .at_item("train.batch_size, data.max_length, train.memory_budget")
    .detail(format!("weights {}", size(forecast.weights)))
    .detail(format!(
        "trained parameters, gradients and optimizer {}",
        size(forecast.trainable + forecast.gradients + forecast.optimizer)
    ))
    .detail(format!("activations {}", size(forecast.activations + forecast.head)))
    .mend(Text::fixed(
        "lower batch_size or max_length, choose LoRA instead of full, or a smaller model",
        "请减小 batch_size 或 max_length、以 LoRA 代替全量微调，或换更小的模型",
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

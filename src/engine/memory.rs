//! What a run will need, before it starts.

use protocol::config::TrainConfig;
use protocol::{MemoryForecast, Result, Text, UserError, text};

use crate::models::ModelInfo;
use crate::train::CHUNK_BYTES;

/// Everything the forecast depends on. Counts are elements.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    pub info: &'a ModelInfo,
    pub frozen: u64,
    /// Trained parameters and adapters; kept in f32.
    pub trained: u64,
    /// Bytes of an element of activations and frozen weights.
    pub element: u64,
    pub optimizer_bytes_per_element: u64,
    /// Rows of a micro-batch and their longest length.
    pub rows: u64,
    pub time: u64,
    pub kept_graphs: u64,
    /// Whether attention is one kernel that never holds the scores of all pairs of positions.
    pub fused_attention: bool,
}

/// The forecast, against `available` bytes.
pub fn forecast(needs: &Needs<'_>, available: u64) -> MemoryForecast {
    let info = needs.info;
    let inputs =
        product(&[info.num_layers as u64, needs.rows, needs.time, info.hidden as u64, needs.element]);
    // One block is always at work with its graph and the gradients of its activations.
    let graphs = product(&[block_graph_bytes(needs), needs.kept_graphs + 2]);
    let mut forecast = MemoryForecast {
        weights: needs.frozen * needs.element,
        trainable: needs.trained * 4,
        gradients: needs.trained * 4,
        optimizer: needs.trained * needs.optimizer_bytes_per_element,
        activations: inputs.saturating_add(graphs),
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

/// Activations that the graph of one block holds on to.
fn block_graph_bytes(needs: &Needs<'_>) -> u64 {
    let info = needs.info;
    let (hidden, inner) = (info.hidden as u64, info.inner as u64);
    let query = (info.heads * info.head_dim) as u64;
    let key = (info.kv_heads * info.head_dim) as u64;
    // Norms and residuals; q, k, v before and after rotation; gate, up and their product.
    let per_token = 6 * hidden + 3 * query + 4 * key + 4 * inner;
    let activations = product(&[needs.rows, needs.time, per_token, needs.element]);
    activations.saturating_add(attention_score_bytes(needs))
}

/// Scores, scores with the mask, and probabilities of every pair of positions, where they exist.
fn attention_score_bytes(needs: &Needs<'_>) -> u64 {
    if needs.fused_attention {
        return 0;
    }
    let pairs = product(&[needs.rows, needs.info.heads as u64, needs.time, needs.time]);
    product(&[pairs, 4 + 4 + needs.element])
}

/// Logits of one chunk: as computed, their gradient, and the product of the two.
fn head_bytes(needs: &Needs<'_>) -> u64 {
    let all = product(&[needs.rows, needs.time, needs.info.vocabulary as u64, 4]);
    4 * all.min(CHUNK_BYTES as u64)
}

/// Settings may be any number: a forecast beyond 2⁶⁴ bytes stays there.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

/// How many of the last blocks can keep their graph within `budget` bytes.
pub fn affordable_graphs(needs: &Needs<'_>, budget: u64) -> usize {
    let bare = forecast(&Needs { kept_graphs: 0, ..needs.clone() }, 0).total;
    let block = block_graph_bytes(needs).max(1);
    let room = budget.saturating_sub(bare) / block;
    (room as usize).min(needs.info.num_layers)
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

fn size(bytes: u64) -> String {
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

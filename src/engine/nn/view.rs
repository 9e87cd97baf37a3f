//! How the tokens of a pass stand to each other. A model has one view a kind of attention layer: most have one,
//! Gemma has one for layers that look back over a window and one for layers that see everything.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;

use super::ops::{self, Causal, Mask, Starts};
use super::rope::Rope;

/// What config.json says of a kind of attention layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewSpec {
    pub rope: Option<Rope>,
    /// Sliding window in tokens.
    pub window: Option<usize>,
    /// ALiBi's slopes, one a query head.
    pub slopes: Option<Arc<[f32]>>,
    /// ALiBi as Falcon has it, instead of `slopes`.
    pub key_bias: Option<KeyBias>,
}

/// ALiBi that the model has learned with in few digits: `bf16(bf16(slope) · j) · factor` is added to the scores of key
/// `j` (transformers, `models/falcon`). Far into a text it is no straight line any more.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyBias {
    /// One a query head.
    pub slopes: Arc<[f32]>,
    pub factor: f32,
}

impl KeyBias {
    /// `[1 or rows, heads, time, offset + time]`, causal.
    fn mask(&self, order: &Order, device: &Device) -> Tensor<4> {
        let keys = order.offset + order.time;
        let positions = order.keys();
        let rows = positions.len() / keys.max(1);
        let biases = positions.chunks(keys.max(1)).flat_map(|positions| {
            self.slopes.iter().flat_map(move |slope| {
                let slope = bf16::from_f32(*slope).to_f32();
                positions.iter().map(move |key| bf16::from_f32(slope * *key as f32).to_f32() * self.factor)
            })
        });
        let data = TensorData::new(biases.collect::<Vec<f32>>(), [rows, self.slopes.len(), 1, keys]);
        let causal = Causal { starts: order.starts.clone(), offset: order.offset, ..Causal::default() };
        let hidden = ops::compose::causal_bias([order.time, keys], &causal, device);
        let shape = [rows.max(hidden.dims()[0]), self.slopes.len(), order.time, keys];
        Tensor::<4>::from_data(data, device).expand(shape) + hidden.expand(shape)
    }
}

/// How the tokens of a pass follow each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// Keys before the first query.
    pub offset: usize,
    /// Queries of a row.
    pub time: usize,
    /// Of rows that hold several texts or begin late; None: all rows alike, each from its first token on.
    pub starts: Option<Starts>,
}

impl Order {
    /// Positions of the queries, `[1 or rows, time]`, row-major: counted from where each one's text begins, and behind
    /// what is in front of all texts.
    pub fn positions(&self) -> Vec<u32> {
        let Some(starts) = &self.starts else { return self.count().collect() };
        let of_row =
            |row| self.count().enumerate().map(move |(query, key)| key - starts.gap(row, query) as u32);
        (0..starts.rows()).flat_map(of_row).collect()
    }

    /// Tokens of the longest text, with what is in front of it.
    pub fn length(&self) -> usize {
        match self.starts {
            None => self.offset + self.time,
            Some(_) => self.positions().into_iter().max().map_or(0, |last| last as usize + 1),
        }
    }

    /// Rows of [`positions`](Self::positions).
    pub fn rows(&self) -> usize {
        self.starts.as_ref().map_or(1, Starts::rows)
    }

    /// Tokens of the text that each query is in, as far as the pass goes, with what is in front; as
    /// [`positions`](Self::positions).
    fn lengths(&self) -> Vec<usize> {
        let Some(starts) = &self.starts else { return vec![self.offset + self.time; self.time] };
        let mut lengths: Vec<usize> = self.positions().iter().map(|last| *last as usize + 1).collect();
        for (row, lengths) in lengths.chunks_mut(self.time.max(1)).enumerate() {
            for query in (1..lengths.len()).rev() {
                if starts.first(row, query) == starts.first(row, query - 1) {
                    lengths[query - 1] = lengths[query];
                }
            }
        }
        lengths
    }

    fn count(&self) -> impl Iterator<Item = u32> {
        (self.offset..self.offset + self.time).map(|position| position as u32)
    }

    /// Positions of the keys, `[1 or rows, offset + time]`. A key from before the pass belongs to the text of the
    /// first query.
    fn keys(&self) -> Vec<u32> {
        let keys = 0..(self.offset + self.time) as u32;
        let Some(starts) = &self.starts else { return keys.collect() };
        let position = |row: usize, key: u32| {
            let query = (key as usize).saturating_sub(self.offset);
            let gap = if (key as usize) < starts.front { 0 } else { starts.gap(row, query) };
            key.saturating_sub(gap as u32)
        };
        (0..starts.rows()).flat_map(|row| keys.clone().map(move |key| position(row, key))).collect()
    }
}

impl ViewSpec {
    pub fn rotated(rope: Rope) -> Self {
        Self { rope: Some(rope), ..Self::default() }
    }

    pub fn alibi(heads: usize) -> Self {
        Self { slopes: Some(alibi_slopes(heads).into()), ..Self::default() }
    }

    /// The causal view of tokens in this order.
    pub fn view(&self, order: &Order, device: &Device) -> View {
        let (length, lengths) = (order.length(), order.lengths());
        let rotary = self.rope.as_ref().map(|rope| Rotary {
            tables: vec![rope.tables(&order.positions(), order.rows(), |place| lengths[place], device)],
            interleaved: rope.interleaved,
        });
        let mask = match &self.key_bias {
            Some(bias) => Mask::Bias(bias.mask(order, device)),
            None => Mask::Causal(Causal {
                offset: order.offset,
                // A window that hides nothing costs nothing.
                window: self.window.filter(|window| *window < length),
                slopes: self.slopes.clone(),
                starts: order.starts.clone(),
            }),
        };
        View { rotary, mask }
    }
}

/// Rotary tables and mask of one kind of layer, for one pass.
#[derive(Clone)]
pub struct View {
    pub rotary: Option<Rotary>,
    pub mask: Mask,
}

/// Rotary tables, `[1 or batch, time, rotated/2]`, cosines and sines.
#[derive(Clone)]
pub struct Rotary {
    /// Each head is cut into as many equal parts, and each part is turned by its own table: one, but for ChatGLM-6B.
    pub tables: Vec<(Tensor<3>, Tensor<3>)>,
    pub interleaved: bool,
}

impl Rotary {
    /// `[batch, heads, time, dim]`, turned.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let turn =
            |x, (cos, sin): &(Tensor<3>, Tensor<3>)| ops::rope(x, cos.clone(), sin.clone(), self.interleaved);
        if let [table] = self.tables.as_slice() {
            return turn(x, table);
        }
        let width = x.dims()[3] / self.tables.len();
        let part = |index: usize| x.clone().narrow(3, index * width, width);
        Tensor::cat(
            self.tables.iter().enumerate().map(|(index, table)| turn(part(index), table)).collect(),
            3,
        )
    }
}

/// Slopes of ALiBi (Press et al. 2021, arXiv:2108.12409, footnote 6 for counts that are no power of two).
pub fn alibi_slopes(heads: usize) -> Vec<f32> {
    let powers = |count: usize| (1..=count).map(move |k| 2f64.powf(-8.0 * k as f64 / count as f64));
    let whole = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let rest = powers(2 * whole).step_by(2).take(heads - whole);
    powers(whole).chain(rest).map(|slope| slope as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_forty_heads_are_those_of_baichuan_13b() {
        let slopes = alibi_slopes(40);
        assert_eq!(slopes.len(), 40);
        for (index, want) in [(0, 0.840_896_4), (31, 0.003_906_25), (32, 0.917_004), (39, 0.272_626_93)] {
            assert!((slopes[index] - want).abs() < 1e-6, "{index}: {} is not {want}", slopes[index]);
        }
        assert_eq!(alibi_slopes(6), [0.25, 0.0625, 0.015_625, 0.003_906_25, 0.5, 0.125]);
    }
}

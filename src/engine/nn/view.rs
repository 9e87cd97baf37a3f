//! How the tokens of a pass stand to each other. A model has one view a kind of attention layer: most have one,
//! Gemma has one for layers that look back over a window and one for layers that see everything.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;

use super::ops::{self, Mask};
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
    /// `[1, heads, time, offset + time]`, causal.
    fn mask(&self, offset: usize, time: usize, device: &Device) -> Tensor<4> {
        let keys = offset + time;
        let biases = self.slopes.iter().flat_map(|slope| {
            let slope = bf16::from_f32(*slope).to_f32();
            (0..keys).map(move |key| bf16::from_f32(slope * key as f32).to_f32() * self.factor)
        });
        let data = TensorData::new(biases.collect::<Vec<f32>>(), [1, self.slopes.len(), 1, keys]);
        Tensor::from_data(data, device) + ops::compose::causal_bias([time, keys], offset, None, None, device)
    }
}

impl ViewSpec {
    pub fn rotated(rope: Rope) -> Self {
        Self { rope: Some(rope), ..Self::default() }
    }

    pub fn alibi(heads: usize) -> Self {
        Self { slopes: Some(alibi_slopes(heads).into()), ..Self::default() }
    }

    /// The view of `time` tokens that follow `offset` others, all rows alike, causal.
    pub fn view(&self, offset: usize, time: usize, device: &Device) -> View {
        let rotary = self.rope.as_ref().map(|rope| {
            let positions: Vec<u32> = (offset..offset + time).map(|position| position as u32).collect();
            Rotary {
                tables: vec![rope.tables(&positions, 1, offset + time, device)],
                interleaved: rope.interleaved,
            }
        });
        // A window that hides nothing costs nothing.
        let window = self.window.filter(|window| *window < offset + time);
        let mask = match &self.key_bias {
            Some(bias) => Mask::Bias(bias.mask(offset, time, device)),
            None => Mask::Causal { offset, window, slopes: self.slopes.clone() },
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

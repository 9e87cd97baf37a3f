//! Rotary position embedding: frequencies of every scaling, and their tables.
//!
//! Formulas: transformers, `modeling_rope_utils.py`. Tables are made in f32, as there.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};

/// How frequencies are stretched for longer contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    Linear {
        factor: f64,
    },
    /// NTK-aware; the base grows with the sequence beyond the trained length.
    Dynamic {
        factor: f64,
    },
    Yarn(Yarn),
    LongRope(LongRope),
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// Frequencies rounded to f16, as ChatGLM-6B has always used them.
    Rounded,
}

/// Peng et al. 2023, arXiv:2309.00071.
#[derive(Clone, Debug, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    pub beta_fast: f64,
    pub beta_slow: f64,
    pub original: f64,
    pub truncate: bool,
    pub attention_factor: f64,
}

/// Ding et al. 2024, arXiv:2402.13753.
#[derive(Clone, Debug, PartialEq)]
pub struct LongRope {
    pub short: Vec<f64>,
    pub long: Vec<f64>,
    pub original: usize,
    pub attention_factor: f64,
}

/// Rotary embedding of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    /// Rotated dimensions of a head, even.
    pub dim: usize,
    pub max_position: usize,
    pub scaling: RopeScaling,
    /// Whether neighbours are turned together (ChatGLM2, GLM), not halves.
    pub interleaved: bool,
}

impl Rope {
    /// Tables `[rows, time, dim/2]` (cosines, sines) for `positions` `[rows, time]`, each with the scaling that a
    /// sequence of so many tokens has: `length` tells it for a place in `positions`.
    pub fn tables(
        &self,
        positions: &[u32],
        rows: usize,
        length: impl Fn(usize) -> usize,
        device: &Device,
    ) -> (Tensor<3>, Tensor<3>) {
        let half = self.dim / 2;
        let mut scaled = (usize::MAX, Vec::new());
        let factor = self.attention_factor() as f32;
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for (place, position) in positions.iter().enumerate() {
            let length = length(place);
            if scaled.0 != length {
                scaled = (length, self.inverse_frequencies(length));
            }
            for frequency in &scaled.1 {
                let angle = *position as f32 * *frequency as f32;
                cos.push(angle.cos() * factor);
                sin.push(angle.sin() * factor);
            }
        }
        let shape = [rows, positions.len() / rows.max(1), half];
        let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
        (tensor(cos), tensor(sin))
    }

    /// Inverse frequencies, `dim/2` of them, for a sequence of `length` tokens.
    pub fn inverse_frequencies(&self, length: usize) -> Vec<f64> {
        let base =
            |theta: f64| (0..self.dim / 2).map(move |i| 1.0 / theta.powf(2.0 * i as f64 / self.dim as f64));
        match &self.scaling {
            RopeScaling::None => base(self.theta).collect(),
            RopeScaling::Rounded => base(self.theta).map(|f| half::f16::from_f64(f).to_f64()).collect(),
            RopeScaling::Linear { factor } => base(self.theta).map(|f| f / factor).collect(),
            RopeScaling::Dynamic { factor } => base(self.ntk_theta(*factor, length)).collect(),
            RopeScaling::Llama3 { factor, low, high, original } => {
                base(self.theta).map(|f| llama3(f, *factor, *low, *high, *original)).collect()
            }
            RopeScaling::Yarn(yarn) => self.yarn(yarn),
            RopeScaling::LongRope(long) => {
                let stretch = if length > long.original { &long.long } else { &long.short };
                base(self.theta).zip(stretch).map(|(f, s)| f / s).collect()
            }
        }
    }

    /// The length beyond which frequencies depend on a sequence's own length; none where they never do.
    pub fn stretches_beyond(&self) -> Option<usize> {
        match &self.scaling {
            RopeScaling::Dynamic { .. } => Some(self.max_position),
            RopeScaling::LongRope(long) => Some(long.original),
            RopeScaling::None
            | RopeScaling::Rounded
            | RopeScaling::Linear { .. }
            | RopeScaling::Yarn(_)
            | RopeScaling::Llama3 { .. } => None,
        }
    }

    fn attention_factor(&self) -> f64 {
        match &self.scaling {
            RopeScaling::Yarn(yarn) => yarn.attention_factor,
            RopeScaling::LongRope(long) => long.attention_factor,
            RopeScaling::None
            | RopeScaling::Rounded
            | RopeScaling::Linear { .. }
            | RopeScaling::Dynamic { .. }
            | RopeScaling::Llama3 { .. } => 1.0,
        }
    }

    fn ntk_theta(&self, factor: f64, length: usize) -> f64 {
        let max = self.max_position as f64;
        let length = (length as f64).max(max);
        let dim = self.dim as f64;
        self.theta * (factor * length / max - (factor - 1.0)).powf(dim / (dim - 2.0))
    }

    fn yarn(&self, yarn: &Yarn) -> Vec<f64> {
        let dim = self.dim as f64;
        let correction =
            |rotations: f64| dim * (yarn.original / (rotations * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
        let (mut low, mut high) = (correction(yarn.beta_fast), correction(yarn.beta_slow));
        if yarn.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        low = low.max(0.0);
        high = high.min(dim - 1.0);
        if low == high {
            high += 0.001;
        }
        (0..self.dim / 2)
            .map(|i| {
                let frequency = 1.0 / self.theta.powf(2.0 * i as f64 / dim);
                let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                frequency / yarn.factor * ramp + frequency * (1.0 - ramp)
            })
            .collect()
    }
}

/// Long waves are stretched by `factor`, short ones kept, those between interpolated.
fn llama3(frequency: f64, factor: f64, low: f64, high: f64, original: f64) -> f64 {
    let wavelength = 2.0 * PI / frequency;
    if wavelength < original / high {
        frequency
    } else if wavelength > original / low {
        frequency / factor
    } else {
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_frequencies_are_those_of_llama_3_2_1b() {
        let rope = Rope {
            theta: 5e5,
            dim: 64,
            max_position: 131_072,
            scaling: RopeScaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192.0 },
            interleaved: false,
        };
        let got = rope.inverse_frequencies(10);
        for (index, want) in
            [(0, 1.0), (1, 0.663_601_24), (14, 0.003_211_446), (15, 0.001_290_547_9), (31, 9.418_306_7e-8)]
        {
            assert!((got[index] / want - 1.0).abs() < 1e-6, "{index}: {} is not {want}", got[index]);
        }
    }
}

//! What new factors hold (PEFT's `init_lora_weights`).

use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use protocol::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::adapter::LoraAdapter;
use super::principal::{orthogonal_columns, principal};
use super::site::LoraSite;
use super::stored::no_weights;
use crate::models::Model;
use crate::nn::{ParamId, Site, SiteKind, Value};

/// How A and B begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A ~ U(−1/√in, 1/√in), B = 0.
    Uniform,
    /// A ~ N(0, 1/rank²), B = 0.
    Gaussian,
    /// Random with B·A = 0.
    Orthogonal,
    /// The part of W with the largest singular values; so many passes, or until they settle.
    Pissa(Option<usize>),
    /// Q and R of W.
    Olora,
}

impl Start {
    /// Words of the setting `init`; all but the first are PEFT's.
    pub const WORDS: [(&str, Self); 6] = [
        ("default", Self::Uniform),
        ("gaussian", Self::Gaussian),
        ("orthogonal", Self::Orthogonal),
        ("pissa", Self::Pissa(None)),
        ("pissa_niter_4", Self::Pissa(Some(4))),
        ("olora", Self::Olora),
    ];

    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, start)| *start)
    }

    /// Whether it takes its part of the weights for itself.
    pub fn takes_weights(self) -> bool {
        matches!(self, Self::Pissa(_) | Self::Olora)
    }
}

/// Draws a site's factors; for an embedding A = 0, B ~ N(0, 1) whatever the start. Magnitudes are the norms of W, biases 0.
///
/// # Errors
/// When the start needs weights that are not dense, or the device fails.
pub fn initialise(
    adapter: &mut LoraAdapter,
    model: &Model,
    entry: &LoraSite,
    site: &Site,
    start: Start,
    seed: u64,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(0x10_0000 + site.id.0 as u64);
    let [a, b] = if site.kind == SiteKind::Embedding {
        let [a, b] = [entry.a, entry.b].map(|id| adapter.params.get(id).elements());
        [vec![0.0; a], fill(b, || normal(&mut rng) as f32)]
    } else {
        factors(adapter, model, entry, site, start, &mut rng)?
    };
    if let Some([a0, b0]) = entry.start {
        set(adapter, a0, a.clone(), model);
        set(adapter, b0, b.clone(), model);
    }
    set(adapter, entry.a, a, model);
    set(adapter, entry.b, b, model);
    if let Some([_, own]) = entry.bias {
        let zeros = Tensor::zeros([site.outputs], (&model.device, DType::F32));
        adapter.params.get_mut(own).value = Value::Vector(zeros);
    }
    if let Some(magnitude) = entry.magnitude {
        let value = match (model.params.get(entry.weight).value.matrix(), adapter.factors(entry)) {
            (Some(weight), Some([a, b])) => Value::Vector(entry.row_norm(weight, a, b)),
            _ => Value::Absent,
        };
        adapter.params.get_mut(magnitude).value = value;
    }
    Ok(())
}

/// A and B of all parts, row-major.
fn factors(
    adapter: &LoraAdapter,
    model: &Model,
    entry: &LoraSite,
    site: &Site,
    start: Start,
    rng: &mut ChaCha8Rng,
) -> Result<[Vec<f32>; 2]> {
    let [a, b] = [entry.a, entry.b].map(|id| adapter.params.get(id).elements());
    let rank = entry.rank;
    let bound = 1.0 / (site.inputs as f64).sqrt();
    match start {
        Start::Uniform => Ok([fill(a, || uniform(rng, bound)), vec![0.0; b]]),
        Start::Gaussian => Ok([fill(a, || (normal(rng) / rank as f64) as f32), vec![0.0; b]]),
        Start::Orthogonal => {
            let rows = rows_of_parts(entry, site);
            Ok(join(rows.into_iter().map(|rows| orthogonal(rank, site.inputs, rows, rng))))
        }
        Start::Pissa(passes) => {
            let of = |weight: &Tensor<2>| principal(weight, rank, entry.scale, passes, rng);
            Ok(join(weights(model, entry, site)?.iter().map(of).collect::<Result<Vec<_>>>()?))
        }
        Start::Olora => {
            let of = |weight: &Tensor<2>| orthogonal_columns(weight, rank);
            Ok(join(weights(model, entry, site)?.iter().map(of).collect::<Result<Vec<_>>>()?))
        }
    }
}

/// One part below the other.
fn join(parts: impl IntoIterator<Item = [Vec<f32>; 2]>) -> [Vec<f32>; 2] {
    let mut all = [Vec::new(), Vec::new()];
    for [a, b] in parts {
        all[0].extend(a);
        all[1].extend(b);
    }
    all
}

fn rows_of_parts(entry: &LoraSite, site: &Site) -> Vec<usize> {
    match &entry.slices {
        Some(slices) => slices.parts.iter().map(|part| slices.fused.len(*part)).collect(),
        None => vec![site.outputs],
    }
}

/// The matrix as it acts on its input, or the rows of each part of it, `[out, in]`, f32.
fn weights(model: &Model, entry: &LoraSite, site: &Site) -> Result<Vec<Tensor<2>>> {
    let weight = model.params.get(entry.weight).value.matrix().ok_or_else(|| no_weights(&site.path))?;
    let weight = weight.cast(FloatDType::F32) * entry.frozen_scale;
    let weight = if entry.transposed() { weight.transpose() } else { weight };
    Ok(match &entry.slices {
        Some(slices) => slices.parts.iter().map(|part| slices.rows_of(weight.clone(), *part)).collect(),
        None => vec![weight],
    })
}

/// PEFT's `orthogonal_init`: from the even and the odd rows of an orthogonal matrix, so that B·A = 0 but for rounding.
fn orthogonal(rank: usize, inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> [Vec<f32>; 2] {
    let mut draw = |len: usize| -> Vec<f64> { (0..len).map(|_| normal(rng)).collect() };
    let rows = orthogonal_rows(rank, &mut draw);
    let half = rank / 2;
    let (to_a, to_b) = (draw(inputs * half), draw(outputs * half));
    // Sum over half the rows: `parity` 0 for A's, 1 for B's.
    let mixed = |drawn: &[f64], at: usize, of: usize, parity: usize| -> f32 {
        let terms = (0..half).map(|row| drawn[of * half + row] * rows[2 * row + parity][at]);
        (terms.sum::<f64>() / 10.0) as f32
    };
    let a = (0..rank * inputs).map(|place| mixed(&to_a, place / inputs, place % inputs, 0)).collect();
    let b = (0..outputs * rank).map(|place| mixed(&to_b, place % rank, place / rank, 1)).collect();
    [a, b]
}

/// Orthonormal rows, drawn (Gram-Schmidt, twice against rounding).
fn orthogonal_rows(rank: usize, draw: &mut dyn FnMut(usize) -> Vec<f64>) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(rank);
    while rows.len() < rank {
        let mut row = draw(rank);
        for _ in 0..2 {
            for other in &rows {
                let share: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= share * b);
            }
        }
        let length = row.iter().map(|element| element * element).sum::<f64>().sqrt();
        if length > 1e-6 {
            rows.push(row.into_iter().map(|element| element / length).collect());
        }
    }
    rows
}

fn fill(len: usize, draw: impl FnMut() -> f32) -> Vec<f32> {
    std::iter::repeat_with(draw).take(len).collect()
}

fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0
}

fn uniform(rng: &mut ChaCha8Rng, bound: f64) -> f32 {
    let (u, _) = (unit(rng), unit(rng));
    ((2.0 * u - 1.0) * bound) as f32
}

/// A number from N(0, 1).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (unit(rng), unit(rng));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn set(adapter: &mut LoraAdapter, id: ParamId, values: Vec<f32>, model: &Model) {
    let param = adapter.params.get_mut(id);
    let data = TensorData::new(values, param.shape.clone());
    param.value = Value::Matrix(Tensor::from_data(data, (&model.device, DType::F32)));
}

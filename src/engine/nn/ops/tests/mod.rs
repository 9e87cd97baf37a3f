//! The fused kernels and the formulas against the compositions: values and gradients, at odd sizes.

mod attention;
mod elementwise;
mod halves;
mod plain;
mod rope;
mod texts;
mod truth;
mod unpack;

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};

/// Pseudo-random numbers in `-1..1`, the same for the same seed.
fn random<const D: usize>(dims: [usize; D], seed: u64) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..dims.iter().product())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, dims), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Fails unless the elements differ by less than `tolerance`, relative to the greatest.
fn assert_close<const D: usize>(what: &str, got: Tensor<D>, want: Tensor<D>, tolerance: f32) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let (got, want) = (values(got), values(want));
    let scale = want.iter().fold(f32::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
    for (index, (got, want)) in got.iter().zip(&want).enumerate() {
        let error = (got - want).abs() / scale;
        assert!(error <= tolerance, "{what}[{index}]: {got} is not {want} (error {error:e})");
    }
}

/// A leaf of a graph.
fn leaf<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone().autodiff().require_grad()
}

/// Gradients for a random gradient of the output.
fn backward<const D: usize>(output: Tensor<D>) -> Gradients {
    let gradient = random(output.dims(), 77);
    (output * gradient).sum().backward()
}

fn tokens(ids: &[i32]) -> Tensor<1, Int> {
    Tensor::from_data(ids, &Device::flex())
}

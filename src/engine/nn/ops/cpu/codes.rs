//! Numbers to eight-bit codes and back.

use burn::tensor::{DType, Int, Tensor, TensorData};
use burn_flex::Flex;
use rayon::prelude::*;

use super::super::{CODE_BLOCK, Code};
use super::bridge::primitive;
use super::buffer::{elements, ordered, tensor};

/// See [`super::super::compose::encode_blocks`].
pub fn encode_blocks(x: Tensor<1>, code: &Code) -> (Tensor<1, Int>, Tensor<1>) {
    let device = x.device().inner();
    let x = ordered(primitive(x.inner()));
    let x = elements(&x);
    let mut codes = vec![0u8; x.len()];
    let mut scales = vec![0f32; x.len().div_ceil(CODE_BLOCK)];
    let blocks = codes.par_chunks_mut(CODE_BLOCK).zip(&mut scales).zip(x.par_chunks(CODE_BLOCK));
    blocks.for_each(|((codes, scale), x)| {
        *scale = x.iter().fold(0.0, |most, x| x.abs().max(most));
        let inverse = 1.0 / scale.max(f32::MIN_POSITIVE);
        for (index, x) in codes.iter_mut().zip(x) {
            let x = (x * inverse).clamp(-1.0, 1.0);
            *index = code.middles.partition_point(|middle| *middle < x) as u8;
        }
    });
    let shape = [codes.len()];
    let codes = Tensor::from_data(TensorData::new(codes, shape), (&device, DType::U8));
    let scales = tensor(scales, [shape[0].div_ceil(CODE_BLOCK)]);
    (codes, Tensor::from_primitive::<Flex>(scales))
}

/// See [`super::super::compose::decode_blocks`].
///
/// # Panics
/// If the codes are not `u8` on the CPU backend.
pub fn decode_blocks(codes: Tensor<1, Int>, scales: Tensor<1>, code: &Code) -> Tensor<1> {
    let codes = codes.inner().try_into_primitive::<Flex>();
    let codes = ordered(codes.expect("codes on the CPU backend"));
    let codes: &[u8] = codes.as_slice().expect("codes of eight bits in order");
    let scales = ordered(primitive(scales.inner()));
    let mut x = vec![0f32; codes.len()];
    let blocks = x.par_chunks_mut(CODE_BLOCK).zip(codes.par_chunks(CODE_BLOCK)).zip(elements(&scales));
    blocks.for_each(|((x, codes), scale)| {
        for (x, index) in x.iter_mut().zip(codes) {
            *x = code.values[usize::from(*index)] * scale;
        }
    });
    let length = x.len();
    Tensor::from_primitive::<Flex>(tensor(x, [length]))
}

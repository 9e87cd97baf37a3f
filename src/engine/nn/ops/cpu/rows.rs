//! Loops over tensors in 16 bits that calculate in `f32`: a block of numbers at a time is widened, calculated with and
//! rounded, small enough to stay in the cache next to the core.

use std::mem::MaybeUninit;

use burn::tensor::{Bytes, DType, Element};
use burn_flex::{FlexTensor, Layout};
use half::{bf16, f16};
use rayon::prelude::*;

use super::buffer::GRAIN;
use super::few::Half;
use super::halves::halves;

/// Numbers of a block.
const BLOCK: usize = 1024;

/// `M` new tensors, each number from those of `N` at the same place: `work(inputs, outputs)` is called for blocks. All are
/// of one shape, in order, and of one element type of 16 bits.
///
/// # Panics
/// If the inputs are not of one length.
pub fn map_halves<const N: usize, const M: usize>(
    inputs: [&FlexTensor; N],
    work: impl Fn([&[f32]; N], [&mut [f32]; M]) + Sync,
) -> [FlexTensor; M] {
    match inputs[0].dtype() {
        DType::F16 => map_of::<f16, N, M>(inputs, work),
        _ => map_of::<bf16, N, M>(inputs, work),
    }
}

fn map_of<E: Half + Default + Send + Element + bytemuck::Pod, const N: usize, const M: usize>(
    inputs: [&FlexTensor; N],
    work: impl Fn([&[f32]; N], [&mut [f32]; M]) + Sync,
) -> [FlexTensor; M] {
    let numbers = inputs.map(halves::<E>);
    let count = numbers[0].len();
    assert!(numbers.iter().all(|numbers| numbers.len() == count), "tensors of one shape");
    let mut outputs: [Vec<E>; M] = std::array::from_fn(|_| Vec::with_capacity(count));
    pieces(&mut outputs, count).into_par_iter().enumerate().for_each(|(piece, mut room)| {
        let (mut wide, mut results) = ([[0.0; BLOCK]; N], [[0.0; BLOCK]; M]);
        let first = piece * GRAIN;
        for at in (first..count.min(first + GRAIN)).step_by(BLOCK) {
            let size = BLOCK.min(count - at);
            for (wide, numbers) in wide.iter_mut().zip(numbers) {
                E::widen(&numbers[at..at + size], &mut wide[..size]);
            }
            work(wide.each_ref().map(|wide| &wide[..size]), results.each_mut().map(|wide| &mut wide[..size]));
            for (room, results) in room.iter_mut().zip(&results) {
                let mut rounded = [E::default(); BLOCK];
                E::round(&results[..size], &mut rounded[..size]);
                room[at - first..][..size].write_copy_of_slice(&rounded[..size]);
            }
        }
    });
    outputs.map(|mut numbers| {
        #[expect(unsafe_code, reason = "memory that was written above")]
        // SAFETY: there is room for all, and each block of each piece was written.
        unsafe {
            numbers.set_len(count);
        }
        let layout = Layout::contiguous(inputs[0].layout().shape().clone());
        FlexTensor::new(Bytes::from_elems(numbers), layout, inputs[0].dtype())
    })
}

/// The room for `count` numbers of each output, in pieces of one length.
fn pieces<E, const M: usize>(outputs: &mut [Vec<E>; M], count: usize) -> Vec<[&mut [MaybeUninit<E>]; M]> {
    let mut left = outputs.each_mut().map(|numbers| &mut numbers.spare_capacity_mut()[..count]);
    let mut pieces = Vec::with_capacity(count.div_ceil(GRAIN));
    for first in (0..count).step_by(GRAIN) {
        let size = GRAIN.min(count - first);
        pieces.push(left.each_mut().map(|left| left.split_off_mut(..size).expect("a piece of the rest")));
    }
    pieces
}

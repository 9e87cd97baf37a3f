//! Heads of `[B, H, T, D]` tensors, as rows that lie apart.

use std::ops::Range;

use burn::tensor::DType;
use burn_flex::FlexTensor;
use half::{bf16, f16};

use super::buffer::tensor;
use super::few::Half;
use super::gemm::Matrix;

/// Head by head view of a `[B, H, T, D]` tensor whose last axis is in order.
pub(super) struct Heads<'a> {
    numbers: Numbers<'a>,
    strides: [usize; 3],
    pub dims: [usize; 4],
}

enum Numbers<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
    F16(&'a [f16]),
}

impl<'a> Heads<'a> {
    pub fn new(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        let (strides, start) = (layout.strides(), layout.start_offset());
        let numbers = match tensor.dtype() {
            DType::BF16 => Numbers::Bf16(&tensor.storage()[start..]),
            DType::F16 => Numbers::F16(&tensor.storage()[start..]),
            _ => Numbers::F32(&tensor.storage()[start..]),
        };
        Self {
            numbers,
            strides: std::array::from_fn(|axis| strides[axis] as usize),
            dims: layout.shape().dims(),
        }
    }

    /// Some rows of a head in `f32`: where they are, or in `room`.
    pub fn rows<'b>(
        &'b self,
        [batch, head]: [usize; 2],
        rows: Range<usize>,
        room: &'b mut Vec<f32>,
    ) -> Matrix<'b> {
        let start = batch * self.strides[0] + head * self.strides[1] + rows.start * self.strides[2];
        match self.numbers {
            Numbers::F32(numbers) => Matrix::by_rows(&numbers[start..], self.strides[2]),
            Numbers::Bf16(numbers) => self.widened(&numbers[start..], rows.len(), room),
            Numbers::F16(numbers) => self.widened(&numbers[start..], rows.len(), room),
        }
    }

    fn widened<'b, E: Half>(&self, numbers: &[E], rows: usize, room: &'b mut Vec<f32>) -> Matrix<'b> {
        let width = self.dims[3];
        room.resize(rows * width, 0.0);
        for (row, room) in room.chunks_exact_mut(width.max(1)).enumerate() {
            E::widen(&numbers[row * self.strides[2]..][..width], room);
        }
        Matrix::by_rows(room, width)
    }
}

/// The tensor, copied only if [`Heads`] cannot view it.
pub(super) fn viewable(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let in_order = layout.strides()[3] == 1 || layout.shape()[3] == 1;
    let forward = layout.strides().iter().all(|stride| *stride >= 0);
    if in_order && forward { tensor } else { tensor.to_contiguous() }
}

/// A result `[B, H, T, D]` that lies as `[B, T, H, D]`, so that joining the heads copies nothing.
pub(super) struct Joined {
    elements: Vec<f32>,
    dims: [usize; 4],
}

impl Joined {
    pub fn new(dims: [usize; 4]) -> Self {
        Self { elements: vec![0.0; dims.iter().product()], dims }
    }

    /// The rows of every `(batch, head)`, in this order.
    pub fn heads(&mut self) -> Vec<Vec<&mut [f32]>> {
        let [batches, heads, time, width] = self.dims;
        let mut rows: Vec<Vec<&mut [f32]>> = (0..batches * heads).map(|_| Vec::with_capacity(time)).collect();
        if width > 0 {
            for (index, row) in self.elements.chunks_exact_mut(width).enumerate() {
                rows[index / (time * heads) * heads + index % heads].push(row);
            }
        }
        rows
    }

    pub fn into_tensor(self) -> FlexTensor {
        let [batches, heads, time, width] = self.dims;
        tensor(self.elements, [batches, time, heads, width]).transpose(1, 2)
    }
}

/// Copies rows of `width` one after another into rows that lie apart.
pub(super) fn copy_rows(from: &[f32], to: &mut [&mut [f32]]) {
    for (from, to) in from.chunks_exact(to.first().map_or(1, |row| row.len().max(1))).zip(to) {
        to.copy_from_slice(from);
    }
}

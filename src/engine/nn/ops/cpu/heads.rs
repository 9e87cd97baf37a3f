//! Heads of `[B, H, T, D]` tensors, as rows that lie apart.

use burn_flex::FlexTensor;

use super::buffer::tensor;
use super::gemm::Matrix;

/// Head by head view of a `[B, H, T, D]` tensor whose last axis is in order.
pub(super) struct Heads<'a> {
    elements: &'a [f32],
    strides: [usize; 3],
    pub dims: [usize; 4],
}

impl<'a> Heads<'a> {
    pub fn new(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        let strides = layout.strides();
        let elements: &[f32] = tensor.storage();
        Self {
            elements: &elements[layout.start_offset()..],
            strides: std::array::from_fn(|axis| strides[axis] as usize),
            dims: layout.shape().dims(),
        }
    }

    /// The rows of one head from `first` on.
    pub fn rows(&self, batch: usize, head: usize, first: usize) -> Matrix<'a> {
        let start = batch * self.strides[0] + head * self.strides[1] + first * self.strides[2];
        Matrix::by_rows(&self.elements[start..], self.strides[2])
    }

    /// One row of one head.
    pub fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        &self.rows(batch, head, row).elements[..self.dims[3]]
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

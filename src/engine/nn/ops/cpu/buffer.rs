//! Tensors of the CPU backend as slices of `f32`, and loops over them on all threads.

use burn::tensor::{Bytes, DType, Element, Shape};
use burn_flex::{FlexTensor, Layout};
use rayon::prelude::*;

/// Elements a task takes at once: many enough to hide the hand-over, few enough for the cache.
pub const GRAIN: usize = 16 * 1024;

/// The tensor with its elements in order, copied only if they are not.
pub fn ordered(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The elements of an [`ordered`] tensor.
///
/// # Panics
/// If the tensor is not in order or not `f32`.
pub fn elements(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("an f32 tensor in order")
}

/// The elements of an [`ordered`] tensor for overwriting, if nobody else holds the buffer.
pub fn elements_mut<E: Element + bytemuck::Pod>(tensor: &mut FlexTensor) -> Option<&mut [E]> {
    let (start, end) = tensor.layout().contiguous_offsets()?;
    tensor.try_storage_mut::<E>().map(|all| &mut all[start..end])
}

/// A tensor of these elements in order.
pub fn tensor(elements: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let layout = Layout::contiguous(shape.into());
    FlexTensor::new(Bytes::from_elems(elements), layout, DType::F32)
}

/// The tensor in order with a buffer of its own: the same one if nobody else holds it.
pub fn writable(shared: FlexTensor) -> FlexTensor {
    let shared = ordered(shared);
    let whole = size_of_val(elements(&shared)) == shared.bytes().len();
    if whole && shared.is_unique() {
        shared
    } else {
        tensor(elements(&shared).to_vec(), shared.layout().shape().clone())
    }
}

/// All elements of a [`writable`] tensor.
pub fn all_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// Rows of `width` elements, so many that they make about one [`GRAIN`].
pub fn rows_per_task(width: usize) -> usize {
    (GRAIN / width.max(1)).max(1)
}

/// Calls `work(first_row, rows)` for pieces of `out`, on all threads if there is enough of it.
pub fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = rows_per_task(width);
    if width == 0 {
        return;
    }
    if out.len() <= 2 * GRAIN {
        return work(0, out);
    }
    out.par_chunks_mut(rows * width).enumerate().for_each(|(task, chunk)| work(task * rows, chunk));
}

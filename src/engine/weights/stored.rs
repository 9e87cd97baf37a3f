//! A tensor as a file stores it: its form, and where its elements lie.

use std::borrow::Cow;
use std::ops::Range;

use super::dtype::{FileDtype, byte_len};

/// Form and place of one tensor. The layout was checked against the file's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub dtype: FileDtype,
    pub shape: Vec<usize>,
    pub layout: Layout,
}

impl Stored {
    /// The elements in row-major order, copied only where the view is strided. `file` is the whole file.
    pub fn read<'a>(&self, file: &'a [u8]) -> Cow<'a, [u8]> {
        self.layout.read(file, &self.shape, self.dtype)
    }

    /// Bytes of the elements.
    pub fn byte_len(&self) -> usize {
        byte_len(&self.shape, self.dtype).expect("checked when the layout was made")
    }
}

/// Elements of a tensor inside a file: contiguous in row-major order, or a strided view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Byte offset of element 0 in the file.
    start: usize,
    /// In elements, one a dimension; None where the elements are contiguous.
    strides: Option<Vec<usize>>,
}

impl Layout {
    pub fn contiguous(start: usize) -> Self {
        Self { start, strides: None }
    }

    /// A view of `storage` (a byte range of the file) from element `offset` on. `Err` holds the reason, in
    /// English, for a detail line.
    pub fn strided(
        storage: Range<usize>,
        dtype: FileDtype,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("{} dimensions and {} strides", shape.len(), strides.len()));
        }
        let capacity = (storage.end - storage.start) / dtype.size();
        let elements = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let elements = elements.ok_or("its shape overflows")?;
        if elements == 0 {
            return Ok(Self::contiguous(storage.start));
        }
        // An expanded view (stride 0) could stand for any amount of memory.
        if elements > capacity {
            return Err(format!("{elements} elements in a storage of {capacity}"));
        }
        let last = shape.iter().zip(strides).try_fold(offset, |last, (&dim, &stride)| {
            dim.saturating_sub(1).checked_mul(stride)?.checked_add(last)
        });
        match last {
            Some(last) if last < capacity => {}
            _ => return Err(format!("its strides leave the storage of {capacity} elements")),
        }
        let start = storage.start + offset * dtype.size();
        let strides = (!is_contiguous(shape, strides)).then(|| strides.to_vec());
        Ok(Self { start, strides })
    }

    pub fn start(&self) -> usize {
        self.start
    }

    pub fn is_contiguous(&self) -> bool {
        self.strides.is_none()
    }

    fn read<'a>(&self, file: &'a [u8], shape: &[usize], dtype: FileDtype) -> Cow<'a, [u8]> {
        match &self.strides {
            None => {
                let len = byte_len(shape, dtype).expect("checked when the layout was made");
                Cow::Borrowed(&file[self.start..self.start + len])
            }
            Some(strides) => Cow::Owned(gather(&file[self.start..], shape, strides, dtype.size())),
        }
    }
}

/// Row-major? Strides of dimensions of length 1 do not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(&dim, &stride)| {
        let fits = dim == 1 || stride == expected;
        expected *= dim;
        fits
    })
}

/// Copies a strided view into row-major order. `shape` holds no zero.
fn gather(file: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Vec<u8> {
    let elements: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(elements * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..elements {
        let at: usize = index.iter().zip(strides).map(|(&i, &stride)| i * stride).sum();
        bytes.extend_from_slice(&file[at * size..(at + 1) * size]);
        for (i, &dim) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < dim {
                break;
            }
            *i = 0;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_is_gathered() {
        let file: Vec<u8> = (0..6).collect();
        let layout = Layout::strided(0..6, FileDtype::U8, 0, &[3, 2], &[1, 3]).unwrap();
        assert_eq!(layout.read(&file, &[3, 2], FileDtype::U8).as_ref(), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn strides_of_single_rows_do_not_matter() {
        let layout = Layout::strided(4..20, FileDtype::F32, 2, &[1, 2], &[99, 1]).unwrap();
        assert!(layout.is_contiguous());
        assert_eq!(layout.start(), 12);
    }

    #[test]
    fn views_outside_the_storage_are_refused() {
        let view = |offset, shape: &[usize], strides: &[usize]| {
            Layout::strided(0..16, FileDtype::F32, offset, shape, strides)
        };
        assert!(view(0, &[4], &[1]).is_ok());
        assert!(view(1, &[4], &[1]).is_err());
        assert!(view(0, &[2], &[4]).is_err());
        assert!(view(usize::MAX, &[1], &[1]).is_err());
        assert!(view(0, &[2], &[usize::MAX]).is_err());
        assert!(view(0, &[usize::MAX, 2], &[0, 0]).is_err());
        assert!(view(0, &[1 << 40], &[0]).is_err());
        assert!(view(usize::MAX, &[0, 3], &[3, 1]).is_ok());
    }
}

//! Eight bits an element made dense in one launch, in the element type of the products.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::super::unpack::Bytes as Packed;
use super::{Dense, Own, Path, Scale, Work, cube, flat, pattern, serves};

pub struct Bytes;

pub const KERNEL: Bytes = Bytes;

impl Own for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let shapes = match scale {
            Scale::Trial => vec![([5, 64], true), ([5, 64], false), ([3, 4], true)],
            Scale::Real => vec![([4096, 14_336], true)],
        };
        let input = |([rows, columns], by_rows): ([usize; 2], bool)| {
            let codes = (0..rows * columns).map(|at| (at * 101 % 256) as u8).collect();
            let scales = pattern([if by_rows { rows } else { columns }], 0.4, device, DType::F32);
            (Packed::new(codes, by_rows, device), scales, [rows, columns])
        };
        let inputs: Vec<_> = shapes.into_iter().map(input).collect();
        let dtype: FloatDType = dtype.into();
        Box::new(move |path| {
            let made = inputs.iter().map(|(packed, scales, shape)| {
                let (dense, scales) =
                    (Dense { shape: *shape, rounded: FloatDType::F32, dtype }, scales.clone());
                let (codes, by_rows) = packed.parts();
                match path {
                    Path::Kernel => cube::bytes(codes, scales, by_rows, dense),
                    Path::Twin => packed.composed(scales, *shape, FloatDType::F32).cast(dtype),
                }
            });
            made.map(flat).collect()
        })
    }
}

/// `code · scale` by the kernel, where it serves such a matrix.
pub fn dense(packed: &Packed, scales: &Tensor<1>, dense: Dense) -> Option<Tensor<2>> {
    let (codes, by_rows) = packed.parts();
    let whole = dense.shape[1].is_multiple_of(4) && dense.suits(4);
    let serves = whole && serves(&KERNEL, &codes.device(), dense.dtype.into());
    serves.then(|| cube::bytes(codes, scales.clone(), by_rows, dense))
}

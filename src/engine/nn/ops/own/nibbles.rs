//! Four bits an element made dense in one launch, in the element type of the products: the composition looks values up in
//! `f32` by indices of 32 bits.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::super::unpack::Nibbles as Packed;
use super::{Dense, Own, Path, Scale, Work, cube, flat, pattern, serves};

pub struct Nibbles;

pub const KERNEL: Nibbles = Nibbles;

impl Own for Nibbles {
    fn name(&self) -> &'static str {
        "nibbles"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let table = std::array::from_fn(|code| (code as f32 - 7.3) / 8.1);
        // Whole blocks, and one that is cut off.
        let shapes = match scale {
            Scale::Trial => vec![([24, 64], 64), ([9, 24], 64), ([1, 8], 8)],
            Scale::Real => vec![([4096, 14_336], 64)],
        };
        let input = |([rows, columns], block): ([usize; 2], usize)| {
            let elements: usize = rows * columns;
            let codes = (0..elements.div_ceil(2)).map(|at| (at * 101 % 256) as u8).collect();
            let packed = Packed::new(codes, elements, table, block, device);
            let scales = pattern([elements.div_ceil(block)], 0.4, device, DType::F32);
            (packed, scales, [rows, columns])
        };
        let inputs: Vec<_> = shapes.into_iter().map(input).collect();
        let dtype: FloatDType = dtype.into();
        Box::new(move |path| {
            let made = inputs.iter().map(|(packed, scales, shape)| {
                let (dense, scales) =
                    (Dense { shape: *shape, rounded: FloatDType::F32, dtype }, scales.clone());
                let (codes, table, block) = packed.parts();
                match path {
                    Path::Kernel => cube::nibbles(codes, table, scales, block, dense),
                    Path::Twin => packed.composed(scales, *shape, FloatDType::F32).cast(dtype),
                }
            });
            made.map(flat).collect()
        })
    }
}

/// `table[code] · scale` by the kernel, where it serves such a matrix.
pub fn dense(packed: &Packed, scales: &Tensor<1>, dense: Dense) -> Option<Tensor<2>> {
    let (codes, table, block) = packed.parts();
    let whole = block.is_multiple_of(8) && dense.suits(8);
    let serves = whole && serves(&KERNEL, &codes.device(), dense.dtype.into());
    serves.then(|| cube::nibbles(codes, table, scales.clone(), block, dense))
}

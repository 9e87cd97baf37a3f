//! From numbers to codes, as bitsandbytes finds them.

use burn::tensor::FloatDType;
use rayon::prelude::*;

use super::{BLOCK, Code, NESTED_BLOCK, Nested, Outputs, Quantised, Quantization, Scales};
use crate::nn::ops::{SIGNED_CODE, vectorised};

/// The values of NF4: equally likely parts of a normal distribution, 0 and ±1 among them.
pub const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Where the nearest value changes, as bitsandbytes' kernels write it.
const MIDPOINTS: [f32; 15] = [
    -0.848_096_4,
    -0.610_632_9,
    -0.459_995_27,
    -0.339_679_43,
    -0.234_607_41,
    -0.137_911_74,
    -0.045_525_018,
    0.039_790_15,
    0.120_255_25,
    0.203_521_25,
    0.292_013_77,
    0.389_312_54,
    0.501_663_4,
    0.642_786_9,
    0.861_478_45,
];

/// Blocks that a task takes at once.
const BLOCKS: usize = 256;
/// The largest number of a signed byte.
const LARGEST: f32 = 127.0;

impl Quantised {
    /// Codes and scales of a matrix in row-major order, whose numbers are finite.
    pub fn new(values: &[f32], shape: [usize; 2], quantization: Quantization, outputs: Outputs) -> Self {
        let (code, codes, scales) = match quantization {
            Quantization::Int8 => {
                let (codes, scales) = int8(values, shape, outputs);
                (Code::Bytes(outputs), codes, Scales::Plain(scales))
            }
            Quantization::Nf4 | Quantization::Nf4Double => {
                let (codes, scales) = nf4(values, BLOCK);
                let scales = match quantization {
                    Quantization::Nf4Double => Scales::Nested(nested(&scales)),
                    Quantization::Nf4 | Quantization::Int8 => Scales::Plain(scales),
                };
                (Code::Nibbles { table: NF4, block: BLOCK }, codes, scales)
            }
        };
        Self { shape, code, codes, scales, rounded: FloatDType::F32 }
    }
}

/// Codes, two a byte, and the largest magnitude of every block. `block` is even.
pub fn nf4(values: &[f32], block: usize) -> (Vec<u8>, Vec<f32>) {
    let mut codes = vec![0; values.len().div_ceil(2)];
    let mut scales = vec![0.0; values.len().div_ceil(block)];
    let tasks = values
        .par_chunks(BLOCKS * block)
        .zip(codes.par_chunks_mut(BLOCKS * block / 2))
        .zip(scales.par_chunks_mut(BLOCKS));
    tasks.for_each(|((values, codes), scales)| {
        vectorised(
            #[inline(always)]
            || {
                for ((values, codes), scale) in
                    values.chunks(block).zip(codes.chunks_mut(block / 2)).zip(scales)
                {
                    *scale = nf4_block(values, codes, block);
                }
            },
        );
    });
    (codes, scales)
}

/// The block's largest magnitude. Plain loops, so that they become vectors.
#[inline(always)]
fn nf4_block(values: &[f32], codes: &mut [u8], block: usize) -> f32 {
    const LANES: usize = 32;
    let largest = magnitude(values);
    // A block that is cut off at the end is divided, the others are multiplied.
    let divisor = largest.max(1e-38);
    let factor = 1.0 / divisor;
    let whole = values.len() == block;
    for (values, codes) in values.chunks(LANES).zip(codes.chunks_mut(LANES / 2)) {
        // What lies behind an odd end counts as 0.
        let mut scaled = [0.0; LANES];
        for (scaled, value) in scaled.iter_mut().zip(values) {
            *scaled = if whole { value * factor } else { value / divisor };
        }
        let mut nearest = [0u8; LANES];
        for midpoint in MIDPOINTS {
            for (nearest, scaled) in nearest.iter_mut().zip(&scaled) {
                // The lower of two values that are equally near.
                *nearest += u8::from(*scaled > midpoint);
            }
        }
        for (code, pair) in codes.iter_mut().zip(nearest.as_chunks::<2>().0) {
            *code = pair[0] << 4 | pair[1];
        }
    }
    largest
}

#[inline(always)]
fn magnitude(values: &[f32]) -> f32 {
    let mut largest = 0f32;
    for value in values {
        largest = largest.max(value.abs());
    }
    largest
}

/// Double quantisation: what the scales have beyond their mean, in blocks of 8-bit codes.
pub fn nested(scales: &[f32]) -> Nested {
    let mean = scales.iter().map(|scale| f64::from(*scale)).sum::<f64>() / scales.len().max(1) as f64;
    let offset = mean as f32;
    let rest: Vec<f32> = scales.iter().map(|scale| scale - offset).collect();
    let table = SIGNED_CODE.values.clone();
    let midpoints: Vec<f32> = table.windows(2).map(|pair| (pair[0] + pair[1]) * 0.5).collect();
    let mut codes = Vec::with_capacity(scales.len());
    let largest: Vec<f32> = rest.chunks(NESTED_BLOCK).map(magnitude).collect();
    for (block, largest) in rest.chunks(NESTED_BLOCK).zip(&largest) {
        let factor = 1.0 / largest;
        let code = |value: &f32| match largest {
            0.0 => 0,
            _ => midpoints.partition_point(|midpoint| *midpoint < value * factor) as u8,
        };
        codes.extend(block.iter().map(code));
    }
    Nested { codes, table, block: NESTED_BLOCK, scales: largest, offset }
}

/// Symmetric, by the largest magnitude of every output.
fn int8(values: &[f32], [rows, columns]: [usize; 2], outputs: Outputs) -> (Vec<u8>, Vec<f32>) {
    let mut largest = vec![0f32; if outputs == Outputs::Rows { rows } else { columns }];
    let lines = || values.chunks(columns.max(1));
    match outputs {
        Outputs::Rows => largest.iter_mut().zip(lines()).for_each(|(most, row)| *most = magnitude(row)),
        Outputs::Columns => lines().for_each(|row| {
            largest.iter_mut().zip(row).for_each(|(most, value)| *most = most.max(value.abs()));
        }),
    }
    let scales: Vec<f32> = largest.iter().map(|most| most / LARGEST).collect();
    let code = |value: f32, scale: f32| match scale {
        0.0 => 0,
        _ => (value / scale).round().clamp(-LARGEST, LARGEST) as i8 as u8,
    };
    let mut codes = Vec::with_capacity(values.len());
    for (row, line) in lines().enumerate() {
        match outputs {
            Outputs::Rows => codes.extend(line.iter().map(|value| code(*value, scales[row]))),
            Outputs::Columns => {
                let pairs = line.iter().zip(&scales);
                codes.extend(pairs.map(|(value, scale)| code(*value, *scale)));
            }
        }
    }
    (codes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_reference_are_found() {
        let values: Vec<f32> = (0..64).map(|i| ((37 * i % 64) as f32 - 31.5) / 16.0).collect();
        let got = Quantised::new(&values, [8, 8], Quantization::Nf4, Outputs::Rows);
        assert_eq!(got.scales, Scales::Plain(vec![1.96875]));
        let want = [
            9, 28, 62, 96, 162, 212, 248, 27, 46, 95, 145, 195, 230, 10, 29, 79, 113, 178, 229, 248, 28, 62,
            96, 161, 212, 231, 11, 45, 79, 129, 194, 229,
        ];
        assert_eq!(got.codes, want);
        let first =
            [-1.968_75, 0.316_831_32, -1.370_629_5, 0.867_647_47, -0.777_493_83, 1.423_321_2, -0.179_254_76];
        assert_eq!(got.dense()[..7], first);
    }

    #[test]
    fn blocks_of_zeros_and_odd_ends_have_the_code_of_zero() {
        let got = Quantised::new(&[0.0; 67], [1, 67], Quantization::Nf4, Outputs::Rows);
        assert_eq!((got.codes, got.scales), (vec![0x77; 34], Scales::Plain(vec![0.0; 2])));
    }

    #[test]
    fn whole_bytes_are_within_half_a_step_of_every_output() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 37 % 60) as f32 - 29.0) * 0.1).collect();
        for (outputs, count) in [(Outputs::Rows, 5), (Outputs::Columns, 12)] {
            let got = Quantised::new(&values, [5, 12], Quantization::Int8, outputs);
            let scales = got.scales.expanded();
            assert_eq!(scales.len(), count);
            for (i, (dense, value)) in got.dense().iter().zip(&values).enumerate() {
                let scale = scales[if outputs == Outputs::Rows { i / 12 } else { i % 12 }];
                assert!((dense - value).abs() <= 0.5001 * scale, "{i}: {dense} is not {value}");
            }
        }
    }
}

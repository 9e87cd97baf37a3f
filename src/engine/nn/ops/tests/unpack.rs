use burn::tensor::{Device, FloatDType, Tensor};

use super::super::{Bytes, Nibbles, ScaleBytes, matmul2};
use super::{assert_close, random, values};

fn codes(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 101 % 256) as u8).collect()
}

fn scales(count: usize) -> Tensor<1> {
    random([count], 5).abs() + 0.1
}

#[test]
fn four_bits_are_the_same_by_kernel_and_composition() {
    let table: [f32; 16] = std::array::from_fn(|code| (code as f32 - 7.3) / 8.1);
    // Whole blocks, a cut one, an odd end, one block, and more than a task takes.
    for ([rows, columns], block) in
        [([4, 64], 64), ([21, 46], 64), ([7, 9], 64), ([3, 2], 64), ([300, 257], 32)]
    {
        let (elements, device): (usize, _) = (rows * columns, Device::flex());
        let nibbles = Nibbles::new(codes(elements.div_ceil(2)), elements, table, block, &device);
        let scales = scales(elements.div_ceil(block));
        for rounded in [FloatDType::F32, FloatDType::BF16, FloatDType::F16] {
            let kernel = nibbles.dense(scales.clone(), [rows, columns], rounded, FloatDType::F32);
            let composed = nibbles.composed(scales.clone(), [rows, columns], rounded);
            assert_eq!(values(kernel.clone()), values(composed), "{rows} × {columns}, {rounded:?}");
            let plain = values(scales.clone());
            let at = elements - 1;
            let code = codes(elements.div_ceil(2))[at / 2];
            let code = if at.is_multiple_of(2) { code >> 4 } else { code & 15 };
            let want = table[usize::from(code)] * plain[at / block];
            assert!((values(kernel)[at] - want).abs() <= want.abs() / 128.0);
        }
    }
}

#[test]
fn eight_bits_are_the_same_by_kernel_and_composition() {
    for [rows, columns] in [[3, 5], [130, 257]] {
        for by_rows in [true, false] {
            let bytes = Bytes::new(codes(rows * columns), by_rows, &Device::flex());
            let scales = scales(if by_rows { rows } else { columns });
            for rounded in [FloatDType::F32, FloatDType::BF16] {
                let kernel = bytes.dense(scales.clone(), [rows, columns], rounded, FloatDType::F32);
                let composed = bytes.composed(scales.clone(), [rows, columns], rounded);
                assert_eq!(values(kernel), values(composed), "{rows} × {columns} by rows: {by_rows}");
            }
        }
    }
}

#[test]
fn scales_in_eight_bits_are_those_of_their_formula() {
    let table: Vec<f32> = (0..256).map(|i| (i as f32 - 127.0) / 129.0).collect();
    let outer = [0.5, 0.25, 2.0];
    let codes = codes(600);
    let got = values(ScaleBytes::new(codes.clone(), &table, 256, &outer, 0.75, &Device::flex()).expanded());
    let want: Vec<f32> =
        codes.iter().enumerate().map(|(i, code)| table[usize::from(*code)] * outer[i / 256] + 0.75).collect();
    assert_eq!(got, want);
}

#[test]
fn a_product_of_few_rows_needs_no_dense_matrix() {
    let (table, device) = (std::array::from_fn(|code| (code as f32 - 7.3) / 8.1), Device::flex());
    // Rows that are one block and several, fewer than go together, and more than a task takes.
    for (x, [rows, columns]) in [([1, 1], [3, 64]), ([2, 3], [11, 192]), ([1, 16], [600, 512])] {
        let x = random([x[0], x[1], columns], 3);
        let flat = x.clone().reshape([-1, columns as i32]);
        for rounded in [FloatDType::F32, FloatDType::BF16] {
            let scales = scales(rows * columns / 64);
            let nibbles = Nibbles::new(codes(rows * columns / 2), rows * columns, table, 64, &device);
            let dense = nibbles.dense(scales.clone(), [rows, columns], rounded, FloatDType::F32);
            let got = nibbles.few_rows(&x, scales, [rows, columns], rounded).unwrap();
            let want = matmul2(flat.clone(), dense.transpose()).reshape(got.dims());
            assert_close("four bits", got, want, 1e-5);
            let scales = self::scales(rows);
            let bytes = Bytes::new(codes(rows * columns), true, &device);
            let dense = bytes.dense(scales.clone(), [rows, columns], rounded, FloatDType::F32);
            let got = bytes.few_rows(&x, scales, [rows, columns], rounded).unwrap();
            let want = matmul2(flat.clone(), dense.transpose()).reshape(got.dims());
            assert_close("eight bits", got, want, 1e-5);
        }
    }
    let odd = Nibbles::new(codes(7 * 9), 7 * 18, table, 64, &device);
    assert!(odd.few_rows(&random([1, 1, 18], 3), scales(2), [7, 18], FloatDType::F32).is_none());
}

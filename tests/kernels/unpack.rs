use kernels::{Bytes, Element, Nibbles, Target, bytes, nibbles};

use crate::{Memory, assert_close, client, numbers};

/// Bytes that look random.
fn codes(count: usize) -> Vec<u8> {
    numbers(count, 11).iter().map(|value| (value.to_bits() >> 7) as u8).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

#[test]
fn four_bits() {
    let client = client();
    let table = numbers(16, 12);
    for (elements, block) in [(8, 8), (64, 64), (1024, 64), (4096, 32), (72, 64), (8 * 2049, 16)] {
        let packed = codes(elements / 2);
        let scales = numbers(elements.div_ceil(block), 13);
        let dense = Memory::floats(&client, &vec![9.0; elements]);
        let of = Nibbles {
            codes: Memory::words(&client, words(&packed)).buffer(),
            table: Memory::floats(&client, &table).buffer(),
            scales: Memory::floats(&client, &scales).buffer(),
            block,
            dense: dense.buffer(),
            element: Element::F32,
        };
        nibbles(Target::Device(&client), of);
        let truth = |at: usize| {
            let byte = packed[at / 2];
            let code = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
            f64::from(table[usize::from(code)]) * f64::from(scales[at / block])
        };
        let truth: Vec<f64> = (0..elements).map(truth).collect();
        assert_close(&format!("{elements} in blocks of {block}"), &dense.read(), &truth, 1e-7);
    }
}

#[test]
fn eight_bits() {
    let client = client();
    for (rows, columns) in [(1, 4), (3, 8), (128, 64), (5, 2052)] {
        for by_rows in [true, false] {
            let packed = codes(rows * columns);
            let scales = numbers(if by_rows { rows } else { columns }, 14);
            let dense = Memory::floats(&client, &vec![9.0; rows * columns]);
            let of = Bytes {
                codes: Memory::words(&client, words(&packed)).buffer(),
                scales: Memory::floats(&client, &scales).buffer(),
                by_rows,
                columns,
                dense: dense.buffer(),
                element: Element::F32,
            };
            bytes(Target::Device(&client), of);
            let truth = |at: usize| {
                let scale = scales[if by_rows { at / columns } else { at % columns }];
                f64::from(packed[at] as i8) * f64::from(scale)
            };
            let truth: Vec<f64> = (0..rows * columns).map(truth).collect();
            assert_close(&format!("{rows} × {columns}, by rows: {by_rows}"), &dense.read(), &truth, 1e-7);
        }
    }
}

#[test]
fn all_codes_are_told_apart() {
    let packed: Vec<u8> = (0..=255).collect();
    let values: Vec<f64> = packed.iter().map(|code| f64::from(*code as i8)).collect();
    let client = client();
    let dense = Memory::floats(&client, &[0.0; 256]);
    let of = Bytes {
        codes: Memory::words(&client, words(&packed)).buffer(),
        scales: Memory::floats(&client, &[1.0]).buffer(),
        by_rows: true,
        columns: 256,
        dense: dense.buffer(),
        element: Element::F32,
    };
    bytes(Target::Device(&client), of);
    assert_close("all bytes", &dense.read(), &values, 0.0);
}

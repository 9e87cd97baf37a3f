use kernels::{SUMS, Squares, TOGETHER, Target, squares};

use crate::{Memory, assert_close, client, numbers};

/// Tensors of these lengths, whose rows begin at the third: nothing else may be written.
fn sums(counts: &[usize]) {
    let client = client();
    let values: Vec<Vec<f32>> = counts.iter().map(|count| numbers(*count, *count as u64)).collect();
    let tensors: Vec<Memory> = values.iter().map(|values| Memory::floats(&client, values)).collect();
    let before = numbers((counts.len() + 3) * SUMS, 3);
    let written = Memory::floats(&client, &before);
    let buffers = tensors.iter().map(Memory::buffer).collect();
    squares(Target::Device(&client), Squares { tensors: buffers, sums: written.buffer(), first: 2 });
    let after = written.read();
    assert_eq!(after[..2 * SUMS], before[..2 * SUMS], "rows before");
    assert_eq!(after[(counts.len() + 2) * SUMS..], before[(counts.len() + 2) * SUMS..], "rows behind");
    for (row, values) in after[2 * SUMS..].chunks_exact(SUMS).zip(&values) {
        let got = row.iter().map(|sum| f64::from(*sum)).sum::<f64>() as f32;
        let truth = values.iter().map(|value| f64::from(*value).powi(2)).sum();
        assert_close(&format!("{} numbers", values.len()), &[got], &[truth], 1e-6);
    }
    for (memory, values) in tensors.iter().zip(&values) {
        assert_eq!(&memory.read(), values, "only read");
    }
}

#[test]
fn of_one_and_of_many() {
    for count in [1, 3, 4, 256, 16_384, 16_388, 1_000_003] {
        sums(&[count]);
    }
    sums(&[4, 100_000, 64, 8, 12, 2048, 256]);
    sums(&[5, 100_000, 64, 8, 12, 2048, 256]);
    assert!(TOGETHER >= 7);
}

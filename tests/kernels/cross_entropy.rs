use kernels::{CrossEntropy, Element, Target, cross_entropy};

use crate::{Memory, assert_close, client, element_types, numbers, rounding};

/// Loss of each row and gradients, by the definition.
fn twin(logits: &[f32], targets: &[usize], weight: f64) -> (Vec<f64>, Vec<f64>) {
    let columns = logits.len() / targets.len();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (row, target) in logits.chunks(columns).zip(targets) {
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let top = row.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = row.iter().map(|value| (value - top).exp()).sum();
        losses.push(sum.ln() + top - row[*target]);
        let gradient = |(at, value): (usize, &f64)| {
            ((value - top).exp() / sum - f64::from(u8::from(at == *target))) * weight
        };
        gradients.extend(row.iter().enumerate().map(gradient));
    }
    (losses, gradients)
}

fn check(logits: &[f32], targets: &[usize], weight: f32) {
    let client = client();
    for element in element_types(&client) {
        let memory = Memory::of(&client, logits, element);
        let rounded = memory.read();
        let places = Memory::words(&client, targets.iter().map(|target| *target as u32));
        let losses = Memory::floats(&client, &vec![7.0; targets.len()]);
        let of = CrossEntropy {
            logits: memory.buffer(),
            element,
            targets: places.buffer(),
            losses: losses.buffer(),
            weight,
        };
        cross_entropy(Target::Device(&client), of);
        let (truth, gradient) = twin(&rounded, targets, f64::from(weight));
        let what = format!("{} rows of {}, {element:?}", targets.len(), logits.len() / targets.len());
        assert_close(&format!("losses of {what}"), &losses.read(), &truth, 1e-5);
        let part = 1e-5 + rounding(element);
        assert_close(&format!("gradients of {what}"), &memory.read(), &gradient, part);
    }
}

#[test]
fn rows_of_every_width() {
    for (seed, (rows, columns)) in [
        (1, 1),
        (1, 4),
        (3, 5),
        (7, 255),
        (2, 256),
        (5, 1000),
        (4, 1023),
        (3, 1024),
        (2, 1025),
        (2, 32_003),
        (1, 151_936),
    ]
    .into_iter()
    .enumerate()
    {
        let logits: Vec<f32> =
            numbers(rows * columns, seed as u64).iter().map(|value| value * 12.0).collect();
        // The first column, the last, and others.
        let targets: Vec<usize> =
            (0..rows).map(|row| if row == 1 { columns - 1 } else { row * 37 % columns }).collect();
        check(&logits, &targets, 1.0);
        check(&logits, &targets, 0.0625);
    }
}

#[test]
fn more_rows_than_a_side_of_the_grid() {
    let rows = 70_000;
    let targets: Vec<usize> = (0..rows).map(|row| row % 3).collect();
    check(&numbers(rows * 3, 5), &targets, 1.0);
}

#[test]
fn logits_far_from_zero_and_hidden_ones() {
    let mut logits: Vec<f32> = numbers(4 * 512, 9).iter().map(|value| value * 30.0).collect();
    logits[..512].iter_mut().for_each(|value| *value += 5e4);
    logits[512..1024].iter_mut().for_each(|value| *value -= 5e4);
    logits[1024..1535].fill(-1e30);
    check(&logits, &[3, 500, 511, 0], 1.0);
}

#[test]
fn what_is_no_number_stays_none() {
    let client = client();
    let mut logits = numbers(2 * 300, 3);
    logits[7] = f32::NAN;
    let memory = Memory::floats(&client, &logits);
    let losses = Memory::floats(&client, &[0.0; 2]);
    let of = CrossEntropy {
        logits: memory.buffer(),
        element: Element::F32,
        targets: Memory::words(&client, [1, 2].into_iter()).buffer(),
        losses: losses.buffer(),
        weight: 1.0,
    };
    cross_entropy(Target::Device(&client), of);
    let losses = losses.read();
    assert!(losses[0].is_nan() && losses[1].is_finite(), "{losses:?}");
    assert!(memory.read()[..300].iter().all(|value| value.is_nan()));
}

#[test]
fn the_same_bits_again() {
    let client = client();
    let run = || {
        let memory = Memory::floats(&client, &numbers(3 * 5000, 4));
        let of = CrossEntropy {
            logits: memory.buffer(),
            element: Element::F32,
            targets: Memory::words(&client, [1, 2, 3].into_iter()).buffer(),
            losses: Memory::floats(&client, &[0.0; 3]).buffer(),
            weight: 1.0,
        };
        cross_entropy(Target::Device(&client), of);
        memory.read()
    };
    assert_eq!(run(), run());
}

use cubecl::client::Client;
use kernels::{Element, Norm, Target, gain_parts, norm, norm_backward, norm_gain};

use crate::{Memory, assert_close, client, element_types, numbers, rounding};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rms,
    Unit,
    Layer,
}

const KINDS: [Kind; 3] = [Kind::Rms, Kind::Unit, Kind::Layer];
const EPS: f64 = 1e-5;

/// By the definition: the normed rows, and the gradients of rows and gain.
struct Truth {
    y: Vec<f64>,
    dx: Vec<f64>,
    gain: Vec<f64>,
}

fn truth(kind: Kind, x: &[f32], weight: &[f32], bias: &[f32], gradient: &[f32]) -> Truth {
    let columns = weight.len();
    let mut truth = Truth { y: Vec::new(), dx: Vec::new(), gain: vec![0.0; columns] };
    let added = f64::from(u8::from(matches!(kind, Kind::Unit)));
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / columns as f64;
    for (x, d) in x.chunks(columns).zip(gradient.chunks(columns)) {
        let level = match kind {
            Kind::Layer => mean(&mut x.iter().map(|x| f64::from(*x))),
            Kind::Rms | Kind::Unit => 0.0,
        };
        let centred: Vec<f64> = x.iter().map(|x| f64::from(*x) - level).collect();
        let r = 1.0 / (mean(&mut centred.iter().map(|x| x * x)) + EPS).sqrt();
        let n: Vec<f64> = centred.iter().map(|x| x * r).collect();
        let g: Vec<f64> =
            d.iter().zip(weight).map(|(d, w)| f64::from(*d) * (f64::from(*w) + added)).collect();
        let along = mean(&mut g.iter().zip(&n).map(|(g, n)| g * n));
        let g_mean = if matches!(kind, Kind::Layer) { mean(&mut g.iter().copied()) } else { 0.0 };
        for column in 0..columns {
            let plus = if matches!(kind, Kind::Layer) { f64::from(bias[column]) } else { 0.0 };
            truth.y.push(n[column] * (f64::from(weight[column]) + added) + plus);
            truth.dx.push(r * (g[column] - g_mean - n[column] * along));
            truth.gain[column] += f64::from(d[column]) * n[column];
        }
    }
    truth
}

fn check(client: &Client, kind: Kind, element: Element, [rows, columns]: [usize; 2]) {
    let raised: Vec<f32> = numbers(rows * columns, 1).iter().map(|x| x * 3.0 + 0.5).collect();
    let memory = |values: &[f32]| Memory::of(client, values, element);
    let (x, gradient) = (memory(&raised), memory(&numbers(rows * columns, 2)));
    let (weight, bias) = (memory(&numbers(columns, 3)), memory(&numbers(columns, 4)));
    let truth = truth(kind, &x.read(), &weight.read(), &bias.read(), &gradient.read());
    let of = Norm {
        x: x.buffer(),
        element,
        weight: weight.buffer(),
        bias: matches!(kind, Kind::Layer).then(|| bias.buffer()),
        added: f32::from(u8::from(matches!(kind, Kind::Unit))),
        eps: EPS as f32,
        rounded: matches!(kind, Kind::Rms),
        centred: matches!(kind, Kind::Layer),
    };
    let what = format!("{kind:?} of {rows} × {columns} in {element:?}");
    // The normed number is rounded, and its product with the gain.
    let part = 2e-5 + 2.0 * rounding(element);

    let y = memory(&vec![7.0; rows * columns]);
    norm(Target::Device(client), of.clone(), y.buffer());
    assert_close(&what, &y.read(), &truth.y, part);

    let dx = memory(&vec![7.0; rows * columns]);
    let moments = Memory::floats(client, &vec![7.0; 2 * rows]);
    let targets = [gradient.buffer(), dx.buffer(), moments.buffer()];
    let [of_y, of_x, of_rows] = targets.clone();
    norm_backward(Target::Device(client), of.clone(), of_y, of_x, of_rows);
    if columns > 1 {
        // With one column the exact gradient is as good as zero.
        assert_close(&format!("dx, {what}"), &dx.read(), &truth.dx, part);
    }

    // As many rows of a part as lavapipe goes round a loop (65535), at most.
    for parts in [gain_parts(rows, columns), rows.div_ceil(60_000), rows + 1] {
        let [of_y, _, of_rows] = targets.clone();
        let sums = Memory::floats(client, &vec![7.0; parts * columns]);
        norm_gain(Target::Device(client), of.clone(), of_y, of_rows, sums.buffer());
        let sums = sums.read();
        let whole = |column: usize| sums.iter().skip(column).step_by(columns).sum();
        let gain: Vec<f32> = (0..columns).map(whole).collect();
        if columns > 1 || !matches!(kind, Kind::Layer) {
            assert_close(&format!("gain in {parts} parts, {what}"), &gain, &truth.gain, part);
        }
    }
}

#[test]
fn rows_of_every_width() {
    let client = client();
    for element in element_types(&client) {
        for kind in KINDS {
            for shape in [
                [1, 1],
                [3, 4],
                [5, 7],
                [9, 16],
                [2, 63],
                [19, 64],
                [33, 128],
                [3, 255],
                [2, 1000],
                [4, 1023],
                [3, 1024],
                [2, 1028],
                [3, 4096],
                [1, 5001],
            ] {
                check(&client, kind, element, shape);
            }
        }
    }
}

#[test]
fn more_rows_than_a_side_of_the_grid() {
    let client = client();
    check(&client, Kind::Rms, Element::F32, [70_000 * 8, 3]);
    check(&client, Kind::Layer, Element::F32, [70_000, 260]);
}

#[test]
fn what_is_no_number_stays_in_its_row() {
    let client = client();
    let mut x = numbers(3 * 8, 5);
    x[9] = f32::NAN;
    let x = Memory::floats(&client, &x);
    let y = Memory::floats(&client, &[0.0; 24]);
    let of = Norm {
        x: x.buffer(),
        element: Element::F32,
        weight: Memory::floats(&client, &[1.0; 8]).buffer(),
        bias: None,
        added: 0.0,
        eps: 1e-6,
        rounded: true,
        centred: false,
    };
    norm(Target::Device(&client), of, y.buffer());
    let y = y.read();
    assert!(y[8..16].iter().all(|y| y.is_nan()), "{y:?}");
    assert!(y[..8].iter().chain(&y[16..]).all(|y| y.is_finite()), "{y:?}");
}

use kernels::{Element, Swiglu, Target, swiglu, swiglu_backward};

use crate::{Memory, assert_close, client, element_types, numbers, rounding};

/// By the definition: the product, and the gradients of gate and up.
fn truth(gate: f32, up: f32, gradient: f32) -> [f64; 3] {
    let [x, up, d] = [gate, up, gradient].map(f64::from);
    let s = 1.0 / (1.0 + (-x).exp());
    [x * s * up, d * up * s * (1.0 + x * (1.0 - s)), d * x * s]
}

#[test]
fn products_and_gradients() {
    let client = client();
    for element in element_types(&client) {
        for count in [1, 3, 4, 255, 1024, 1025, 300_000] {
            let gate: Vec<f32> = numbers(count, 1).iter().map(|x| x * 12.0).collect();
            let memory = |values: &[f32]| Memory::of(&client, values, element);
            let (gate, up, gradient) =
                (memory(&gate), memory(&numbers(count, 2)), memory(&numbers(count, 3)));
            let (x, u, d) = (gate.read(), up.read(), gradient.read());
            let truth: Vec<[f64; 3]> = (0..count).map(|at| truth(x[at], u[at], d[at])).collect();
            let column = |index: usize| truth.iter().map(|row| row[index]).collect::<Vec<_>>();
            let of = Swiglu { gate: gate.buffer(), up: up.buffer(), element };
            let what = format!("{count} in {element:?}");
            // The activated gate is rounded, and its product.
            let part = 1e-5 + 2.0 * rounding(element);
            let product = memory(&vec![7.0; count]);
            swiglu(Target::Device(&client), of.clone(), product.buffer());
            assert_close(&format!("product of {what}"), &product.read(), &column(0), part);
            assert_eq!([gate.read(), up.read()], [x, u], "{what}: only read");
            swiglu_backward(Target::Device(&client), of, gradient.buffer());
            assert_close(&format!("d gate of {what}"), &gate.read(), &column(1), part);
            assert_close(&format!("d up of {what}"), &up.read(), &column(2), part);
            assert_eq!(gradient.read(), d, "{what}: only read");
        }
    }
}

#[test]
fn gates_far_from_zero() {
    let client = client();
    let gates = [-1e30_f32, -200.0, -0.0, 200.0, 1e30];
    let (gate, up) = (Memory::floats(&client, &gates), Memory::floats(&client, &[1.0; 5]));
    let product = Memory::floats(&client, &[7.0; 5]);
    let of = Swiglu { gate: gate.buffer(), up: up.buffer(), element: Element::F32 };
    swiglu(Target::Device(&client), of.clone(), product.buffer());
    let product = product.read();
    assert!(product[..3].iter().all(|y| y.abs() < 1e-6) && product[3..] == [200.0, 1e30], "{product:?}");
    swiglu_backward(Target::Device(&client), of, Memory::floats(&client, &[1.0; 5]).buffer());
    let (d_gate, d_up) = (gate.read(), up.read());
    assert_eq!([d_gate[2], d_gate[3], d_gate[4]], [0.5, 1.0, 1.0]);
    assert!(d_gate[..2].iter().all(|d| d.abs() < 1e-6), "{d_gate:?}");
    assert_eq!(d_up, product);
}

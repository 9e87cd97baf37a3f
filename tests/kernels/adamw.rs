use cubecl::client::Client;
use kernels::{AdamW, Factors, Moments, Target, adamw};

use crate::{Memory, assert_close, client, numbers};

const LR: f64 = 1e-2;
const DECAY: f64 = 0.1;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;
const SCALE: f32 = 0.7;

fn factors(step: i32) -> Factors {
    let [beta1, beta2] = BETAS;
    Factors {
        beta1: beta1 as f32,
        rest1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        rest2: (1.0 - beta2) as f32,
        keep: (1.0 - LR * DECAY) as f32,
        step: (LR / (1.0 - beta1.powi(step))) as f32,
        root: (1.0 - beta2.powi(step)).sqrt() as f32,
        eps: EPS as f32,
    }
}

/// As `torch.optim.AdamW` is documented.
fn update([p, m, v]: &mut [f64; 3], gradient: f64, step: i32) {
    let [beta1, beta2] = BETAS;
    let g = gradient * f64::from(SCALE);
    *p -= LR * DECAY * *p;
    *m = beta1 * *m + (1.0 - beta1) * g;
    *v = beta2 * *v + (1.0 - beta2) * g * g;
    let (first, second) = (*m / (1.0 - beta1.powi(step)), *v / (1.0 - beta2.powi(step)));
    *p -= LR * first / (second.sqrt() + EPS);
}

/// Parameters with their moments, on the device and as they should be.
struct Held {
    memory: [Memory; 3],
    truth: Vec<[f64; 3]>,
}

impl Held {
    fn new(client: &Client, count: usize) -> Self {
        let values = [numbers(count, 1), vec![0.0; count], vec![0.0; count]];
        let truth = values[0].iter().map(|p| [f64::from(*p), 0.0, 0.0]).collect();
        Self { memory: values.map(|values| Memory::floats(client, &values)), truth }
    }

    fn moments(&self, gradient: &Memory) -> Moments {
        let [param, m, v] = self.memory.each_ref().map(Memory::buffer);
        Moments { param, gradient: gradient.buffer(), m, v }
    }

    fn check(&self) {
        let count = self.truth.len();
        for (index, (name, memory)) in ["param", "m", "v"].into_iter().zip(&self.memory).enumerate() {
            let truth: Vec<f64> = self.truth.iter().map(|state| state[index]).collect();
            assert_close(&format!("{name} of {count}"), &memory.read(), &truth, 1e-5);
        }
    }
}

/// Four updates of tensors of these lengths, all in one launch.
fn updates(counts: &[usize]) {
    let client = client();
    let mut held: Vec<Held> = counts.iter().map(|count| Held::new(&client, *count)).collect();
    for step in 1..=4 {
        let values: Vec<Vec<f32>> =
            counts.iter().map(|count| numbers(*count, 10 * *count as u64 + step as u64)).collect();
        let gradients: Vec<Memory> = values.iter().map(|values| Memory::floats(&client, values)).collect();
        let of = AdamW {
            tensors: held.iter().zip(&gradients).map(|(held, gradient)| held.moments(gradient)).collect(),
            scale: Memory::floats(&client, &[SCALE]).buffer(),
            factors: factors(step),
        };
        adamw(Target::Device(&client), of);
        for ((held, gradient), values) in held.iter_mut().zip(&gradients).zip(&values) {
            held.truth.iter_mut().zip(values).for_each(|(state, g)| update(state, f64::from(*g), step));
            assert_eq!(&gradient.read(), values, "{}: only read", values.len());
        }
    }
    held.iter().for_each(Held::check);
}

#[test]
fn several_updates() {
    for count in [1, 4, 7, 1024, 1027, 200_000] {
        updates(&[count]);
    }
}

#[test]
fn several_tensors() {
    updates(&[4, 8192]);
    updates(&[5, 3000, 1, 777]);
    updates(&[64, 8, 100_000, 4, 12, 2048, 256]);
    updates(&[64, 8, 100_001, 4, 12, 2048, 256]);
}

#[test]
fn no_gradient_only_decays() {
    let client = client();
    let param = Memory::floats(&client, &[2.0, -1.0, 0.0, 4.0, 1.0]);
    let zeros = || Memory::floats(&client, &[0.0; 5]).buffer();
    let scale = Memory::floats(&client, &[SCALE]).buffer();
    let moments = Moments { param: param.buffer(), gradient: zeros(), m: zeros(), v: zeros() };
    adamw(Target::Device(&client), AdamW { tensors: vec![moments], scale, factors: factors(1) });
    let keep = 1.0 - LR * DECAY;
    let truth = [2.0, -1.0, 0.0, 4.0, 1.0].map(|p| p * keep);
    assert_close("decayed", &param.read(), &truth, 1e-6);
}

use kernels::{AdamW, Factors, Target, adamw};

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

#[test]
fn several_updates() {
    let client = client();
    for count in [1, 4, 7, 1024, 1027, 200_000] {
        let [param, m, v] = [numbers(count, 1), vec![0.0; count], vec![0.0; count]];
        let mut truth: Vec<[f64; 3]> = param.iter().map(|p| [f64::from(*p), 0.0, 0.0]).collect();
        let [param, m, v] = [param, m, v].map(|values| Memory::floats(&client, &values));
        for step in 1..=4 {
            let values = numbers(count, 10 + step as u64);
            let gradient = Memory::floats(&client, &values);
            let of = AdamW {
                param: param.buffer(),
                gradient: gradient.buffer(),
                m: m.buffer(),
                v: v.buffer(),
                scale: Memory::floats(&client, &[SCALE]).buffer(),
                factors: factors(step),
            };
            adamw(Target::Device(&client), of);
            truth.iter_mut().zip(&values).for_each(|(state, g)| update(state, f64::from(*g), step));
            assert_eq!(gradient.read(), values, "{count}: only read");
        }
        for (index, (name, memory)) in [("param", &param), ("m", &m), ("v", &v)].into_iter().enumerate() {
            let truth: Vec<f64> = truth.iter().map(|state| state[index]).collect();
            assert_close(&format!("{name} of {count}"), &memory.read(), &truth, 1e-5);
        }
    }
}

#[test]
fn no_gradient_only_decays() {
    let client = client();
    let param = Memory::floats(&client, &[2.0, -1.0, 0.0, 4.0, 1.0]);
    let zeros = || Memory::floats(&client, &[0.0; 5]).buffer();
    let scale = Memory::floats(&client, &[SCALE]).buffer();
    let of = AdamW {
        param: param.buffer(),
        gradient: zeros(),
        m: zeros(),
        v: zeros(),
        scale,
        factors: factors(1),
    };
    adamw(Target::Device(&client), of);
    let keep = 1.0 - LR * DECAY;
    let truth = [2.0, -1.0, 0.0, 4.0, 1.0].map(|p| p * keep);
    assert_close("decayed", &param.read(), &truth, 1e-6);
}

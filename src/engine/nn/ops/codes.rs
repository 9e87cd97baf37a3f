//! The dynamic eight-bit number format of bitsandbytes (Dettmers et al. 2021, arXiv:2110.02861): a table of 256
//! values between −1 and 1 (or 0 and 1), close together near zero, times the largest number of each block.

use std::sync::LazyLock;

/// Numbers that share a scale.
pub const CODE_BLOCK: usize = 256;

/// For numbers of both signs.
pub static SIGNED_CODE: LazyLock<Code> = LazyLock::new(|| Code::dynamic(true));
/// For numbers that are not negative.
pub static UNSIGNED_CODE: LazyLock<Code> = LazyLock::new(|| Code::dynamic(false));

/// 256 values in rising order, and what decides between neighbours.
#[derive(Debug)]
pub struct Code {
    pub values: Vec<f32>,
    /// Half-way between neighbours, 255 of them: a number belongs above those that are less than it.
    pub middles: Vec<f32>,
}

impl Code {
    /// `bitsandbytes.functional.create_dynamic_map` (0.50), in f32 as there: of seven exponents 10⁻⁶ … 1, each ten
    /// times the one before has twice as many fractions, which are the means of neighbours in 0.1 … 1.
    fn dynamic(signed: bool) -> Self {
        let mut values = vec![0.0, 1.0];
        for exponent in 0..7 {
            let fractions = 1usize << (exponent + usize::from(!signed));
            let edge = |at: usize| even_step(at, fractions);
            let scale = 10f64.powi(exponent as i32 - 6) as f32;
            for at in 0..fractions {
                let value = scale * ((edge(at) + edge(at + 1)) / 2.0);
                values.push(value);
                values.extend(signed.then_some(-value));
            }
        }
        values.sort_by(f32::total_cmp);
        let middles = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
        Self { values, middles }
    }
}

/// The `at`-th of `steps + 1` numbers from 0.1 to 1, from the nearer end and rounded once (`torch.linspace`).
fn even_step(at: usize, steps: usize) -> f32 {
    let step = (1.0 - 0.1f32) / steps as f32;
    if at < steps.div_ceil(2) {
        step.mul_add(at as f32, 0.1)
    } else {
        (-step).mul_add((steps - at) as f32, 1.0)
    }
}

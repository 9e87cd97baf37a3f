//! Rotary embedding in one read and one write, from the order in which projections leave heads to that in which attention
//! multiplies them, and backwards the other way.

use burn::tensor::{DType, Device, Tensor};

use super::super::compose;
use super::{Own, Path, Scale, Work, cube, fits, flat, pattern};

/// How heads are turned.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Whether a number's partner is its neighbour.
    pub interleaved: bool,
    /// By the opposite angle: the gradient.
    pub back: bool,
}

pub struct Rope;

pub const KERNEL: Rope = Rope;

impl Own for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let cases = match scale {
            // Whole heads, parts of them, and such that cannot be read by fours; tables for all rows, and for each.
            Scale::Trial => vec![([2, 3, 7, 16], 8, 1), ([3, 2, 5, 24], 8, 3), ([2, 2, 3, 14], 5, 1)],
            Scale::Real => vec![([4, 32, 2048, 128], 64, 1)],
        };
        let inputs: Vec<_> = cases.into_iter().map(|case| Input::new(case, device, dtype)).collect();
        Box::new(move |path| inputs.iter().flat_map(|input| input.results(path, scale)).collect())
    }
}

struct Input {
    x: Tensor<4>,
    cos: Tensor<3>,
    sin: Tensor<3>,
}

impl Input {
    fn new(
        ([batch, heads, time, width], half, tables): ([usize; 4], usize, usize),
        device: &Device,
        dtype: DType,
    ) -> Self {
        let table = |seed| pattern([tables, time, half], seed, device, DType::F32);
        // As projections leave them.
        let x = pattern([batch, time, heads, width], 0.1, device, dtype).swap_dims(1, 2);
        Self { x, cos: table(0.4), sin: table(0.7) }
    }

    fn results(&self, path: Path, scale: Scale) -> Vec<Tensor<1>> {
        let turn = |x: &Tensor<4>, turn: Turn| {
            let (x, cos, sin) = (x.clone(), self.cos.clone(), self.sin.clone());
            flat(match path {
                Path::Kernel => cube::rope(x, cos, sin, turn),
                Path::Twin => composed(x, cos, sin, turn),
            })
        };
        let halves = [false, true].map(|back| turn(&self.x, Turn { interleaved: false, back }));
        let mut results = Vec::from(halves);
        if scale == Scale::Trial {
            let width = self.x.dims()[3];
            // In order, and heads of a wider matrix.
            let ordered = self.x.clone() * 0.5;
            let wide = Tensor::cat(vec![ordered.clone(), self.x.clone()], 3).narrow(3, width, width);
            for (x, back) in [(ordered, false), (wide, true)] {
                results.extend([turn(&x, Turn { interleaved: true, back }), flat(x)]);
            }
        }
        results
    }
}

fn composed(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, turn: Turn) -> Tensor<4> {
    compose::rope(x, cos, if turn.back { sin.neg() } else { sin }, turn.interleaved)
}

/// See [`compose::rope`]. What is turned back lies in memory as projections leave it, where the kernel serves.
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, turn: Turn) -> Tensor<4> {
    if fits(&KERNEL, &[&x]) {
        cube::rope(x, compose::f32(cos), compose::f32(sin), turn)
    } else {
        composed(x, cos, sin, turn)
    }
}

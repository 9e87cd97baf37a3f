//! Norms of rows in two reads and a write, and their gradients in one launch: the composition calculates in `f32` what is
//! larger than what it reads, more than once.

use burn::tensor::{DType, Device, Tensor};

use super::super::formula::{self, NormKind};
use super::{Own, Path, Scale, Work, cube, flat, pattern};

pub struct Norm;

pub const KERNEL: Norm = Norm;

impl Own for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let shapes = match scale {
            // Several rows of a cube, rows of more than one turn, and such that cannot be read by fours.
            Scale::Trial => vec![[2, 5, 64], [1, 3, 1340], [3, 2, 63]],
            Scale::Real => vec![[8, 2048, 4096]],
        };
        let kinds = match scale {
            Scale::Trial => vec![NormKind::Rms, NormKind::RmsUnit, NormKind::Layer],
            Scale::Real => vec![NormKind::Rms],
        };
        let cases: Vec<_> = shapes
            .into_iter()
            .flat_map(|shape| kinds.iter().map(move |kind| (shape, *kind)))
            .map(|(shape, kind)| Case::new(shape, kind, device, dtype))
            .collect();
        Box::new(move |path| cases.iter().flat_map(|case| case.results(path)).collect())
    }
}

struct Case {
    norm: formula::Norm,
    /// Rows, gain, and the gradient of the normed rows.
    operands: [Tensor<3>; 3],
    bias: Option<Tensor<3>>,
}

impl Case {
    fn new(shape: [usize; 3], kind: NormKind, device: &Device, dtype: DType) -> Self {
        let of_column = |seed| pattern([1, 1, shape[2]], seed, device, dtype);
        let rows = pattern(shape, 0.2, device, dtype) * 3.0 + 0.5;
        Self {
            // Large enough to leave its mark.
            norm: formula::Norm { kind, eps: 0.1 },
            operands: [rows, of_column(0.5), pattern(shape, 0.8, device, dtype)],
            bias: (kind == NormKind::Layer).then(|| of_column(0.9)),
        }
    }

    fn results(&self, path: Path) -> Vec<Tensor<1>> {
        let Self { norm, operands, bias } = self;
        let [x, weight, _] = operands.clone();
        let (y, gradients) = match path {
            Path::Kernel => {
                (cube::norm(*norm, x, weight, bias.clone()), self::gradients(*norm, operands.clone(), true))
            }
            Path::Twin => {
                (norm.composed(x, weight, bias.clone()), norm.composed_gradients(operands.clone(), [true; 2]))
            }
        };
        std::iter::once(y).chain(gradients.into_iter().flatten()).map(flat).collect()
    }
}

/// Whether the kernels serve these rows, with this gain and either a bias or a gradient.
pub fn fits(x: &Tensor<3>, weight: &Tensor<3>, other: Option<&Tensor<3>>) -> bool {
    super::fits(&KERNEL, &[x, weight, other.unwrap_or(weight)])
}

/// The normed rows of operands that [`fits`] has accepted.
pub fn norm(norm: formula::Norm, x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
    cube::norm(norm, x, weight, bias)
}

/// The gradients of rows and, if it `learns`, of the gain; from both and that of the normed rows, which [`fits`] has
/// accepted.
pub fn gradients(norm: formula::Norm, operands: [Tensor<3>; 3], learns: bool) -> [Option<Tensor<3>>; 2] {
    let dtype = operands[1].dtype();
    let (dx, gain) = cube::norm_gradients(norm, operands, learns);
    [Some(dx), gain.map(|gain| gain.cast(dtype))]
}

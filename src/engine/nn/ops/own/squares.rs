//! The sum of the squares of many tensors, in one launch for several of them.

use burn::tensor::{DType, Device, Tensor};

use super::super::compose;
use super::{Own, Path, Scale, Work, cube, fits, pattern};

pub struct Squares;

pub const KERNEL: Squares = Squares;

impl Own for Squares {
    fn name(&self) -> &'static str {
        "squares"
    }

    /// Gradients of what learns are kept in `f32`.
    fn runs_in(&self, _: DType) -> DType {
        DType::F32
    }

    fn work(&self, scale: Scale, device: &Device, _: DType) -> Work {
        let groups = match scale {
            // One and several, longer than a turn, read by fours, and such that cannot be.
            Scale::Trial => vec![vec![70_004], vec![67], vec![64, 4, 1340, 8, 256, 12, 128, 20], vec![5; 7]],
            Scale::Real => vec![vec![4096 * 4096], vec![16 * 4096; 14]],
        };
        let of = |length: usize| pattern([length], length as f64, device, DType::F32);
        let groups: Vec<Vec<Tensor<1>>> =
            groups.into_iter().map(|lengths| lengths.into_iter().map(of).collect()).collect();
        Box::new(move |path| {
            let sum = |group: &Vec<Tensor<1>>| match path {
                Path::Kernel => cube::sum_of_squares(group.clone(), &group[0].device()),
                Path::Twin => compose::sum_of_squares(group.clone()),
            };
            let mut results: Vec<_> = groups.iter().map(sum).collect();
            if scale == Scale::Trial {
                results.extend(groups.iter().flatten().cloned());
            }
            results
        })
    }
}

/// See [`compose::sum_of_squares`].
pub fn sum_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    let all: Vec<_> = tensors.iter().collect();
    if fits(&KERNEL, &all) {
        let device = tensors[0].device();
        cube::sum_of_squares(tensors, &device)
    } else {
        compose::sum_of_squares(tensors)
    }
}

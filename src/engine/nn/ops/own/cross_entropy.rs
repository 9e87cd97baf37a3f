//! Losses of rows of logits, which become their gradient: two reads and a write, where the composition makes half a dozen
//! copies in `f32`.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::super::compose;
use super::{Own, Path, Scale, Work, cube, fits, flat, pattern};

pub struct CrossEntropy;

pub const KERNEL: CrossEntropy = CrossEntropy;

impl Own for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let shapes = match scale {
            // Rows that are read by fours, and such that cannot be.
            Scale::Trial => vec![[5, 1340], [3, 67], [1, 4]],
            Scale::Real => vec![[1024, 128_256]],
        };
        let inputs: Vec<_> = shapes.into_iter().map(|shape| input(shape, device, dtype)).collect();
        Box::new(move |path| {
            let mut results = Vec::new();
            for (logits, targets) in &inputs {
                let (loss, gradient) = match path {
                    Path::Kernel => cube::cross_entropy(logits.clone(), targets.clone(), 0.25),
                    Path::Twin => compose::cross_entropy(logits.clone(), targets.clone(), 0.25),
                };
                results.extend([loss, flat(gradient)]);
                if scale == Scale::Trial {
                    // Memory that nobody else holds is overwritten, that of others is not.
                    let fresh = logits.clone() * 1.0;
                    let (_, again) = match path {
                        Path::Kernel => cube::cross_entropy(fresh, targets.clone(), 1.0),
                        Path::Twin => compose::cross_entropy(fresh, targets.clone(), 1.0),
                    };
                    results.extend([flat(again), flat(logits.clone())]);
                }
            }
            results
        })
    }
}

fn input([rows, columns]: [usize; 2], device: &Device, dtype: DType) -> (Tensor<2>, Tensor<1, Int>) {
    let targets: Vec<i32> = (0..rows).map(|row| ((row * 7919 + columns - 1) % columns) as i32).collect();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), (device, DType::I32));
    (pattern([rows, columns], 0.1, device, dtype) * 16.0, targets)
}

/// See [`compose::cross_entropy`].
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    if fits(&KERNEL, &[&logits]) {
        cube::cross_entropy(logits, targets, weight)
    } else {
        compose::cross_entropy(logits, targets, weight)
    }
}

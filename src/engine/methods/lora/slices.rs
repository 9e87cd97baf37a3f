//! Parts of a fused matrix that have factors of their own: loralib's `MergedLinear`, whose `enable_lora` says which of q, k
//! and v learn, for parts of any size and order.
//!
//! A holds one block of `rank` rows for each part, so that one product serves all; B holds the rows of the parts that
//! learn, one part after the other. [`Slices::scatter`] makes of it the B of one ordinary LoRA of rank `rank`·parts: each
//! part's rows at their places with its own columns, zeros elsewhere.

use burn::tensor::{Int, Tensor, TensorData};

use crate::nn::Fused;

/// Which parts of a matrix learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    pub fused: Fused,
    /// Indices into the parts, ascending.
    pub parts: Vec<usize>,
    /// Of each part.
    pub rank: usize,
}

impl Slices {
    /// Rows of B.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|part| self.fused.len(*part)).sum()
    }

    /// Rows of A, and rank of the ordinary LoRA that does the same.
    pub fn joint_rank(&self) -> usize {
        self.rank * self.parts.len()
    }

    /// B as it is trained, `[rows, rank]` → that of the ordinary LoRA, `[outputs, joint rank]`.
    pub fn scatter(&self, b: Tensor<2>) -> Tensor<2> {
        let (groups, joint) = (self.fused.groups, self.joint_rank());
        let options = (&b.device(), b.dtype());
        let zeros = |width: usize, columns: usize| Tensor::<3>::zeros([groups, width, columns], options);
        let mut first = 0;
        let block = |(part, (_, width)): (usize, &(crate::nn::Role, usize))| {
            let Some(place) = self.parts.iter().position(|enabled| *enabled == part) else {
                return zeros(*width, joint);
            };
            let own = b.clone().narrow(0, first, groups * width).reshape([groups, *width, self.rank]);
            first += groups * width;
            let before = place * self.rank;
            let pad = |columns: usize| (columns > 0).then(|| zeros(*width, columns));
            let row = [pad(before), Some(own), pad(joint - before - self.rank)];
            Tensor::cat(row.into_iter().flatten().collect(), 2)
        };
        let blocks: Vec<Tensor<3>> = self.fused.parts.iter().enumerate().map(block).collect();
        Tensor::cat(blocks, 1).reshape([groups * self.fused.period(), joint])
    }

    /// The inverse of [`scatter`](Self::scatter) for a matrix that has its form.
    pub fn gather(&self, full: &Tensor<2>) -> Tensor<2> {
        let block = |(place, part): (usize, &usize)| {
            self.rows_of(full.clone(), *part).narrow(1, place * self.rank, self.rank)
        };
        Tensor::cat(self.parts.iter().enumerate().map(block).collect(), 0)
    }

    /// The rows of one part of an `[outputs, …]` matrix.
    pub fn rows_of(&self, matrix: Tensor<2>, part: usize) -> Tensor<2> {
        let rows: Vec<i32> = self.fused.rows(part).map(|row| row as i32).collect();
        let len = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [len]), &matrix.device().inner());
        matrix.select(0, rows)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::nn::{Role, ops};

    fn matrix(rows: &[&[f32]]) -> Tensor<2> {
        let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
        Tensor::from_data(data, &Device::flex())
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_into_vec::<f32>().unwrap()
    }

    fn slices(groups: usize, parts: &[usize]) -> Slices {
        let fused = Fused { groups, parts: vec![(Role::Query, 2), (Role::Key, 2), (Role::Value, 2)] };
        Slices { fused, parts: parts.to_vec(), rank: 1 }
    }

    /// loralib's MergedLinear with `enable_lora=[True, False, True]`, r = 1 and a scale of 1.
    #[test]
    fn the_change_is_that_of_loralib() {
        let a = matrix(&[&[1.0, 2.0], &[3.0, 4.0]]);
        let b = matrix(&[&[1.0], &[2.0], &[5.0], &[6.0]]);
        let delta = ops::matmul2(slices(1, &[0, 2]).scatter(b), a);
        assert_eq!(values(delta), [1.0, 2.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 15.0, 20.0, 18.0, 24.0]);
    }

    /// Row `groups·6 + part·2 + t` of the matrix.
    #[test]
    fn interleaved_rows_go_to_their_places_and_come_back() {
        let slices = slices(2, &[0, 1]);
        let b = matrix(&[&[1.0], &[2.0], &[3.0], &[4.0], &[5.0], &[6.0], &[7.0], &[8.0]]);
        let full = slices.scatter(b.clone());
        let wanted: [f32; 24] = [
            1.0, 0.0, 2.0, 0.0, 0.0, 5.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0, //
            3.0, 0.0, 4.0, 0.0, 0.0, 7.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0,
        ];
        assert_eq!(values(full.clone()), wanted);
        assert_eq!(values(slices.gather(&full)), values(b));
    }
}

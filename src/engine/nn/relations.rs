//! Relative position bias: what is added to a score depends on how key and query lie to each other, by way of a
//! learned table with a row for each kind of relation (T5, Raffel et al. 2020, arXiv:1910.10683; CPM-Ant, CPM-Bee).

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::ops::Mask;
use super::{ParamId, Pass};

/// Added to the score of a key that must not be seen. Finite, so that no row becomes NaN.
const NOT_VISIBLE: f32 = -1e9;

/// The rows of the table for every pair of a pass, and which keys are seen.
pub struct Relations {
    /// `[batch · queries · keys]`.
    buckets: Tensor<1, Int>,
    /// `[batch, 1, queries, keys]`: 0, or a large negative number.
    hidden: Tensor<4>,
    shape: [usize; 3],
    /// The sum of bias and mask while nobody learns the table: the same for all layers.
    frozen: OnceLock<Tensor<4>>,
}

impl Relations {
    /// `bucket` gives the table's row for `(row, query, key)`, and none where the query does not see the key.
    pub fn new(
        shape: [usize; 3],
        device: &Device,
        mut bucket: impl FnMut(usize, usize, usize) -> Option<usize>,
    ) -> Self {
        let [batch, queries, keys] = shape;
        let size = batch * queries * keys;
        let (mut buckets, mut hidden) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for row in 0..batch {
            for query in 0..queries {
                for key in 0..keys {
                    let found = bucket(row, query, key);
                    buckets.push(found.unwrap_or(0) as i32);
                    hidden.push(if found.is_some() { 0.0 } else { NOT_VISIBLE });
                }
            }
        }
        Self {
            buckets: Tensor::from_data(TensorData::new(buckets, [size]), device),
            hidden: Tensor::from_data(TensorData::new(hidden, [batch, 1, queries, keys]), device),
            shape,
            frozen: OnceLock::new(),
        }
    }

    /// The mask of an attention layer whose bias stands in `table`, `[buckets, heads]`.
    pub fn mask(&self, pass: &Pass<'_>, table: ParamId) -> Mask {
        let table = pass.matrix(table);
        if table.is_tracked() {
            return Mask::Bias(self.bias(table));
        }
        Mask::Bias(self.frozen.get_or_init(|| self.bias(table)).clone())
    }

    fn bias(&self, table: Tensor<2>) -> Tensor<4> {
        let [batch, queries, keys] = self.shape;
        let heads = table.dims()[1];
        let rows = table.cast(DType::F32).select(0, self.buckets.clone());
        let bias = rows.reshape([batch, queries, keys, heads]).permute([0, 3, 1, 2]);
        bias + self.hidden.clone().expand([batch, heads, queries, keys])
    }
}

/// Rows of the table for tokens of one text: half of them for keys behind and half for keys ahead, one a step
/// up to half of those, and ever more steps a row beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistanceBuckets {
    /// At least 4.
    pub buckets: usize,
    /// In tokens, more than a quarter of `buckets`.
    pub max_distance: usize,
}

impl DistanceBuckets {
    /// The row for a key that lies `ahead` tokens ahead of its query (negative: behind).
    pub fn bucket(self, ahead: i64) -> usize {
        let half = self.buckets / 2;
        let exact = half / 2;
        let base = if ahead > 0 { half } else { 0 };
        let distance = ahead.unsigned_abs() as usize;
        if distance < exact {
            return base + distance;
        }
        // In f32, as the reference: a double would round some distances into the neighbouring row.
        let ratio = (self.max_distance as f64 / exact as f64).ln() as f32;
        let steps = (distance as f32 / exact as f32).ln() / ratio * (half - exact) as f32;
        base + (exact + steps as usize).min(half - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_fall_into_the_reference_rows() {
        let bee = DistanceBuckets { buckets: 256, max_distance: 2048 };
        let expected = [
            (0, 0),
            (-1, 1),
            (1, 129),
            (-63, 63),
            (63, 191),
            (-64, 64),
            (64, 192),
            (-65, 64),
            (-100, 72),
            (100, 200),
            (-500, 101),
            (-1000, 114),
            (-2047, 127),
            (-5000, 127),
            (5000, 255),
        ];
        for (ahead, row) in expected {
            assert_eq!(bee.bucket(ahead), row, "{ahead}");
        }
        let ant = DistanceBuckets { buckets: 512, max_distance: 2048 };
        let expected = [
            (0, 0),
            (-1, 1),
            (1, 257),
            (-127, 127),
            (-128, 128),
            (128, 384),
            (-200, 148),
            (-1000, 222),
            (-3000, 255),
            (3000, 511),
        ];
        for (ahead, row) in expected {
            assert_eq!(ant.bucket(ahead), row, "{ahead}");
        }
    }
}

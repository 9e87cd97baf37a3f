//! Dropout. A mask follows from counters alone: no checkpoint holds a generator's state, and a block that is computed a
//! second time sees what it saw the first time.

use burn::tensor::{DType, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{Pass, SiteId, float_dtype};

/// Binary logarithm of the random numbers that a row has at most.
const ROW_WORDS: u32 = 40;
/// Places that are no site of the model's are numbered from here; there are fewer sites.
const BEYOND_SITES: u64 = 1 << 23;

/// Draws the masks of a micro-batch: equal keys give equal masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutKey {
    pub seed: u64,
    pub step: u64,
    pub micro: u64,
    /// Rows of the micro-batch before those of the pass, where it goes through the model in pieces.
    pub first_row: u64,
}

/// Where something is left out. Each place has masks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropoutPlace {
    /// In the input of the adapter at a matrix.
    Site(SiteId),
    /// In the keys that an adapter has in front of those of a block.
    Keys(usize),
    /// In the values.
    Values(usize),
}

impl DropoutPlace {
    fn number(self) -> u64 {
        match self {
            Self::Site(site) => site.0 as u64,
            Self::Keys(layer) => BEYOND_SITES + 2 * layer as u64,
            Self::Values(layer) => BEYOND_SITES + 2 * layer as u64 + 1,
        }
    }
}

impl DropoutKey {
    /// Elements of a mask, row-major: 0 in `rate` of the cases, otherwise 1 / (1 − rate), which keeps the mean. The
    /// first axis of `shape` is the rows of the pass.
    pub fn mask(&self, place: DropoutPlace, rate: f64, shape: &[usize]) -> Vec<f32> {
        let [rows, a_row @ ..] = shape else { return Vec::new() };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ place.number().rotate_left(40));
        rng.set_stream(self.step.wrapping_mul(0x1_0000).wrapping_add(self.micro));
        let keep = 1.0 / (1.0 - rate);
        let threshold = (rate * f64::from(u32::MAX)) as u32;
        let mut values = Vec::with_capacity(shape.iter().product());
        for row in 0..*rows as u64 {
            // A row's numbers begin at a place of its own: they are the same in whatever pieces the rows come.
            rng.set_word_pos(u128::from(self.first_row + row) << ROW_WORDS);
            let number = |_| if rng.next_u32() < threshold { 0.0 } else { keep as f32 };
            values.extend((0..a_row.iter().product()).map(number));
        }
        values
    }
}

impl Pass<'_> {
    /// Whether anything of a layer with this rate is left out.
    pub fn drops(&self, rate: f64) -> bool {
        self.dropout.is_some() && rate > 0.0
    }

    /// `x`, whose first axis is the rows, with `rate` of its elements left out and the others larger by as much: in
    /// training; as it is elsewhere.
    pub fn dropped<const D: usize>(&self, place: DropoutPlace, rate: f64, x: Tensor<D>) -> Tensor<D> {
        let Some(key) = self.dropout.filter(|_| rate > 0.0) else { return x };
        let shape = x.dims();
        let mask = TensorData::new(key.mask(place, rate, &shape), shape);
        let mask = Tensor::<D>::from_data(mask, &self.positions.ids.device());
        x * if self.dtype == DType::F32 { mask } else { mask.cast(float_dtype(self.dtype)) }
    }
}

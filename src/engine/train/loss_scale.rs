//! The factor on losses that keeps small gradients from vanishing in f16 (Micikevicius et al. 2018, arXiv:1710.03740).

use burn::tensor::DType;
use protocol::config::LossScale;
use serde::{Deserialize, Serialize};

/// Where a dynamic scale begins, as CPM-Bee's training script has it.
const START: f64 = 32_768.0;
/// Applied steps in a row after which it is doubled (CPM-Bee's `loss_scale_steps`).
const PATIENCE: u32 = 512;
/// What it doubles by, and is divided by when a gradient is not finite.
const FACTOR: f64 = 2.0;
/// It does not fall below (BMTrain's `min_loss_scale`).
const LEAST: f64 = 1.0;

/// A loss scale and where it stands (BMTrain, `OptimManager`). Part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScaler {
    scale: f64,
    dynamic: bool,
    /// Applied steps since the scale changed.
    good: u32,
}

impl LossScaler {
    /// None where losses are taken as they are: a dynamic scale is for f16 alone.
    pub fn of(wish: LossScale, dtype: DType) -> Option<Self> {
        match wish {
            LossScale::Static(scale) => Some(Self { scale, dynamic: false, good: 0 }),
            LossScale::Dynamic if dtype == DType::F16 => Some(Self { scale: START, dynamic: true, good: 0 }),
            LossScale::Dynamic => None,
        }
    }

    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Takes in what came of a step. True if the step overflowed and the scale made way for the next one.
    pub fn hear(&mut self, applied: bool) -> bool {
        if !self.dynamic {
            return false;
        }
        if !applied {
            let before = self.scale;
            self.scale = (before / FACTOR).max(LEAST);
            self.good = 0;
            return self.scale < before;
        }
        self.good += 1;
        if self.good >= PATIENCE {
            self.scale *= FACTOR;
            self.good = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamic() -> LossScaler {
        LossScaler::of(LossScale::Dynamic, DType::F16).unwrap()
    }

    #[test]
    fn it_doubles_after_512_good_steps_and_a_bad_one_begins_the_count_anew() {
        let mut scaler = dynamic();
        for _ in 0..511 {
            scaler.hear(true);
        }
        assert_eq!(scaler.scale(), 32_768.0);
        assert!(scaler.hear(false));
        assert_eq!(scaler.scale(), 16_384.0);
        for _ in 0..511 {
            scaler.hear(true);
        }
        assert_eq!(scaler.scale(), 16_384.0);
        scaler.hear(true);
        assert_eq!(scaler.scale(), 32_768.0);
    }

    #[test]
    fn it_never_falls_below_one() {
        let mut scaler = dynamic();
        assert_eq!((0..20).filter(|_| scaler.hear(false)).count(), 15);
        assert_eq!(scaler.scale(), 1.0);
    }

    #[test]
    fn other_dtypes_have_none_unless_it_is_static() {
        assert_eq!(LossScaler::of(LossScale::Dynamic, DType::F32), None);
        assert_eq!(LossScaler::of(LossScale::Dynamic, DType::BF16), None);
        let mut fixed = LossScaler::of(LossScale::Static(1024.0), DType::F32).unwrap();
        assert!(!fixed.hear(false));
        assert_eq!(fixed.scale(), 1024.0);
    }

    #[test]
    fn it_comes_back_from_a_checkpoint() {
        let mut scaler = dynamic();
        scaler.hear(false);
        scaler.hear(true);
        let json = serde_json::to_string(&scaler).unwrap();
        assert_eq!(serde_json::from_str::<LossScaler>(&json).unwrap(), scaler);
    }
}

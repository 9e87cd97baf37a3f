//! What every family's layers can do.

use burn::tensor::{Int, Tensor};

use crate::nn::Pass;

/// Shape of the hidden state between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenShape {
    pub batch: usize,
    pub time: usize,
    pub width: usize,
}

/// A decoder-only transformer, cut where the block-wise backward pass cuts it.
pub trait Decoder: Send + Sync {
    /// Ids `[batch, time]` → input of block 0 `[batch, time, hidden]`.
    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3>;

    /// Block `index`, same shape in and out.
    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;

    /// The norm after the last block. Works on any selection of rows: it looks at one at a time.
    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;

    /// Normed hidden state → logits `[batch, time, vocabulary]`.
    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;
}

//! A linear map with whatever a method has attached to it.

use burn::tensor::Tensor;

use super::ops;
use super::pass::SiteInput;
use super::{ParamId, Pass, SiteId, SiteKind};

/// y = x·Wᵀ + b (or x·W + b for Conv1D), plus the adapter's part.
#[derive(Clone, Debug)]
pub struct Proj {
    pub site: SiteId,
    pub kind: SiteKind,
    pub weight: ParamId,
    pub bias: Option<ParamId>,
}

impl Proj {
    /// `[batch, time, in]` → `[batch, time, out]`.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let weight = pass.matrix(self.weight);
        let mut y = match self.kind {
            SiteKind::Conv1d => ops::linear_in_out(x.clone(), weight),
            SiteKind::Linear | SiteKind::Embedding => ops::linear(x.clone(), weight),
        };
        if let Some(bias) = self.bias {
            y = y + pass.vector(bias).unsqueeze();
        }
        match pass.site_adapter(self.site) {
            Some(adapter) => adapter.apply(pass, SiteInput::Hidden(&x), y),
            None => y,
        }
    }
}

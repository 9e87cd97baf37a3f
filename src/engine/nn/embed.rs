//! Token embedding.

use burn::tensor::{Int, Tensor};

use super::new_rows::look_up;
use super::pass::SiteInput;
use super::{ParamId, Pass, SiteId};

/// Rows of a `[vocabulary, hidden]` matrix.
#[derive(Clone, Debug)]
pub struct Embedding {
    pub site: SiteId,
    pub weight: ParamId,
}

impl Embedding {
    /// Ids `[batch, time]` → `[batch, time, hidden]`. Ids must lie in the vocabulary: checked where
    /// batches are made.
    pub fn forward(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, time] = ids.dims();
        let flat = ids.clone().flatten::<1>(0, 1);
        let mut rows = pass.matrix(self.weight).select(0, flat.clone());
        if let Some((first, new)) = pass.new_rows(self.weight) {
            rows = look_up(flat, rows, new, first);
        }
        let hidden = rows.dims()[1];
        let base = rows.reshape([batch, time, hidden]);
        match pass.site_adapter(self.site) {
            Some(adapter) => adapter.apply(pass, SiteInput::Ids(&ids), base),
            None => base,
        }
    }
}

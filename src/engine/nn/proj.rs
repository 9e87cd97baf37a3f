//! A linear map with whatever a method has attached to it.

use burn::tensor::{DType, Tensor};

use super::ops;
use super::pass::SiteInput;
use super::{ParamId, Pass, SiteAdapter, SiteId, SiteKind, put_rows, row_lengths};

/// y = scale·x·Wᵀ + b (or x·W + b for Conv1D), plus the adapter's part.
#[derive(Clone, Debug)]
pub struct Proj {
    pub site: SiteId,
    pub kind: SiteKind,
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    /// Factor on the product, before the bias (CPM's 1/√inputs).
    pub scale: f64,
}

impl Proj {
    /// `[batch, time, in]` → `[batch, time, out]`.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let adapter = pass.site_adapter(self.site);
        let x = match adapter {
            Some(adapter) => adapter.input(pass, x),
            None => x,
        };
        let new_rows = pass.new_rows(self.weight);
        let (mut y, adapter) = self.product(pass, &x, adapter, new_rows.is_some());
        if let Some((first, rows)) = new_rows {
            y = put_rows(y, 2, first, ops::linear(x.clone(), rows));
        }
        if self.scale != 1.0 {
            y = y.mul_scalar(self.scale);
        }
        if let Some(bias) = self.bias {
            y = y + pass.vector(bias).unsqueeze();
        }
        match adapter {
            Some(adapter) => adapter.apply(pass, SiteInput::Hidden(&x), y),
            None => y,
        }
    }

    /// The frozen matrix's product; with the adapter's part where both are calculated at once, and otherwise the adapter
    /// that is still to act.
    fn product<'a>(
        &self,
        pass: &Pass<'_>,
        x: &Tensor<3>,
        adapter: Option<&'a dyn SiteAdapter>,
        has_new_rows: bool,
    ) -> (Tensor<3>, Option<&'a dyn SiteAdapter>) {
        let input_first = self.kind == SiteKind::Conv1d;
        if !input_first && let Some(y) = pass.packed_product(self.weight, x) {
            return (y, adapter);
        }
        let weight = pass.matrix(self.weight);
        let low = adapter.filter(|_| self.is_plain(pass) && !has_new_rows);
        match low.and_then(|adapter| adapter.low_rank(pass)) {
            Some(low) => (ops::linear_adapted(x.clone(), weight, input_first, low), None),
            None if input_first => (ops::linear_in_out(x.clone(), weight), adapter),
            None => (ops::linear(x.clone(), weight), adapter),
        }
    }

    /// Whether an adapter's part may be added before the bias: in 16 bits the order of roundings is PEFT's.
    fn is_plain(&self, pass: &Pass<'_>) -> bool {
        self.scale == 1.0 && (self.bias.is_none() || pass.dtype == DType::F32)
    }

    /// As [`forward`](Self::forward), with every row of the `[out, in]` weight divided by its length, an adapter's
    /// part included. The products are divided instead of the rows, so that a frozen matrix is measured only once.
    pub fn forward_unit_rows(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let lengths = match pass.site_adapter(self.site) {
            Some(adapter) => row_lengths(adapter.weight(pass, pass.matrix(self.weight))),
            None => pass.row_lengths(self.weight),
        };
        let y = self.forward(pass, x);
        let dtype = y.dtype();
        (y.cast(DType::F32) / lengths.unsqueeze()).cast(dtype)
    }
}

//! Rows of an adapter in place of some of a base matrix's: tokens that were added to a vocabulary.

use burn::tensor::{Int, Tensor};

use super::ParamId;

/// Where an adapter's rows stand in a base parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRows {
    /// `[count, columns]`.
    pub param: ParamId,
    pub first: usize,
    pub count: usize,
}

/// `whole` with `part` in place of what it has along `dim` from `first` on.
pub fn put_rows<const D: usize>(whole: Tensor<D>, dim: usize, first: usize, part: Tensor<D>) -> Tensor<D> {
    let all = whole.dims()[dim];
    let end = first + part.dims()[dim];
    let mut parts = Vec::with_capacity(3);
    if first > 0 {
        parts.push(whole.clone().narrow(dim, 0, first));
    }
    parts.push(part);
    if end < all {
        parts.push(whole.narrow(dim, end, all - end));
    }
    Tensor::cat(parts, dim)
}

/// Rows looked up by `ids` `[count]` in a base matrix (`found`, `[count, columns]`), or in `new` where the ids lie in
/// its rows, which begin at `first`.
pub fn look_up(ids: Tensor<1, Int>, found: Tensor<2>, new: Tensor<2>, first: usize) -> Tensor<2> {
    let (shape, rows) = (found.dims(), new.dims()[0] as i64);
    let places = ids - first as i64;
    let is_new = places.clone().greater_equal_elem(0).bool_and(places.clone().lower_elem(rows));
    let picked = new.select(0, places.clamp(0, rows - 1));
    found.mask_where(is_new.unsqueeze_dim::<2>(1).expand(shape), picked)
}

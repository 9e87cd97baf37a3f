//! A linear map with whatever a method has attached to it.

use burn::tensor::{DType, Tensor};

use super::ops::{self, LowRank};
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

/// What is added to a frozen map.
enum Part<'a> {
    None,
    Adapter(&'a dyn SiteAdapter),
    /// A low-rank map, of which the half is calculated.
    Half(Box<HalfLow>),
}

/// A [`LowRank`] after its first product.
struct HalfLow {
    /// `scale · x · aᵀ`, `[batch, time, rank]`.
    low: Tensor<3>,
    /// `[out, rank]`.
    b: Tensor<2>,
}

/// Below so many rows a product for each map is as quick as one for all of them, whose matrices must be joined first.
const SHARED_FROM: usize = 64;

impl Proj {
    /// `[batch, time, in]` → `[batch, time, out]`.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        match pass.site_adapter(self.site) {
            Some(adapter) => self.map(pass, &adapter.input(pass, x), Part::Adapter(adapter)),
            None => self.map(pass, &x, Part::None),
        }
    }

    /// [`forward`](Self::forward) of several maps of one input. Where low-rank maps are beside two or more of them, `x` is
    /// read once for the first products of all of these, and backwards it gets one gradient from them.
    pub fn forward_all<const N: usize>(projs: [&Self; N], pass: &Pass<'_>, x: &Tensor<3>) -> [Tensor<3>; N] {
        let [batch, time, _] = x.dims();
        let mut halves = match batch * time >= SHARED_FROM && !ops::adapts_at_once(x) {
            true => first_products(projs.map(|proj| pass.site_adapter(proj.site)?.low_rank(pass)), x),
            false => [const { None }; N],
        }
        .into_iter();
        projs.map(|proj| match halves.next().flatten() {
            Some(half) => proj.map(pass, x, Part::Half(Box::new(half))),
            None => proj.forward(pass, x.clone()),
        })
    }

    fn map(&self, pass: &Pass<'_>, x: &Tensor<3>, part: Part<'_>) -> Tensor<3> {
        let new_rows = pass.new_rows(self.weight);
        let (mut y, part) = self.product(pass, x, part, new_rows.is_some());
        if let Some((first, rows)) = new_rows {
            y = put_rows(y, 2, first, ops::linear(x.clone(), rows));
        }
        if self.scale != 1.0 {
            y = y.mul_scalar(self.scale);
        }
        if let Some(bias) = self.bias {
            y = y + pass.vector(bias).unsqueeze();
        }
        match part {
            Part::Adapter(adapter) => adapter.apply(pass, SiteInput::Hidden(x), y),
            Part::Half(half) => y + ops::linear(half.low, half.b),
            Part::None => y,
        }
    }

    /// The frozen matrix's product; with the adapter's part where both are calculated at once, and otherwise the part
    /// that is still to be added.
    fn product<'a>(
        &self,
        pass: &Pass<'_>,
        x: &Tensor<3>,
        part: Part<'a>,
        has_new_rows: bool,
    ) -> (Tensor<3>, Part<'a>) {
        let input_first = self.kind == SiteKind::Conv1d;
        if !input_first && let Some(y) = pass.packed_product(self.weight, x) {
            return (y, part);
        }
        let weight = pass.matrix(self.weight);
        if let Part::Adapter(adapter) = part
            && self.is_plain(pass)
            && !has_new_rows
            && let Some(low) = adapter.low_rank(pass)
        {
            return (ops::linear_adapted(x.clone(), weight, input_first, low), Part::None);
        }
        let map = if input_first { ops::linear_in_out } else { ops::linear };
        (map(x.clone(), weight), part)
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

/// `scale · x · aᵀ` of every map there is, cut from one product; none where there are fewer than two.
fn first_products<const N: usize>(maps: [Option<LowRank>; N], x: &Tensor<3>) -> [Option<HalfLow>; N] {
    let factors: Vec<_> = maps.iter().flatten().map(|map| map.a.clone()).collect();
    if factors.len() < 2 {
        return [const { None }; N];
    }
    let all = ops::linear(x.clone(), Tensor::cat(factors, 0));
    let scales: Vec<f64> = maps.iter().flatten().map(|map| map.scale).collect();
    let one = scales.iter().all(|scale| *scale == scales[0]);
    let all = if one { all * scales[0] } else { all };
    let mut from = 0;
    maps.map(|map| {
        let LowRank { a, b, scale } = map?;
        let rank = a.dims()[0];
        from += rank;
        let low = all.clone().narrow(2, from - rank, rank);
        Some(HalfLow { low: if one { low } else { low * scale }, b })
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tensor};

    use super::*;
    use crate::device::choose;

    fn leaf<const D: usize>(dims: [usize; D]) -> Tensor<D> {
        let device = choose("cpu").unwrap().device;
        Tensor::random(dims, Distribution::Uniform(-1.0, 1.0), &device).autodiff().require_grad()
    }

    #[test]
    fn one_product_is_cut_into_those_of_the_maps() {
        let (x, a, b) = (leaf([2, 40, 12]), [leaf([3, 12]), leaf([5, 12])], [leaf([7, 3]), leaf([9, 5])]);
        for scales in [[0.5, 0.5], [0.5, 3.0]] {
            cuts(&x, &a, &b, scales);
        }
    }

    fn cuts(x: &Tensor<3>, a: &[Tensor<2>; 2], b: &[Tensor<2>; 2], scales: [f64; 2]) {
        let map = |at: usize| Some(LowRank { a: a[at].clone(), b: b[at].clone(), scale: scales[at] });
        let halves = first_products([map(0), None, map(1)], x);
        assert!(halves[1].is_none() && first_products([map(0), None], x).iter().all(Option::is_none));
        let mut loss = Tensor::<1>::zeros([1], &x.device().inner()).autodiff();
        let mut want = loss.clone();
        for (at, half) in halves.into_iter().flatten().enumerate() {
            let own = ops::linear(x.clone(), a[at].clone()) * scales[at];
            let apart = (half.low.clone() - own.clone()).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-5, "{apart}");
            assert_eq!(half.b.dims(), b[at].dims());
            loss = loss + half.low.powi_scalar(2).sum();
            want = want + own.powi_scalar(2).sum();
        }
        let (got, want) = (loss.backward(), want.backward());
        let apart = |got: Tensor<2>, want: Tensor<2>| (got - want).abs().max().into_scalar::<f32>();
        for factor in a {
            assert!(apart(factor.grad(&got).unwrap(), factor.grad(&want).unwrap()) < 1e-3);
        }
        let flat = |gradients| x.grad(gradients).unwrap().reshape([80, 12]);
        assert!(apart(flat(&got), flat(&want)) < 1e-3);
    }
}

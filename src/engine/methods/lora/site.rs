//! LoRA at one matrix.

use burn::tensor::{FloatDType, Int, Tensor};

use super::slices::Slices;
use crate::nn::ops::{self, LowRank};
use crate::nn::{DropoutPlace, ParamId, Pass, SiteAdapter, SiteId, SiteInput, SiteKind, float_dtype};

/// y = base + s·(B(A(dropout(x))) + b); with a magnitude m (DoRA) the whole output is rescaled by
/// m / ‖W + s·B·A‖, a norm for each output that gradients do not enter.
///
/// A start that takes its part of W for itself (PiSSA, OLoRA) leaves W as it is: with A₀ and B₀ of the beginning,
/// (W − s·B₀A₀)x + s·BAx = Wx + s·[B, −B₀]·[A; A₀]x, an ordinary LoRA of twice the rank.
#[derive(Clone, Debug)]
pub struct LoraSite {
    pub site: SiteId,
    pub kind: SiteKind,
    /// The frozen matrix.
    pub weight: ParamId,
    /// `[rank, in]`; for an embedding `[rank, vocabulary]`.
    pub a: ParamId,
    /// `[out, rank]`; for parts of a fused matrix see [`Slices`].
    pub b: ParamId,
    /// Parts of the matrix, where it is not adapted whole.
    pub slices: Option<Slices>,
    /// A₀ and B₀, frozen, in the shapes of A and B.
    pub start: Option<[ParamId; 2]>,
    /// The frozen layer's bias, and b, `[out]`, beside it (PEFT's `lora_bias`).
    pub bias: Option<[ParamId; 2]>,
    /// `[out]`, DoRA only.
    pub magnitude: Option<ParamId>,
    /// Of each part.
    pub rank: usize,
    pub alpha: f64,
    pub scale: f64,
    /// Factor that the frozen matrix's product has and the adapter's has not.
    pub frozen_scale: f64,
    pub dropout: f64,
}

impl SiteAdapter for LoraSite {
    fn apply(&self, pass: &Pass<'_>, input: SiteInput<'_>, base: Tensor<3>) -> Tensor<3> {
        let y = match (input, self.magnitude) {
            (SiteInput::Ids(ids), _) => self.embedding(pass, ids, base),
            (SiteInput::Hidden(x), None) => base + self.low_rank(pass, self.dropped(pass, x)),
            (SiteInput::Hidden(x), Some(magnitude)) => self.dora(pass, x, base, magnitude),
        };
        match self.bias {
            Some([_, own]) => y + pass.vector(own).mul_scalar(self.scale).unsqueeze(),
            None => y,
        }
    }

    fn low_rank(&self, pass: &Pass<'_>) -> Option<LowRank> {
        let alone = self.magnitude.is_none() && self.bias.is_none() && self.frozen_scale == 1.0;
        (alone && !pass.drops(self.dropout)).then(|| {
            let [a, b] = self.factors(pass);
            LowRank { a, b, scale: self.scale }
        })
    }

    fn weight(&self, pass: &Pass<'_>, weight: Tensor<2>) -> Tensor<2> {
        let wide = |tensor: &Tensor<2>| tensor.clone().cast(FloatDType::F32);
        let [a, b] = self.factors(pass);
        let sum = self.merge(wide(&weight), wide(&a), wide(&b));
        match self.magnitude {
            None => sum,
            Some(magnitude) => {
                let norm = self.row_norm(weight, a.inner(), b.inner());
                self.rescaled(sum, pass.vector(magnitude).cast(FloatDType::F32) / norm)
            }
        }
    }
}

impl LoraSite {
    /// s·B(A(x)), `[batch, time, out]`.
    fn low_rank(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let [a, b] = self.factors(pass);
        ops::linear(ops::linear(x, a) * self.scale, b)
    }

    fn factors(&self, pass: &Pass<'_>) -> [Tensor<2>; 2] {
        let start = self.start.map(|ids| ids.map(|id| pass.matrix(id)));
        self.joined(pass.matrix(self.a), pass.matrix(self.b), start)
    }

    /// The factors of the ordinary LoRA that this is, `[rank', in]` and `[out, rank']`.
    pub fn joined(&self, a: Tensor<2>, b: Tensor<2>, start: Option<[Tensor<2>; 2]>) -> [Tensor<2>; 2] {
        let spread = |b: Tensor<2>| match &self.slices {
            Some(slices) => slices.scatter(b),
            None => b,
        };
        let Some([a0, b0]) = start else { return [a, spread(b)] };
        let beside = |tracked: &Tensor<2>, plain: Tensor<2>| {
            if tracked.is_autodiff() { plain.autodiff() } else { plain }
        };
        let (a0, b0) = (beside(&a, a0), beside(&b, spread(b0).neg()));
        [Tensor::cat(vec![a, a0], 0), Tensor::cat(vec![spread(b), b0], 1)]
    }

    /// Rank of the ordinary LoRA that this is.
    pub fn stored_rank(&self) -> usize {
        let parts = self.slices.as_ref().map_or(1, |slices| slices.parts.len());
        self.rank * parts * if self.start.is_some() { 2 } else { 1 }
    }

    /// The alpha with which that LoRA has this one's scale.
    pub fn stored_alpha(&self, rslora: bool) -> f64 {
        let more = self.stored_rank() as f64 / self.rank as f64;
        self.alpha * if rslora { more.sqrt() } else { more }
    }

    fn embedding(&self, pass: &Pass<'_>, ids: &Tensor<2, Int>, base: Tensor<3>) -> Tensor<3> {
        let [batch, time] = ids.dims();
        let rows = pass.matrix(self.a).transpose().select(0, ids.clone().flatten(0, 1));
        let narrow = rows.reshape([batch, time, self.rank]) * self.scale;
        base + ops::linear(narrow, pass.matrix(self.b))
    }

    /// PEFT's order: the frozen output is of the whole input, what is rescaled of the dropped one.
    fn dora(&self, pass: &Pass<'_>, x: &Tensor<3>, base: Tensor<3>, magnitude: ParamId) -> Tensor<3> {
        let weight = pass.matrix(self.weight);
        let [a, b] = self.factors(pass);
        let norm = self.row_norm(weight.clone(), a.inner(), b.inner());
        let factor = (pass.vector(magnitude) / norm.cast(float_dtype(pass.dtype))).unsqueeze::<3>();
        let dropped = self.dropped(pass, x);
        let plain = match self.kind {
            SiteKind::Conv1d => ops::linear_in_out(dropped.clone(), weight),
            SiteKind::Linear | SiteKind::Embedding => ops::linear(dropped.clone(), weight),
        };
        let plain = if self.frozen_scale == 1.0 { plain } else { plain * self.frozen_scale };
        base + plain * (factor.clone() - 1.0) + self.low_rank(pass, dropped) * factor
    }

    /// ‖c·W + s·B·A‖ of each output (c: the factor of the frozen product), `[out]`, f32, outside every graph.
    pub fn row_norm(&self, weight: Tensor<2>, a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
        let wide = |tensor: Tensor<2>| tensor.inner().cast(FloatDType::F32);
        let sum = self.merge(wide(weight), wide(a), wide(b)) * self.frozen_scale;
        let outputs = if self.transposed() { 1 } else { 0 };
        sum.square().sum_dim(1 - outputs).sqrt().flatten(0, 1)
    }

    /// W + s/c·B·A in the layout of W, whose product with the factor c is that of frozen part and adapter.
    pub fn merge(&self, weight: Tensor<2>, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        let delta = ops::matmul2(b, a) * (self.scale / self.frozen_scale);
        weight + if self.transposed() { delta.transpose() } else { delta }
    }

    /// A matrix in the layout of W with each output multiplied by its factor, `[out]`.
    pub fn rescaled(&self, matrix: Tensor<2>, factors: Tensor<1>) -> Tensor<2> {
        matrix * factors.unsqueeze_dim(if self.transposed() { 0 } else { 1 })
    }

    /// Whether the stored matrix has its outputs along the second axis.
    pub fn transposed(&self) -> bool {
        self.kind != SiteKind::Linear
    }

    fn dropped(&self, pass: &Pass<'_>, x: &Tensor<3>) -> Tensor<3> {
        pass.dropped(DropoutPlace::Site(self.site), self.dropout, x.clone())
    }
}

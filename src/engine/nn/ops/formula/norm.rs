//! Norms. With `n = (x − mean) · r` and the gradient `g` for `n`, that for `x` is `r · (g − mean(g) − n · mean(g · n))`; an
//! RMS norm takes no means of `x` and of `g` away.

use burn::tensor::Tensor;

use super::super::compose::f32;
use super::super::own;
use super::{Formula, run};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The product with the gain is in the input's element type.
    Rms,
    /// The gain is `1 + weight`, in `f32`.
    RmsUnit,
    Layer,
}

#[derive(Clone, Copy, Debug)]
pub struct Norm {
    pub kind: Kind,
    pub eps: f64,
}

impl Norm {
    /// The normed input and the factor that made it, both `f32`.
    fn normed(&self, x: Tensor<3>) -> [Tensor<3>; 2] {
        let x = match self.kind {
            Kind::Layer => {
                let x = f32(x);
                x.clone() - x.mean_dim(2)
            }
            Kind::Rms | Kind::RmsUnit => f32(x),
        };
        let r = x.clone().square().mean_dim(2).add_scalar(self.eps).sqrt().recip();
        [x * r.clone(), r]
    }

    /// The normed input times the gain, `f32`; of a [`Kind::Rms`] in the input's element type.
    fn scaled(&self, x: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
        let dtype = x.dtype();
        let [n, _] = self.normed(x);
        match self.kind {
            Kind::Rms => n.cast(dtype) * weight,
            Kind::RmsUnit | Kind::Layer => n * self.gain(weight),
        }
    }

    fn d_input(&self, [n, r]: [Tensor<3>; 2], gain: Tensor<3>, gradient: Tensor<3>) -> Tensor<3> {
        let g = gradient * gain;
        let along = (g.clone() * n.clone()).mean_dim(2);
        let g = match self.kind {
            Kind::Layer => g.clone() - g.mean_dim(2),
            Kind::Rms | Kind::RmsUnit => g,
        };
        (g - n * along) * r
    }

    fn gain(&self, weight: Tensor<3>) -> Tensor<3> {
        match self.kind {
            Kind::RmsUnit => f32(weight).add_scalar(1.0),
            Kind::Rms | Kind::Layer => f32(weight),
        }
    }

    /// `x` normed, times the gain, with `bias` added; gain and bias are `[1, 1, C]`.
    pub fn composed(&self, x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
        let dtype = x.dtype();
        let scaled = self.scaled(x, weight);
        match bias {
            Some(bias) => scaled + f32(bias),
            None => scaled,
        }
        .cast(dtype)
    }

    fn normed_by(&self, x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
        if own::norm_fits(&x, &weight, bias.as_ref()) {
            own::norm(*self, x, weight, bias)
        } else {
            self.composed(x, weight, bias)
        }
    }

    /// The gradients of input and gain.
    fn both(
        &self,
        operands: [Tensor<3>; 2],
        gradient: Tensor<3>,
        wanted: [bool; 2],
    ) -> [Option<Tensor<3>>; 2] {
        let [x, weight] = operands;
        if own::norm_fits(&x, &weight, Some(&gradient)) {
            own::norm_gradients(*self, [x, weight, gradient], wanted[1])
        } else {
            self.composed_gradients([x, weight, gradient], wanted)
        }
    }

    /// The same as a composition, from input, gain and the gradient of the value.
    pub fn composed_gradients(
        &self,
        [x, weight, gradient]: [Tensor<3>; 3],
        wanted: [bool; 2],
    ) -> [Option<Tensor<3>>; 2] {
        let (x_type, weight_type) = (x.dtype(), weight.dtype());
        let gradient = f32(gradient);
        let [n, r] = self.normed(x);
        let d_weight = wanted[1].then(|| {
            let n = match self.kind {
                // The gain meets what was rounded.
                Kind::Rms => f32(n.clone().cast(x_type)),
                Kind::RmsUnit | Kind::Layer => n.clone(),
            };
            over_rows(gradient.clone() * n).cast(weight_type)
        });
        let d_x = wanted[0].then(|| self.d_input([n, r], self.gain(weight), gradient).cast(x_type));
        [d_x, d_weight]
    }
}

/// The sum over all but the last axis, `[1, 1, C]`.
fn over_rows(x: Tensor<3>) -> Tensor<3> {
    x.sum_dim(1).sum_dim(0)
}

impl Formula<2, 3> for Norm {
    fn value(&self, [x, weight]: [Tensor<3>; 2]) -> Tensor<3> {
        self.normed_by(x, weight, None)
    }

    fn gradients(
        &self,
        operands: [Tensor<3>; 2],
        gradient: Tensor<3>,
        wanted: [bool; 2],
    ) -> [Option<Tensor<3>>; 2] {
        self.both(operands, gradient, wanted)
    }
}

/// A layer norm: the gain and what is added.
impl Formula<3, 3> for Norm {
    fn value(&self, [x, weight, bias]: [Tensor<3>; 3]) -> Tensor<3> {
        self.normed_by(x, weight, Some(bias))
    }

    fn gradients(
        &self,
        [x, weight, bias]: [Tensor<3>; 3],
        gradient: Tensor<3>,
        wanted: [bool; 3],
    ) -> [Option<Tensor<3>>; 3] {
        let d_bias = wanted[2].then(|| over_rows(f32(gradient.clone())).cast(bias.dtype()));
        let [d_x, d_weight] = self.both([x, weight], gradient, [wanted[0], wanted[1]]);
        [d_x, d_weight, d_bias]
    }
}

/// See [`compose::rms_norm`].
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let weight = weight.cast(x.dtype()).unsqueeze();
    run(Norm { kind: Kind::Rms, eps }, [x, weight])
}

/// See [`compose::rms_norm_unit`].
pub fn rms_norm_unit(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    run(Norm { kind: Kind::RmsUnit, eps }, [x, weight.unsqueeze()])
}

/// See [`compose::layer_norm`].
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<3> {
    run(Norm { kind: Kind::Layer, eps }, [x, weight.unsqueeze(), bias.unsqueeze()])
}

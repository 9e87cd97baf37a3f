//! Norms, SwiGLU and rotary embedding.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use kernels::{Buffer, Rope, Swiglu, Target};

use super::super::super::formula::{Norm, NormKind};
use super::super::{MOST, Turn};
use super::{buffer, element, empty, unshared};

pub fn norm(norm: Norm, x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::own_norm(x, weight, norm),
        Some(bias) => Dispatch::own_norm_biased(x, weight, bias.into_dispatch(), norm),
    })
}

/// The gradient of `x`; if the gain `learns`, its gradient too, `[1, 1, C]`, `f32`.
pub fn norm_gradients(
    norm: Norm,
    [x, weight, gradient]: [Tensor<3>; 3],
    learns: bool,
) -> (Tensor<3>, Option<Tensor<3>>) {
    let [x, weight, gradient] = [x, weight, gradient].map(Tensor::into_dispatch);
    let (dx, moments) = Dispatch::own_norm_gradient(x.clone(), weight.clone(), gradient.clone(), norm);
    let gain = learns.then(|| {
        let sums = Dispatch::own_norm_gain(x, weight, gradient, moments, norm);
        Tensor::<2>::from_dispatch(sums).sum_dim(0).unsqueeze()
    });
    (Tensor::from_dispatch(dx), gain)
}

pub fn swiglu(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::own_swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// Those of gate and up.
pub fn swiglu_gradients(gate: Tensor<3>, up: Tensor<3>, gradient: Tensor<3>) -> [Tensor<3>; 2] {
    let [gate, up, gradient] = [gate, up, gradient].map(Tensor::into_dispatch);
    let made = Dispatch::own_swiglu_gradients(gate, up, gradient);
    [Tensor::from_dispatch(made.0), Tensor::from_dispatch(made.1)]
}

/// `[B, H, T, D]`; turned back in memory `[B, T, H, D]`.
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, turn: Turn) -> Tensor<4> {
    let (cos, sin) = (cos.into_dispatch(), sin.into_dispatch());
    let turned = Tensor::from_dispatch(Dispatch::own_rope(x.into_dispatch(), cos, sin, turn));
    if turn.back { turned.swap_dims(1, 2) } else { turned }
}

/// See [`OwnOps`](super::OwnOps).
#[backend_extension(Cube, Fusion)]
pub trait OwnLayers: Backend {
    #[fusion(meta = normed)]
    fn own_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, norm: Norm) -> FloatTensor<Self>;

    #[fusion(meta = normed_biased)]
    fn own_norm_biased(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self>;

    #[fusion(meta = gradient_and_moments)]
    fn own_norm_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(meta = gain_sums)]
    fn own_norm_gain(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self>;

    #[fusion(meta = like_gate)]
    fn own_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    #[fusion(meta = like_gate_and_up)]
    fn own_swiglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(meta = turned)]
    fn own_rope(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self>;
}

fn normed(x: &TensorSpec, _: &TensorSpec, _: &Norm) -> TensorSpec {
    x.clone()
}

fn normed_biased(x: &TensorSpec, _: &TensorSpec, _: &TensorSpec, _: &Norm) -> TensorSpec {
    x.clone()
}

fn gradient_and_moments(
    x: &TensorSpec,
    _: &TensorSpec,
    _: &TensorSpec,
    _: &Norm,
) -> (TensorSpec, TensorSpec) {
    (x.clone(), TensorSpec::new(moments_shape(&x.shape), DType::F32))
}

fn gain_sums(x: &TensorSpec, _: &TensorSpec, _: &TensorSpec, _: &TensorSpec, _: &Norm) -> TensorSpec {
    TensorSpec::new(sums_shape(&x.shape), DType::F32)
}

fn like_gate(gate: &TensorSpec, _: &TensorSpec) -> TensorSpec {
    gate.clone()
}

fn like_gate_and_up(gate: &TensorSpec, up: &TensorSpec, _: &TensorSpec) -> (TensorSpec, TensorSpec) {
    (gate.clone(), up.clone())
}

fn turned(x: &TensorSpec, _: &TensorSpec, _: &TensorSpec, turn: &Turn) -> TensorSpec {
    TensorSpec::new(turned_shape(&x.shape, turn), x.dtype)
}

/// `[rows, 2]`.
fn moments_shape(x: &Shape) -> Shape {
    let [batch, time, _] = x.dims();
    Shape::new([batch * time, 2])
}

/// `[parts, columns]`.
fn sums_shape(x: &Shape) -> Shape {
    let [batch, time, columns] = x.dims();
    Shape::new([kernels::gain_parts(batch * time, columns), columns])
}

fn turned_shape(x: &Shape, turn: &Turn) -> Shape {
    let [batch, heads, time, width] = x.dims();
    Shape::new(if turn.back { [batch, time, heads, width] } else { [batch, heads, time, width] })
}

impl OwnLayers for CubeBackend {
    fn own_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, norm: Norm) -> FloatTensor<Self> {
        normed_rows(x, weight, None, norm)
    }

    fn own_norm_biased(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        normed_rows(x, weight, Some(into_contiguous(bias)), norm)
    }

    fn own_norm_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [x, weight, gradient] = [x, weight, gradient].map(into_contiguous);
        let dx = empty(&x, x.meta.shape().clone(), x.dtype);
        let moments = empty(&x, moments_shape(x.meta.shape()), DType::F32);
        let (of, to) = (rows(&x, &weight, None, norm), Target::Device(&x.client));
        kernels::norm_backward(to, of, buffer(&gradient), buffer(&dx), buffer(&moments));
        (dx, moments)
    }

    fn own_norm_gain(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        let [x, weight, gradient, moments] = [x, weight, gradient, moments].map(into_contiguous);
        let sums = empty(&x, sums_shape(x.meta.shape()), DType::F32);
        let (of, to) = (rows(&x, &weight, None, norm), Target::Device(&x.client));
        kernels::norm_gain(to, of, buffer(&gradient), buffer(&moments), buffer(&sums));
        sums
    }

    fn own_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let [gate, up] = [gate, up].map(into_contiguous);
        let product = empty(&gate, gate.meta.shape().clone(), gate.dtype);
        kernels::swiglu(Target::Device(&gate.client), halves(&gate, &up), buffer(&product));
        product
    }

    fn own_swiglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (gate, up, gradient) = (unshared(gate), unshared(up), into_contiguous(gradient));
        kernels::swiglu_backward(Target::Device(&gate.client), halves(&gate, &up), buffer(&gradient));
        (gate, up)
    }

    fn own_rope(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        let (x, [cos, sin]) = (in_strides(x), [cos, sin].map(into_contiguous));
        let turned = empty(&x, turned_shape(x.meta.shape(), &turn), x.dtype);
        let strides = strides(&x);
        let of = Rope {
            x: Buffer::new(x.handle.clone(), span(&x), x.dtype.size()),
            strides: [strides[0], strides[1], strides[2]],
            shape: x.meta.shape().dims(),
            element: element(x.dtype),
            cos: buffer(&cos),
            sin: buffer(&sin),
            half: cos.meta.shape()[2],
            interleaved: turn.interleaved,
            back: turn.back,
            turned: buffer(&turned),
            by_token: turn.back,
        };
        kernels::rope(Target::Device(&x.client), of);
        turned
    }
}

fn normed_rows(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>, norm: Norm) -> CubeTensor {
    let [x, weight] = [x, weight].map(into_contiguous);
    let y = empty(&x, x.meta.shape().clone(), x.dtype);
    kernels::norm(Target::Device(&x.client), rows(&x, &weight, bias.as_ref(), norm), buffer(&y));
    y
}

/// What the kernels get of rows in order.
fn rows(x: &CubeTensor, weight: &CubeTensor, bias: Option<&CubeTensor>, norm: Norm) -> kernels::Norm {
    kernels::Norm {
        x: buffer(x),
        element: element(x.dtype),
        weight: buffer(weight),
        bias: bias.map(buffer),
        added: if norm.kind == NormKind::RmsUnit { 1.0 } else { 0.0 },
        eps: norm.eps as f32,
        rounded: norm.kind == NormKind::Rms,
        centred: norm.kind == NormKind::Layer,
    }
}

fn halves(gate: &CubeTensor, up: &CubeTensor) -> Swiglu {
    Swiglu { gate: buffer(gate), up: buffer(up), element: element(gate.dtype) }
}

/// A tensor whose last axis lies together, and which a kernel can count through: the same, or a copy in order.
fn in_strides(tensor: CubeTensor) -> CubeTensor {
    let together = strides(&tensor).last() == Some(&1);
    if together && !tensor.meta.is_tiled() && span(&tensor) <= MOST {
        tensor
    } else {
        into_contiguous(tensor)
    }
}

/// Axes of length one are never stepped along.
fn strides(tensor: &CubeTensor) -> Vec<usize> {
    let axes = tensor.meta.shape().iter().zip(tensor.meta.strides().iter());
    axes.map(|(length, stride)| if *length == 1 { 0 } else { *stride }).collect()
}

/// Elements from the first to the last, with what lies between.
fn span(tensor: &CubeTensor) -> usize {
    let axes = tensor.meta.shape().iter().zip(strides(tensor));
    axes.map(|(length, stride)| (length - 1) * stride).sum::<usize>() + 1
}

//! AdamW's update and sums of squares, of several tensors in one launch.

#![expect(clippy::large_enum_variant, reason = "a few of them live for a launch; the macro makes no boxes")]

use std::vec::IntoIter;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use kernels::{SUMS, Target};

use super::super::super::{Factors, Moments};
use super::{buffer, unshared};

/// The new parameters, first and second moments; `scale` is the factor on the gradients.
pub fn adamw(tensors: Vec<Moments>, scale: &Tensor<1>, factors: Factors) -> Vec<[Tensor<1>; 3]> {
    let mut updated = Vec::with_capacity(tensors.len());
    let mut tensors = tensors.into_iter();
    while tensors.len() > 0 {
        let mut columns: [Vec<_>; 4] = Default::default();
        for Moments { param, gradient, m, v } in next(&mut tensors) {
            let each = [param, m, v, gradient].map(Tensor::into_dispatch);
            columns.iter_mut().zip(each).for_each(|(column, tensor)| column.push(tensor));
        }
        let [params, m, v, gradients] = columns.map(Together::of);
        let scale = scale.clone().into_dispatch();
        let (params, m, v) = Dispatch::own_adamw(params, m, v, gradients, scale, factors);
        let [params, m, v] = [params, m, v].map(|all| all.into_vec().into_iter().map(Tensor::from_dispatch));
        updated.extend(params.zip(m).zip(v).map(|((param, m), v)| [param, m, v]));
    }
    updated
}

/// The sum of the squares of all of them, `[1]`.
pub fn sum_of_squares(tensors: Vec<Tensor<1>>, device: &Device) -> Tensor<1> {
    let rows = tensors.len();
    let mut sums = Tensor::<2>::zeros([rows, SUMS], (device, DType::F32)).into_dispatch();
    let mut tensors = tensors.into_iter();
    while tensors.len() > 0 {
        let first = rows - tensors.len();
        let group = next(&mut tensors).into_iter().map(Tensor::into_dispatch);
        sums = Dispatch::own_squares(sums, Together::of(group.collect()), first);
    }
    Tensor::<2>::from_dispatch(sums).sum()
}

/// What the next launch has: one, or as many as it can.
fn next<T>(left: &mut IntoIter<T>) -> Vec<T> {
    let count = if left.len() < kernels::TOGETHER { 1 } else { kernels::TOGETHER };
    left.by_ref().take(count).collect()
}

/// The tensors of one launch.
#[derive(ExtensionType)]
#[extension_type(fusion)]
pub enum Together<B: Backend> {
    One(FloatTensor<B>),
    Seven(
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ),
}

impl<B: Backend> Together<B> {
    /// # Panics
    /// If they are neither one nor seven.
    fn of(tensors: Vec<FloatTensor<B>>) -> Self {
        match <[_; kernels::TOGETHER]>::try_from(tensors) {
            Ok([a, b, c, d, e, f, g]) => Self::Seven(a, b, c, d, e, f, g),
            Err(mut tensors) => {
                let one = tensors.pop().filter(|_| tensors.is_empty());
                Self::One(one.expect("one tensor, or as many as a launch can have"))
            }
        }
    }

    fn into_vec(self) -> Vec<FloatTensor<B>> {
        match self {
            Self::One(one) => vec![one],
            Self::Seven(a, b, c, d, e, f, g) => vec![a, b, c, d, e, f, g],
        }
    }
}

/// See [`OwnOps`](super::OwnOps).
#[backend_extension(Cube, Fusion)]
pub trait OwnUpdate: Backend {
    #[fusion(meta = |params, m, v, _, _, _| (params.clone(), m.clone(), v.clone()))]
    fn own_adamw(
        #[extension_type] params: Together<Self>,
        #[extension_type] m: Together<Self>,
        #[extension_type] v: Together<Self>,
        #[extension_type] gradients: Together<Self>,
        scale: FloatTensor<Self>,
        factors: Factors,
    ) -> (Together<Self>, Together<Self>, Together<Self>);

    #[fusion(meta = |sums, _, _| sums.clone())]
    fn own_squares(
        sums: FloatTensor<Self>,
        #[extension_type] tensors: Together<Self>,
        first: usize,
    ) -> FloatTensor<Self>;
}

impl OwnUpdate for CubeBackend {
    fn own_adamw(
        params: Together<Self>,
        m: Together<Self>,
        v: Together<Self>,
        gradients: Together<Self>,
        scale: FloatTensor<Self>,
        factors: Factors,
    ) -> (Together<Self>, Together<Self>, Together<Self>) {
        let [params, m, v] = [params, m, v].map(|all| all.into_vec().into_iter().map(unshared).collect());
        let [params, m, v]: [Vec<_>; 3] = [params, m, v];
        let gradients = gradients.into_vec().into_iter().map(into_contiguous);
        let scale = into_contiguous(scale);
        let moments = |(((param, m), v), gradient)| kernels::Moments {
            param: buffer(param),
            gradient: buffer(&gradient),
            m: buffer(m),
            v: buffer(v),
        };
        let Factors { beta1, rest1, beta2, rest2, keep, step, root, eps } = factors;
        let of = kernels::AdamW {
            tensors: params.iter().zip(&m).zip(&v).zip(gradients).map(moments).collect(),
            scale: buffer(&scale),
            factors: kernels::Factors { beta1, rest1, beta2, rest2, keep, step, root, eps },
        };
        kernels::adamw(Target::Device(&scale.client), of);
        (Together::of(params), Together::of(m), Together::of(v))
    }

    fn own_squares(sums: FloatTensor<Self>, tensors: Together<Self>, first: usize) -> FloatTensor<Self> {
        let sums = unshared(sums);
        let tensors: Vec<_> = tensors.into_vec().into_iter().map(into_contiguous).collect();
        let of =
            kernels::Squares { tensors: tensors.iter().map(buffer).collect(), sums: buffer(&sums), first };
        kernels::squares(Target::Device(&sums.client), of);
        sums
    }
}

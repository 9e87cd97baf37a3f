//! The kernels as operations of Burn's CubeCL backend, which fusion runs in their turn without looking inside.
//!
//! A tensor that nobody else holds is overwritten; of any other a copy is. Fusion gives an operation its operands when all
//! that came before has run, and the last one who reads a tensor gets it alone.

mod layers;
mod update;

pub use layers::{norm, norm_gradients, rope, swiglu, swiglu_gradients};
pub use update::{adamw, sum_of_squares};

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Int, IntDType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use kernels::{Buffer, Element, Gradient, Softmax, Target};

use super::{Dense, Sight};

/// See [`compose::cross_entropy`](super::super::compose::cross_entropy).
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    let targets = targets.cast(IntDType::I32);
    let (losses, gradient) =
        Dispatch::own_cross_entropy(logits.into_dispatch(), targets.into_dispatch(), weight);
    (Tensor::<1>::from_dispatch(losses).sum(), Tensor::from_dispatch(gradient))
}

pub fn probabilities(scores: Tensor<4>, sight: Sight) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::own_probabilities(scores.into_dispatch(), sight))
}

/// Probabilities and the gradient of the scores.
pub fn score_gradients(scores: Tensor<4>, gradient: Tensor<4>, sight: Sight) -> [Tensor<4>; 2] {
    let made = Dispatch::own_score_gradients(scores.into_dispatch(), gradient.into_dispatch(), sight);
    [Tensor::from_dispatch(made.0), Tensor::from_dispatch(made.1)]
}

pub fn nibbles(
    codes: Tensor<1, Int>,
    table: Tensor<1>,
    scales: Tensor<1>,
    block: usize,
    dense: Dense,
) -> Tensor<2> {
    let (codes, table, scales) = (codes.into_dispatch(), table.into_dispatch(), scales.into_dispatch());
    Tensor::from_dispatch(Dispatch::own_nibbles(codes, table, scales, block, dense))
}

pub fn bytes(codes: Tensor<1, Int>, scales: Tensor<1>, by_rows: bool, dense: Dense) -> Tensor<2> {
    let (codes, scales) = (codes.into_dispatch(), scales.into_dispatch());
    Tensor::from_dispatch(Dispatch::own_bytes(codes, scales, by_rows, dense))
}

/// What the kernels are to Burn: operations with the shapes and element types of their results.
#[backend_extension(Cube, Fusion)]
pub trait OwnOps: Backend {
    #[fusion(meta = losses_and_gradient)]
    fn own_cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weight: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(meta = like_scores)]
    fn own_probabilities(scores: FloatTensor<Self>, sight: Sight) -> FloatTensor<Self>;

    #[fusion(meta = like_both)]
    fn own_score_gradients(
        scores: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        sight: Sight,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(meta = nibbles_made)]
    fn own_nibbles(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        block: usize,
        dense: Dense,
    ) -> FloatTensor<Self>;

    #[fusion(meta = bytes_made)]
    fn own_bytes(
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        by_rows: bool,
        dense: Dense,
    ) -> FloatTensor<Self>;
}

fn losses_and_gradient(logits: &TensorSpec, targets: &TensorSpec, _: &f32) -> (TensorSpec, TensorSpec) {
    (TensorSpec::new(targets.shape.clone(), DType::F32), logits.clone())
}

fn like_scores(scores: &TensorSpec, _: &Sight) -> TensorSpec {
    scores.clone()
}

fn like_both(scores: &TensorSpec, gradient: &TensorSpec, _: &Sight) -> (TensorSpec, TensorSpec) {
    (scores.clone(), gradient.clone())
}

fn nibbles_made(_: &TensorSpec, _: &TensorSpec, _: &TensorSpec, _: &usize, dense: &Dense) -> TensorSpec {
    made(dense)
}

fn bytes_made(_: &TensorSpec, _: &TensorSpec, _: &bool, dense: &Dense) -> TensorSpec {
    made(dense)
}

fn made(dense: &Dense) -> TensorSpec {
    TensorSpec::new(Shape::new(dense.shape), dense.dtype.into())
}

impl OwnOps for CubeBackend {
    fn own_cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weight: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (logits, targets) = (unshared(logits), into_contiguous(targets));
        let losses = empty(&logits, targets.meta.shape().clone(), DType::F32);
        let of = kernels::CrossEntropy {
            logits: buffer(&logits),
            element: element(logits.dtype),
            targets: buffer(&targets),
            losses: buffer(&losses),
            weight,
        };
        kernels::cross_entropy(Target::Device(&logits.client), of);
        (losses, logits)
    }

    fn own_probabilities(scores: FloatTensor<Self>, sight: Sight) -> FloatTensor<Self> {
        let scores = unshared(scores);
        let (of, spare) = softmax(&scores, &sight);
        kernels::softmax(Target::Device(&scores.client), of, &spare);
        scores
    }

    fn own_score_gradients(
        scores: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        sight: Sight,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (scores, gradient) = (unshared(scores), unshared(gradient));
        let (of, spare) = softmax(&scores, &sight);
        let d = Gradient { buffer: buffer(&gradient) };
        kernels::softmax_backward(Target::Device(&scores.client), of, d, &spare);
        (scores, gradient)
    }

    fn own_nibbles(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        block: usize,
        dense: Dense,
    ) -> FloatTensor<Self> {
        let (codes, table, scales) =
            (into_contiguous(codes), into_contiguous(table), into_contiguous(scales));
        let matrix = empty(&scales, Shape::new(dense.shape), dense.dtype.into());
        let of = kernels::Nibbles {
            codes: words(&codes),
            table: buffer(&table),
            scales: buffer(&scales),
            block,
            dense: buffer(&matrix),
            element: element(matrix.dtype),
        };
        kernels::nibbles(Target::Device(&scales.client), of);
        matrix
    }

    fn own_bytes(
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        by_rows: bool,
        dense: Dense,
    ) -> FloatTensor<Self> {
        let (codes, scales) = (into_contiguous(codes), into_contiguous(scales));
        let matrix = empty(&scales, Shape::new(dense.shape), dense.dtype.into());
        let of = kernels::Bytes {
            codes: words(&codes),
            scales: buffer(&scales),
            by_rows,
            columns: dense.shape[1],
            dense: buffer(&matrix),
            element: element(matrix.dtype),
        };
        kernels::bytes(Target::Device(&scales.client), of);
        matrix
    }
}

/// Memory in order that nobody else holds: the tensor's own, or a copy.
fn unshared(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    // A copy may have its rows padded.
    if tensor.can_mut() { tensor } else { into_contiguous(tensor.copy()) }
}

/// Memory in order, not written yet.
fn empty(like: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    let handle = like.client.empty(shape.num_elements() * dtype.size());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, dtype)
}

fn buffer(tensor: &CubeTensor) -> Buffer {
    Buffer::new(tensor.handle.clone(), tensor.meta.shape().num_elements(), tensor.dtype.size())
}

/// Bytes, by fours.
fn words(tensor: &CubeTensor) -> Buffer {
    Buffer::new(tensor.handle.clone(), tensor.meta.shape().num_elements() / 4, 4)
}

/// # Panics
/// If kernels have no such element type: they serve none of the others.
fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::F32,
        DType::BF16 => Element::Bf16,
        DType::F16 => Element::F16,
        other => unreachable!("no kernel serves {other:?}"),
    }
}

/// What the kernel gets of scores, and memory to bind where there is none.
fn softmax(scores: &CubeTensor, sight: &Sight) -> (Softmax, Buffer) {
    let client = &scores.client;
    let upload = |bytes: &[u8]| Buffer::new(client.create_from_slice(bytes), bytes.len() / 4, 4);
    let of = Softmax {
        scores: buffer(scores),
        element: element(scores.dtype),
        heads: sight.heads,
        queries: sight.queries,
        keys: sight.keys,
        scale: sight.rule.scale as f32,
        cap: sight.rule.softcap.map(|cap| cap as f32),
        before: sight.before,
        window: sight.window,
        slopes: sight.slopes.as_ref().map(|slopes| upload(bytemuck::cast_slice(slopes))),
        starts: sight.starts.as_ref().map(|(front, first)| (*front, upload(bytemuck::cast_slice(first)))),
    };
    (of, Buffer::new(client.empty(4), 1, 4))
}

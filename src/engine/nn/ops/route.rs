//! Chooses between the CPU's fused kernel, a GPU's own one, the formula and the composition. The documentation of each operation is at its
//! composition in [`super::compose`].

use burn::tensor::{DType, Device, FloatDType, Gradients, Int, Tensor};

use super::formula::READY_MASK;
use super::{AdamWArgs, Awake, Causal, Code, Mask, Moments, Scores, compose, cpu, formula, own};

/// See [`compose::rms_norm`].
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    if cpu::fits_rounded(&x) && cpu::fits_rounded(&weight) {
        return cpu::rms_norm(x, weight, eps);
    }
    formula::rms_norm(x, weight, eps)
}

/// See [`compose::rms_norm_unit`].
pub fn rms_norm_unit(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    if cpu::fits_rounded(&x) && cpu::fits_rounded(&weight) {
        return cpu::rms_norm(x, weight.cast(DType::F32).add_scalar(1.0), eps);
    }
    formula::rms_norm_unit(x, weight, eps)
}

/// See [`compose::layer_norm`].
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<3> {
    if cpu::fits_rounded(&x) && cpu::fits_rounded(&weight) && cpu::fits_rounded(&bias) {
        return cpu::layer_norm(x, weight, bias, eps);
    }
    formula::layer_norm(x, weight, bias, eps)
}

/// See [`compose::silu`].
pub fn silu(x: Tensor<3>) -> Tensor<3> {
    if cpu::fits_rounded(&x) { cpu::silu(x) } else { formula::silu(x) }
}

/// See [`compose::silu_mul`].
pub fn silu_mul(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    if gate.dims() != up.dims() {
        return compose::silu_mul(gate, up);
    }
    if cpu::fits_rounded(&gate) && up.dtype() == gate.dtype() && cpu::fits_rounded(&up) {
        return cpu::silu_mul(gate, up);
    }
    formula::silu_mul(gate, up)
}

/// See [`compose::gelu_tanh`].
pub fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    if cpu::fits_rounded(&x) { cpu::gelu_tanh(x) } else { formula::gelu_tanh(x) }
}

/// See [`compose::gelu_erf`].
pub fn gelu_erf(x: Tensor<3>) -> Tensor<3> {
    if cpu::fits_rounded(&x) { cpu::gelu_erf(x) } else { formula::gelu_erf(x) }
}

/// See [`compose::rope`].
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, interleaved: bool) -> Tensor<4> {
    if cpu::fits_rounded(&x) && cpu::fits(&cos) && cpu::fits(&sin) {
        return cpu::rope(x, cos, sin, interleaved);
    }
    formula::rope(x, cos, sin, interleaved)
}

/// See [`compose::attention`].
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rule: Scores, mask: &Mask) -> Tensor<4> {
    match mask {
        // A bias that is learned gets its gradient from the composition.
        Mask::Bias(bias) if bias.is_tracked() => return compose::attention(q, k, v, rule, mask),
        Mask::Bias(bias) if !cpu::fits(bias) => return formula::attention(q, k, v, rule, mask),
        Mask::Bias(_) | Mask::Causal(_) => {}
    }
    if cpu::fits_rounded(&q) && cpu::fits_rounded(&k) && cpu::fits_rounded(&v) {
        return cpu::attention(q, k, v, rule, mask);
    }
    formula::attention(q, k, v, rule, mask)
}

/// The mask as [`attention`] wants it for `queries` of this element type on this device. Where no kernel knows what a
/// causal mask hides, it becomes a bias, once for all layers of a pass; a large one is made in parts by each.
pub fn ready_mask(mask: Mask, queries: usize, device: &Device, dtype: DType) -> Mask {
    match mask {
        Mask::Causal(causal)
            if !cpu::serves_rounded(device, dtype)
                && !own::softmax_serves(device, dtype)
                && bias_bytes(&causal, queries) <= READY_MASK =>
        {
            Mask::Bias(compose::causal_bias([queries, causal.offset + queries], &causal, device))
        }
        mask => mask,
    }
}

/// Bytes of the bias that a mask can become.
fn bias_bytes(causal: &Causal, queries: usize) -> usize {
    let heads = causal.slopes.as_ref().map_or(1, |slopes| slopes.len());
    let rows = causal.starts.as_ref().map_or(1, super::Starts::rows);
    rows.saturating_mul(heads).saturating_mul(queries).saturating_mul(4 * (causal.offset + queries))
}

/// In another float type; [`Tensor::cast`], by all threads on the CPU.
pub fn cast<const D: usize>(x: Tensor<D>, to: FloatDType) -> Tensor<D> {
    match to {
        FloatDType::F32 | FloatDType::BF16 | FloatDType::F16 if cpu::fits_linear(&x) => {
            cpu::cast(x, to.into())
        }
        _ => x.cast(to),
    }
}

/// See [`compose::cross_entropy`].
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    if cpu::fits_rounded(&logits) {
        return cpu::cross_entropy(logits, targets, weight);
    }
    own::cross_entropy(logits, targets, weight)
}

/// [`cross_entropy`] of logits inside autodiff, and the backward pass from its gradient: the summed
/// loss `[1]` and the gradients of `weight` times it. The logits' memory is used again where the
/// backend can, so hand over the only handle.
///
/// # Panics
/// If no tensor with `require_grad` went into the logits.
pub fn cross_entropy_backward(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: f32,
) -> (Tensor<1>, Gradients) {
    formula::cross_entropy_backward(logits, targets, weight)
}

/// Backward pass from a known gradient of `output`: the vector-Jacobian product, without the
/// product of the two tensors that the usual `(output · gradient).sum().backward()` makes.
///
/// # Panics
/// If no tensor with `require_grad` went into the output.
pub fn backward_from<const D: usize>(output: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    formula::backward_from(output, gradient)
}

/// See [`compose::logprobs`].
pub fn logprobs(logits: Tensor<2>, targets: Tensor<1, Int>) -> (Tensor<1>, Tensor<1, Int>) {
    if cpu::fits_rounded(&logits) {
        return cpu::logprobs(logits, targets);
    }
    compose::logprobs(logits, targets)
}

/// See [`compose::adamw`]; of parameters on one device.
///
/// # Panics
/// If the parameter or a moment is not `f32`.
pub fn adamw(tensors: Vec<Moments>, args: &AdamWArgs) -> Vec<[Tensor<1>; 3]> {
    let state = |Moments { param, m, v, .. }: &Moments| [param.dtype(), m.dtype(), v.dtype()];
    assert!(
        tensors.iter().flat_map(state).all(|dtype| dtype == DType::F32),
        "adamw: parameter and moments must be f32",
    );
    let fits = |Moments { param, gradient, m, v }: &Moments| {
        [param, gradient, m, v, &args.grad_scale].iter().all(|tensor| cpu::fits(*tensor))
    };
    if tensors.iter().all(fits) {
        return tensors.into_iter().map(|moments| cpu::adamw(moments, args)).collect();
    }
    own::adamw(tensors, args)
}

/// See [`compose::sum_of_squares`]; of tensors on one device.
pub fn sum_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    if tensors.iter().all(cpu::fits) {
        return Tensor::cat(tensors.into_iter().map(cpu::sum_of_squares).collect(), 0).sum();
    }
    own::sum_of_squares(tensors)
}

/// See [`compose::encode_blocks`].
pub fn encode_blocks(x: Tensor<1>, code: &Code) -> (Tensor<1, Int>, Tensor<1>) {
    if cpu::fits(&x) { cpu::encode_blocks(x, code) } else { compose::encode_blocks(x, code) }
}

/// See [`compose::decode_blocks`].
pub fn decode_blocks(codes: Tensor<1, Int>, scales: Tensor<1>, code: &Code) -> Tensor<1> {
    if cpu::fits(&scales) {
        cpu::decode_blocks(codes, scales, code)
    } else {
        compose::decode_blocks(codes, scales, code)
    }
}

/// To be held while a few tokens go through a model on this device: on the CPU their products are so short that threads
/// would fall asleep between them.
pub fn awake(device: &Device) -> Option<Awake> {
    cpu::here(device).then(Awake::new).flatten()
}

//! The operations as compositions of Burn's own tensor operations: right on every backend,
//! differentiable by autodiff, not fast.
//!
//! Formulas: `transformers` 4.57 modelling code (llama, gpt2) and `torch.optim.AdamW`.

use burn::tensor::{Bool, DType, Device, IndexingUpdateOp, Int, IntDType, Tensor, TensorData};

use super::matmul::assert_same_dtype;
use super::{AdamWArgs, CODE_BLOCK, Causal, Code, Factors, Mask, Moments, Scores, Starts};

/// Added to the score of a key that must not be seen. Finite, so that no row becomes NaN.
const NOT_VISIBLE: f32 = -1e9;

pub(super) fn f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(DType::F32)
}

/// Root-mean-square norm over the last axis of `[B, T, C]` with gain `[C]` (llama type: the product
/// with the gain is in the input's element type).
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    let mean_square = x.clone().square().mean_dim(2);
    let y = (x * mean_square.add_scalar(eps).sqrt().recip()).cast(dtype);
    y * weight.cast(dtype).unsqueeze::<3>()
}

/// Root-mean-square norm whose gain is `1 + weight`, multiplied in `f32` (Gemma type).
pub fn rms_norm_unit(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    let mean_square = x.clone().square().mean_dim(2);
    let y = x * mean_square.add_scalar(eps).sqrt().recip();
    (y * f32(weight).add_scalar(1.0).unsqueeze::<3>()).cast(dtype)
}

/// Layer norm over the last axis of `[B, T, C]`: population variance, gain and bias `[C]`.
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let y = centred * variance.add_scalar(eps).sqrt().recip();
    (y * f32(weight).unsqueeze::<3>() + f32(bias).unsqueeze::<3>()).cast(dtype)
}

/// `x · sigmoid(x)`.
pub fn silu(x: Tensor<3>) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    (x.clone() * burn::tensor::activation::sigmoid(x)).cast(dtype)
}

/// `silu(gate) · up` (SwiGLU), both `[B, T, F]`.
pub fn silu_mul(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    silu(gate) * up
}

/// GELU by the tanh approximation: `0.5x(1 + tanh(√(2/π)(x + 0.044715x³)))` ("gelu_new").
pub fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    let cubic = x.clone().square() * x.clone() * 0.044_715;
    let inner = (x.clone() + cubic) * (2.0 / std::f64::consts::PI).sqrt();
    (x * (inner.tanh() + 1.0) * 0.5).cast(dtype)
}

/// GELU by the error function: `x·Φ(x)`.
pub fn gelu_erf(x: Tensor<3>) -> Tensor<3> {
    let dtype = x.dtype();
    let x = f32(x);
    let phi = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    (x * phi * 0.5).cast(dtype)
}

/// Rotary position embedding: `x` is `[B, H, T, D]`, `cos` and `sin` are constants `[1 or B, T, R/2]` with
/// `R <= D`; the first `R` dimensions of each head are rotated, the rest passes. The partner of dimension `i` is
/// `i + R/2` (half-split), or its neighbour where pairs are `interleaved`.
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, interleaved: bool) -> Tensor<4> {
    let dtype = x.dtype();
    let [b, h, t, d] = x.dims();
    let half = cos.dims()[2];
    let x = f32(x);
    let cos = f32(cos).unsqueeze_dim::<4>(1);
    let sin = f32(sin).unsqueeze_dim::<4>(1);
    let (first, second) = if interleaved {
        let pairs = x.clone().narrow(3, 0, 2 * half).reshape([b, h, t, half, 2]);
        let part = |index| pairs.clone().narrow(4, index, 1).reshape([b, h, t, half]);
        (part(0), part(1))
    } else {
        (x.clone().narrow(3, 0, half), x.clone().narrow(3, half, half))
    };
    let turned = [first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin];
    let mut parts = if interleaved {
        vec![Tensor::stack::<5>(turned.to_vec(), 4).reshape([b, h, t, 2 * half])]
    } else {
        turned.to_vec()
    };
    if 2 * half < d {
        parts.push(x.narrow(3, 2 * half, d - 2 * half));
    }
    Tensor::cat(parts, 3).cast(dtype)
}

/// Softmax attention with grouped queries: `q` `[B, H, Tq, D]`, `k` and `v` `[B, Hkv, Tk, D]`, query
/// head `h` uses key head `h / (H / Hkv)`. The softmax is in `f32`. Values may be narrower than keys.
///
/// # Panics
/// If the element types of `q`, `k`, `v` differ or `H` is no multiple of `Hkv`.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rule: Scores, mask: &Mask) -> Tensor<4> {
    assert_same_dtype("attention (q, k)", &q, &k);
    assert_same_dtype("attention (q, v)", &q, &v);
    let dtype = q.dtype();
    let [b, h, tq, d] = q.dims();
    let [_, hkv, tk, dv] = v.dims();
    assert!(h % hkv == 0, "attention: {h} query heads cannot share {hkv} key heads");
    // The heads of a group are neighbours, so a group's queries are rows of one matrix.
    let rows = h / hkv * tq;
    let scores = q.reshape([b, hkv, rows, d]).matmul(k.swap_dims(2, 3));
    let scores = f32(scores).reshape([b, h, tq, tk]) * rule.scale;
    let scores = match rule.softcap {
        Some(cap) => (scores / cap).tanh() * cap,
        None => scores,
    };
    let bias = match mask {
        Mask::Causal(causal) => causal_bias([tq, tk], causal, &scores.device()),
        Mask::Bias(bias) => f32(bias.clone()),
    };
    let p = burn::tensor::activation::softmax(scores + bias, 3).cast(dtype);
    p.reshape([b, hkv, rows, tk]).matmul(v).reshape([b, h, tq, dv])
}

/// `[1 or B, 1 or H, Tq, Tk]`: what is added to the scores of [`Mask::Causal`].
pub fn causal_bias([tq, tk]: [usize; 2], causal: &Causal, device: &Device) -> Tensor<4> {
    let Causal { offset, window, slopes, starts } = causal;
    let device = device.clone().inner();
    let queries = count_up(*offset, tq, &device);
    let keys = count_up(0, tk, &device);
    // How far a key lies ahead of its query.
    let ahead = keys.reshape([1, 1, 1, tk]).expand([1, 1, tq, tk])
        - queries.reshape([1, 1, tq, 1]).expand([1, 1, tq, tk]);
    let (ahead, between) = match starts {
        Some(starts) => apart(ahead, starts, &device),
        None => (ahead, None),
    };
    let mut hidden = ahead.clone().greater_elem(0);
    if let Some(window) = window {
        hidden = hidden.bool_or(ahead.clone().lower_equal_elem(-(*window as i64)));
    }
    if let Some(between) = between {
        hidden = hidden.bool_or(between);
    }
    let hidden = f32(hidden.float() * NOT_VISIBLE);
    match slopes {
        None => hidden,
        Some(slopes) => {
            let heads = slopes.len();
            let slopes = Tensor::<1>::from_data(slopes.as_ref(), &device).reshape([1, heads, 1, 1]);
            let [batch, _, tq, tk] = ahead.dims();
            let shape = [batch, heads, tq, tk];
            hidden.expand(shape) + f32(ahead.float()).expand(shape) * slopes.expand(shape)
        }
    }
}

/// `count` numbers from `first` on.
fn count_up(first: usize, count: usize, device: &Device) -> Tensor<1, Int> {
    Tensor::<1, Int>::arange(first as i64..(first + count) as i64, device).cast(IntDType::I32)
}

/// How far keys lie ahead of their queries where rows hold several texts, `[B, 1, Tq, Tk]`, from what lies between them
/// in the row; and which keys lie between the front and the query's text.
fn apart(
    ahead: Tensor<4, Int>,
    starts: &Starts,
    device: &Device,
) -> (Tensor<4, Int>, Option<Tensor<4, Bool>>) {
    let [_, _, tq, tk] = ahead.dims();
    let shape = [starts.rows(), 1, tq, tk];
    let first: Vec<i32> = starts.first.iter().map(|first| *first as i32).collect();
    let first = Tensor::<1, Int>::from_data(TensorData::new(first, [shape[0] * tq]), device);
    let first = first.cast(IntDType::I32).reshape([shape[0], 1, tq, 1]).expand(shape);
    let keys = count_up(0, tk, device).reshape([1, 1, 1, tk]).expand(shape);
    let front = starts.front as i64;
    let ahead = ahead.expand(shape);
    let in_front = keys.clone().lower_elem(front);
    let nearer = ahead.clone() + first.clone() - front;
    let between = keys.lower(first).bool_and(in_front.clone().bool_not());
    (ahead.mask_where(in_front, nearer), Some(between))
}

/// *Plain.* Cross-entropy and its gradient, from logits `[N, V]` and targets `[N]`: the sum over the
/// rows `[1]` (unweighted, `f32`) and `dlogits = (softmax − onehot) · weight` in the logits' type.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    let dtype = logits.dtype();
    let n = logits.dims()[0];
    let z = f32(logits);
    let targets = targets.reshape([n, 1]);
    let shifted = z.clone() - z.max_dim(1);
    let e = shifted.clone().exp();
    let sum = e.clone().sum_dim(1);
    let loss = (sum.clone().log() - shifted.gather(1, targets.clone())).sum();
    let minus_one = Tensor::full([n, 1], -1.0, (&loss.device(), DType::F32));
    let gradient = (e / sum).scatter(1, targets, minus_one, IndexingUpdateOp::Add) * weight;
    (loss, gradient.cast(dtype))
}

/// *Plain.* Of logits `[N, V]`: the log-probability of each row's target `[N]` (`f32`), and the
/// most probable token `[N]`.
pub fn logprobs(logits: Tensor<2>, targets: Tensor<1, Int>) -> (Tensor<1>, Tensor<1, Int>) {
    let n = logits.dims()[0];
    let z = f32(logits);
    let best = z.clone().argmax(1).reshape([n]);
    let shifted = z.clone() - z.max_dim(1);
    let sum = shifted.clone().exp().sum_dim(1);
    let logprob = shifted.gather(1, targets.reshape([n, 1])) - sum.log();
    (logprob.reshape([n]), best)
}

/// *Plain.* One AdamW update of a flat `f32` parameter; gives back parameter, first and second moment.
///
/// Formula of `torch.optim.AdamW`: decoupled weight decay, bias correction, `eps` added to the
/// corrected root.
pub fn adamw(Moments { param, gradient, m, v }: Moments, args: &AdamWArgs) -> [Tensor<1>; 3] {
    let grad = f32(gradient) * args.grad_scale.clone();
    let m = m * args.beta1 + grad.clone() * (1.0 - args.beta1);
    let v = v * args.beta2 + grad.square() * (1.0 - args.beta2);
    let (step_size, root) = args.corrections();
    let denominator = v.clone().sqrt() / root + args.eps;
    let param = param * (1.0 - args.lr * args.weight_decay) - m.clone() / denominator * step_size;
    [param, m, v]
}

impl AdamWArgs {
    /// `lr / (1 − β1^t)` and `√(1 − β2^t)`.
    fn corrections(&self) -> (f64, f64) {
        let t = f64::from(self.step);
        let step_size = self.lr / (1.0 - self.beta1.powf(t));
        (step_size, (1.0 - self.beta2.powf(t)).sqrt())
    }

    /// What a kernel multiplies by.
    pub(super) fn factors(&self) -> Factors {
        let (step, root) = self.corrections();
        Factors {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            rest1: (1.0 - self.beta1) as f32,
            rest2: (1.0 - self.beta2) as f32,
            keep: (1.0 - self.lr * self.weight_decay) as f32,
            step: step as f32,
            root: root as f32,
            eps: self.eps as f32,
        }
    }
}

/// *Plain.* The sum of the squares of all elements of all tensors, of which there is at least one, `[1]`, `f32`.
pub fn sum_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    Tensor::cat(tensors.into_iter().map(|x| f32(x).square().sum()).collect(), 0).sum()
}

/// *Plain.* Numbers `[N]` in blocks of [`CODE_BLOCK`]: the code of each (`u8`) by its part of the block's largest, and
/// that largest of each block `[blocks]`. A number half-way between two codes gets the lower.
pub fn encode_blocks(x: Tensor<1>, code: &Code) -> (Tensor<1, Int>, Tensor<1>) {
    let n = x.dims()[0];
    let device = x.device();
    let blocks = in_blocks(x);
    let scales = blocks.clone().abs().max_dim(1);
    let inverse = scales.clone().clamp_min(f32::MIN_POSITIVE).recip();
    let x = (blocks * inverse).clamp(-1.0, 1.0).flatten::<1>(0, 1).narrow(0, 0, n);
    let middles = Tensor::<1>::from_data(code.middles.as_slice(), &device);
    let mut codes = Tensor::<1, Int>::zeros([n], (&device, DType::I32));
    // The number of middles below it, bit by bit.
    for bit in (0..8).rev().map(|bit| 1 << bit) {
        let above = x.clone().greater(middles.clone().select(0, codes.clone().add_scalar(bit - 1)));
        codes = codes + above.int().cast(IntDType::I32).mul_scalar(bit);
    }
    (codes.cast(IntDType::U8), scales.flatten(0, 1))
}

/// *Plain.* The numbers `[N]` that [`encode_blocks`] made codes of, f32.
pub fn decode_blocks(codes: Tensor<1, Int>, scales: Tensor<1>, code: &Code) -> Tensor<1> {
    let n = codes.dims()[0];
    let values = Tensor::<1>::from_data(code.values.as_slice(), &scales.device());
    let blocks = in_blocks(values.select(0, codes.cast(IntDType::I32)));
    let all = (blocks * scales.unsqueeze_dim::<2>(1)).flatten::<1>(0, 1);
    all.narrow(0, 0, n)
}

/// `[blocks, CODE_BLOCK]`, the last one filled with zeros.
fn in_blocks(x: Tensor<1>) -> Tensor<2> {
    let n = x.dims()[0];
    let blocks = n.div_ceil(CODE_BLOCK);
    let missing = blocks * CODE_BLOCK - n;
    let x = match missing {
        0 => x,
        _ => Tensor::cat(vec![x.clone(), Tensor::zeros([missing], (&x.device(), x.dtype()))], 0),
    };
    x.reshape([blocks, CODE_BLOCK])
}

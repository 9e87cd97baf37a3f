//! Time of each operation, as the composition of tensor operations and fused, on the CPU:
//! `cargo run --release -p engine --example ops_bench [NAME…]`. The best of several runs, by turns.

use std::io::Write;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Int, Tensor};
use engine::nn::ops::{self, AdamWArgs, Causal, Mask, Moments, Scores, compose};

/// Tokens of a micro-batch, width, width of the MLP, heads, vocabulary: a Llama of 60 M.
const BATCH: usize = 4;
const TIME: usize = 256;
const WIDTH: usize = 512;
const INNER: usize = 1536;
const HEADS: usize = 8;
const VOCABULARY: usize = 32_000;
const TOKENS: usize = BATCH * TIME;

fn random<const D: usize>(dims: [usize; D]) -> Tensor<D> {
    Tensor::random(dims, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn leaf<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone().autodiff().require_grad()
}

/// What a run moves or calculates, for the rate.
#[derive(Clone, Copy)]
enum Work {
    Bytes(usize),
    Flops(usize),
}

impl Work {
    /// Reading or writing `arrays` of `elements` numbers.
    fn arrays(arrays: usize, elements: usize) -> Self {
        Self::Bytes(arrays * elements * size_of::<f32>())
    }

    fn rate(self, time: Duration) -> String {
        let (amount, unit) = match self {
            Self::Bytes(bytes) => (bytes, "GB/s"),
            Self::Flops(flops) => (flops, "GFLOP/s"),
        };
        format!("{:7.1} {unit}", amount as f64 / time.as_secs_f64() / 1e9)
    }
}

struct Bench {
    only: Vec<String>,
}

impl Bench {
    /// Prints the times of two ways to do the same.
    fn compare(&self, name: &str, work: Work, mut plain: impl FnMut(), mut fused: impl FnMut()) {
        if !self.only.is_empty() && !self.only.iter().any(|part| name.contains(part.as_str())) {
            return;
        }
        let mut best = [Duration::MAX; 2];
        let start = Instant::now();
        let mut runs = 0;
        while runs < 3 || start.elapsed() < Duration::from_millis(1500) {
            best[0] = best[0].min(time(&mut plain));
            best[1] = best[1].min(time(&mut fused));
            runs += 1;
        }
        let [plain, fused] = best.map(|time| time.as_secs_f64() * 1e3);
        let line = format!(
            "{name:34} {plain:8.2} ms {}   fused {fused:8.2} ms {}   {:5.1} x\n",
            work.rate(best[0]),
            work.rate(best[1]),
            plain / fused,
        );
        std::io::stdout().write_all(line.as_bytes()).expect("standard output is open");
    }

    /// As [`compare`](Self::compare), of a function and of its gradient.
    fn both<const D: usize>(
        &self,
        name: &str,
        [forward, backward]: [Work; 2],
        plain: impl Fn(bool) -> Tensor<D>,
        fused: impl Fn(bool) -> Tensor<D>,
    ) {
        self.compare(name, forward, || drop(plain(false)), || drop(fused(false)));
        let gradient = random(plain(false).dims());
        let run = |output: Tensor<D>| drop(ops::backward_from(output, gradient.clone()));
        let name = format!("{name} + backward");
        self.compare(&name, backward, || run(plain(true)), || run(fused(true)));
    }
}

fn time(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The tensor, as a leaf of a graph if wanted.
fn input<const D: usize>(tensor: &Tensor<D>, tracked: bool) -> Tensor<D> {
    if tracked { leaf(tensor) } else { tensor.clone() }
}

fn main() {
    let bench = Bench { only: std::env::args().skip(1).collect() };
    elementwise(&bench);
    attention(&bench);
    products(&bench);
    head(&bench);
    optimizer(&bench);
}

fn elementwise(bench: &Bench) {
    let (x, w, b) = (random([BATCH, TIME, WIDTH]), random([WIDTH]), random([WIDTH]));
    let n = TOKENS * WIDTH;
    bench.both(
        "rms_norm",
        [Work::arrays(2, n), Work::arrays(5, n)],
        |t| compose::rms_norm(input(&x, t), input(&w, t), 1e-5),
        |t| ops::rms_norm(input(&x, t), input(&w, t), 1e-5),
    );
    bench.both(
        "layer_norm",
        [Work::arrays(2, n), Work::arrays(5, n)],
        |t| compose::layer_norm(input(&x, t), input(&w, t), input(&b, t), 1e-5),
        |t| ops::layer_norm(input(&x, t), input(&w, t), input(&b, t), 1e-5),
    );
    let (gate, up) = (random([BATCH, TIME, INNER]), random([BATCH, TIME, INNER]));
    let n = TOKENS * INNER;
    bench.both(
        "silu_mul",
        [Work::arrays(3, n), Work::arrays(8, n)],
        |t| compose::silu_mul(input(&gate, t), input(&up, t)),
        |t| ops::silu_mul(input(&gate, t), input(&up, t)),
    );
    bench.both(
        "gelu_tanh",
        [Work::arrays(2, n), Work::arrays(5, n)],
        |t| compose::gelu_tanh(input(&gate, t)),
        |t| ops::gelu_tanh(input(&gate, t)),
    );
    let q = random([BATCH, TIME, HEADS, WIDTH / HEADS]).swap_dims(1, 2);
    let (cos, sin) = (random([TIME, WIDTH / HEADS / 2]), random([TIME, WIDTH / HEADS / 2]));
    let n = TOKENS * WIDTH;
    bench.both(
        "rope",
        [Work::arrays(2, n), Work::arrays(4, n)],
        |t| compose::rope(input(&q, t), cos.clone().unsqueeze(), sin.clone().unsqueeze(), false),
        |t| ops::rope(input(&q, t), cos.clone().unsqueeze(), sin.clone().unsqueeze(), false),
    );
    bench.both(
        "rope, neighbours",
        [Work::arrays(2, n), Work::arrays(4, n)],
        |t| compose::rope(input(&q, t), cos.clone().unsqueeze(), sin.clone().unsqueeze(), true),
        |t| ops::rope(input(&q, t), cos.clone().unsqueeze(), sin.clone().unsqueeze(), true),
    );
}

fn attention(bench: &Bench) {
    for (batch, time, kv_heads) in [(BATCH, TIME, HEADS), (BATCH, TIME, 2), (1, 2048, HEADS)] {
        let name = format!("attention {batch}x{time}, {kv_heads} kv heads");
        attend(bench, &name, [batch, time, kv_heads, WIDTH / HEADS], SCORES, &Mask::causal(0));
    }
    let slopes = std::iter::repeat_n(0.1, HEADS).collect();
    let causal = |window, slopes| Mask::Causal(Causal { window, slopes, ..Causal::default() });
    let capped = Scores { softcap: Some(50.0), ..SCORES };
    for (name, width_v, scores, mask) in [
        ("window 256", 64, SCORES, causal(Some(256), None)),
        ("ALiBi", 64, SCORES, causal(None, Some(slopes))),
        ("softcap", 64, capped, causal(None, None)),
        ("values of 32", 32, SCORES, causal(None, None)),
    ] {
        attend(bench, &format!("attention 1x2048, {name}"), [1, 2048, HEADS, width_v], scores, &mask);
    }
}

const SCORES: Scores = Scores { scale: 0.125, softcap: None };

/// The rate counts the lower triangle as if values were as wide as keys.
fn attend(
    bench: &Bench,
    name: &str,
    [batch, time, kv_heads, width_v]: [usize; 4],
    scores: Scores,
    mask: &Mask,
) {
    let width = WIDTH / HEADS;
    let head = |heads, width| random([batch, time, heads, width]).swap_dims(1, 2);
    let [q, k, v] = [head(HEADS, width), head(kv_heads, width), head(kv_heads, width_v)];
    // The backward pass has five products where the forward has two.
    let flops = 2 * batch * HEADS * time * time * width;
    bench.both(
        name,
        [Work::Flops(flops), Work::Flops(flops / 2 * 7)],
        |t| compose::attention(input(&q, t), input(&k, t), input(&v, t), scores, mask),
        |t| ops::attention(input(&q, t), input(&k, t), input(&v, t), scores, mask),
    );
}

fn products(bench: &Bench) {
    for (inputs, outputs) in [(WIDTH, WIDTH), (WIDTH, INNER), (INNER, WIDTH), (WIDTH, VOCABULARY)] {
        let (x, w) = (random([BATCH, TIME, inputs]), random([outputs, inputs]));
        let flops = 2 * TOKENS * inputs * outputs;
        let plain = |x: Tensor<3>, w: Tensor<2>| {
            x.reshape([TOKENS, inputs]).matmul(w.transpose()).reshape([BATCH, TIME, outputs])
        };
        bench.both(
            &format!("linear {inputs} to {outputs}"),
            [Work::Flops(flops), Work::Flops(3 * flops)],
            |t| plain(input(&x, t), input(&w, t)),
            |t| ops::linear(input(&x, t), input(&w, t)),
        );
    }
}

fn head(bench: &Bench) {
    let logits = random([TOKENS, VOCABULARY]);
    let ids: Vec<i32> = (0..TOKENS as i32).collect();
    let targets = Tensor::<1, Int>::from_data(ids.as_slice(), &Device::flex());
    let n = TOKENS * VOCABULARY;
    bench.compare(
        "cross_entropy",
        Work::arrays(2, n),
        || drop(compose::cross_entropy(logits.clone(), targets.clone(), 1.0)),
        || drop(ops::cross_entropy(logits.clone(), targets.clone(), 1.0)),
    );
    bench.compare(
        "logprobs",
        Work::arrays(1, n),
        || drop(compose::logprobs(logits.clone(), targets.clone())),
        || drop(ops::logprobs(logits.clone(), targets.clone())),
    );
    let (x, w) = (leaf(&random([1, TOKENS, WIDTH])), random([VOCABULARY, WIDTH]));
    let graph = || ops::linear(x.clone(), w.clone()).reshape([TOKENS, VOCABULARY]);
    bench.compare(
        "frozen head: loss and gradient",
        Work::Flops(4 * TOKENS * WIDTH * VOCABULARY),
        || {
            let logits = graph();
            let (_, d) = compose::cross_entropy(logits.clone().inner(), targets.clone(), 1.0);
            drop((logits * d).sum().backward());
        },
        || drop(ops::cross_entropy_backward(graph(), targets.clone(), 1.0)),
    );
}

fn optimizer(bench: &Bench) {
    let n = 10_000_000;
    let g = random([n]);
    let args = || AdamWArgs {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        step: 3,
        grad_scale: Tensor::ones([1], &Device::flex()),
    };
    let fresh = || Some([random([n]), random([n]), random([n]).square()]);
    let moments = |[param, m, v]: [Tensor<1>; 3]| Moments { param, gradient: g.clone(), m, v };
    let (mut plain, mut fused) = (fresh(), fresh());
    bench.compare(
        "adamw, 10 M",
        Work::arrays(7, n),
        || plain = plain.take().map(|state| compose::adamw(moments(state), &args())),
        || fused = fused.take().and_then(|state| ops::adamw(vec![moments(state)], &args()).pop()),
    );
    bench.compare(
        "sum_of_squares, 10 M",
        Work::arrays(1, n),
        || drop(compose::sum_of_squares(vec![g.clone()])),
        || drop(ops::sum_of_squares(vec![g.clone()])),
    );
}

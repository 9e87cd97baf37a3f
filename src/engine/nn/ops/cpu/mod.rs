//! Fused kernels for the CPU backend (Flex) in `f32`: one pass over memory, the machine's widest
//! vectors, all threads, and a hand-written gradient each.
//!
//! A kernel implements [`bridge::Fused`] on plain buffers; [`bridge::run`] joins it to Burn's
//! autodiff. Results do not depend on the number of threads or their timing.

mod activation;
mod adapted;
mod attention;
mod attention_backward;
mod awake;
mod bridge;
mod buffer;
mod codes;
mod few;
mod gemm;
mod halves;
mod heads;
mod linear;
mod loss;
mod norm;
mod optim;
mod rope;
mod scoring;
mod simd;
mod unpack;

pub use activation::{gelu_erf, gelu_tanh, silu, silu_mul};
pub use adapted::linear_adapted;
pub use attention::attention;
pub use awake::Awake;
pub use bridge::{fits, fits_linear, here, serves};
pub use codes::{decode_blocks, encode_blocks};
pub use few::{FEW, few_rows_of_bytes, few_rows_of_nibbles};
pub use linear::{WeightLayout, linear};
pub use loss::{cross_entropy, logprobs};
pub use norm::{layer_norm, rms_norm};
pub use optim::{adamw, sum_of_squares};
pub use rope::rope;
pub use simd::vectorised;
pub use unpack::{bytes, nibbles, unpack_bytes, unpack_nibbles};

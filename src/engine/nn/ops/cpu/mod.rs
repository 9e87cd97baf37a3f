//! Fused kernels for the CPU backend (Flex): one pass over memory, the machine's widest vectors, all threads, and a
//! hand-written gradient each. They calculate in `f32`, but for products of bf16 where the machine has them.
//!
//! A kernel implements [`bridge::Fused`] on plain buffers; [`bridge::run`] joins it to Burn's
//! autodiff. Results do not depend on the number of threads or their timing.

mod activation;
mod adapted;
mod adapted_halves;
mod attention;
mod attention_backward;
mod awake;
mod bridge;
mod buffer;
mod cast;
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
mod rounded;
mod rows;
mod scoring;
mod simd;
#[cfg(target_arch = "x86_64")]
mod tiles;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_tiles.rs"]
mod tiles;
mod unpack;

pub use activation::{gelu_erf, gelu_tanh, silu, silu_mul};
pub use adapted::{adapts, linear_adapted};
pub use attention::attention;
pub use awake::Awake;
pub use bridge::{fits, fits_linear, fits_rounded, here, serves, serves_rounded};
pub use cast::cast;
pub use codes::{decode_blocks, encode_blocks};
pub use few::{FEW, few_rows_of_bytes, few_rows_of_nibbles};
pub use linear::{WeightLayout, linear};
pub use loss::{cross_entropy, logprobs};
pub use norm::{layer_norm, rms_norm};
pub use optim::{adamw, sum_of_squares};
pub use rope::rope;
pub use simd::vectorised;
pub use unpack::{bytes, nibbles, unpack_bytes, unpack_nibbles};

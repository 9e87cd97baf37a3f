//! Kernels of our own for GPUs, in CubeCL: what Burn's fusion cannot do in one pass, or only with more memory.
//!
//! Each file has one operation: the kernel and the function that launches it. All of them calculate in `f32` whatever the
//! element type of what they read and write, and add up in an order that follows from the shape alone: the same input
//! gives the same bits. Each has a twin made of tensor operations in the engine, which checks it on the very device
//! before it is used.
//!
//! Launched with bounds checks: a wrong length gives wrong numbers, never a fault of the device.

mod adamw;
mod cross_entropy;
mod launch;
mod norm;
mod rope;
mod row;
mod softmax;
mod squares;
mod swiglu;
mod unpack;

pub use adamw::{AdamW, Factors, Moments, TOGETHER, adamw};
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use launch::{Buffer, Definitions, Element, Target};
pub use norm::{Norm, gain_parts, norm, norm_backward, norm_gain};
pub use rope::{Rope, rope};
pub use softmax::{Gradient, Softmax, softmax, softmax_backward};
pub use squares::{SUMS, Squares, squares};
pub use swiglu::{Swiglu, swiglu, swiglu_backward};
pub use unpack::{Bytes, Nibbles, bytes, nibbles};

//! Training.

mod backward;
mod head;

pub use backward::Backward;

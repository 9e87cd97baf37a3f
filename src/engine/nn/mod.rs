//! Neural-network building blocks on top of Burn tensors.

pub mod ops;

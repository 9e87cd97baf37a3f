//! The engine's tests: one binary.

mod files;
mod weights;

//! Figures of how good answers are. Pure functions; each says which program's figures it equals.

mod classification;

pub use classification::Classification;

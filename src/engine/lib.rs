
pub mod nn;

//! The training engine: models, methods, training, generation and export on Burn, owned by a worker
//! that takes commands and tells events.

pub mod files;
mod models;
mod nn;
pub mod weights;

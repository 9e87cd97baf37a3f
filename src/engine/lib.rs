//! The training engine: models, methods, training, generation and export on Burn, owned by a worker
//! that takes commands and tells events.

mod methods;
mod models;
mod nn;
mod optim;
mod train;
mod weights;

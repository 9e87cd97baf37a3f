//! The training engine: models, methods, training, generation and export on Burn, owned by a worker
//! that takes commands and tells events.
//!
//! Clients use [`spawn`] and [`EngineHandle`] only. The modules are public for the tests that hold them
//! against the reference implementations.

pub mod analysis;
mod batches;
mod cache;
mod costs;
pub mod device;
pub mod export;
pub mod files;
pub mod generate;
mod handlers;
pub mod handoff;
mod inbox;
pub mod memory;
pub mod methods;
pub mod models;
mod monitor;
pub mod nn;
pub mod optim;
pub mod plan;
pub mod planner;
mod predict;
mod project;
mod remedies;
mod room;
mod runs;
pub mod score;
mod session;
mod settings;
mod sink;
pub mod spread;
mod suites;
mod tokens;
pub mod train;
pub mod weights;
mod worker;

use std::sync::Arc;

use protocol::UserError;

pub use worker::{EngineHandle, EngineOptions, spawn};

/// Called after every event, so that a client that sleeps looks into its channel.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A failed read or launch on the device. Burn reports faults when results are read.
fn device_failure(err: &dyn std::fmt::Display) -> UserError {
    device::fault::failure(&err.to_string())
}

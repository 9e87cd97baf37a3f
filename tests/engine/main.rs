//! The engine's tests: one binary.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail and report as tests do"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/project.rs"]
mod project;
#[path = "../common/tensors.rs"]
mod tensors;

mod analysis;
mod desk;
mod device;
mod dropout;
mod exports;
mod families;
mod files;
mod golden;
mod handoff;
mod kernels;
mod layouts;
mod optimizers;
mod parallel;
mod planner;
mod runs;
mod unit_rows;
mod vocabulary;
mod weights;

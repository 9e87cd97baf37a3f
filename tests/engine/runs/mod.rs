//! Whole runs through [`engine::spawn`], as a client sees them.

mod cards;
mod dicts;
mod ends;
mod faults;
mod guard;
mod listed;
mod live;
mod loss_scale;
mod optimizers;
mod packed;
mod pause;
mod prompts;
mod pulse;
mod quantised;
mod recipes;
mod refused;
mod resume;
mod samples;
mod saving;
pub mod support;
mod wishes;

//! Whole runs through [`engine::spawn`], as a client sees them.

mod ends;
mod faults;
mod guard;
mod live;
mod listed;
mod pause;
mod refused;
mod resume;
mod samples;
mod wishes;
pub mod support;

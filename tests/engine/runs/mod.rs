//! Whole runs through [`engine::spawn`], as a client sees them.

mod ends;
mod faults;
mod guard;
mod live;
mod pause;
mod refused;
mod resume;
mod samples;
mod support;
mod wishes;

//! The window, driven by the labels that people and screen readers see.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests may touch files, and fail where they stand"
)]

mod chat;
mod data;
mod errors;
mod evaluate;
mod export;
mod forecast;
mod frame;
mod handoff;
mod hosting;
mod hub;
mod mix;
mod predict;
mod runs;
mod setup;
mod snapshots;
mod states;
mod support;
mod train;
mod words;

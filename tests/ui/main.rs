//! The window, driven by the labels that people and screen readers see.

#![expect(clippy::disallowed_methods, reason = "tests may touch files")]

mod chat;
mod data;
mod export;
mod frame;
mod runs;
mod setup;
mod snapshots;
mod support;
mod train;
mod words;

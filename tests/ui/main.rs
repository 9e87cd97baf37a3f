//! The window, driven by the labels that people and screen readers see.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod data;
mod frame;
mod support;

//! The window, driven by the labels that people and screen readers see.

#![expect(clippy::disallowed_methods, reason = "tests may touch files")]

mod data;
mod frame;
mod support;
mod words;

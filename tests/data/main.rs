//! Tests of package `data` that read files.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod dataset;
mod detection;
mod formats;
mod sampler;
mod sources;
mod support;
mod verdict;

//! Tests of package `data` that read files.

mod dataset;
mod detection;
mod formats;
mod sampler;
mod sources;
mod support;
mod verdict;

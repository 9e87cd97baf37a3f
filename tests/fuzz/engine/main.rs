//! Fuzzing of what the engine reads: weights, configs, adapters.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail and report as tests do"
)]

#[path = "../../common/mod.rs"]
mod common;
mod formats;
#[path = "../harness/mod.rs"]
mod harness;
mod header;
mod pickle;
mod targets;
mod torch_zip;

fuzz_targets! { formats::FORMATS; safetensors, shards, pickle, gguf_models, quantised, configs, adapters }

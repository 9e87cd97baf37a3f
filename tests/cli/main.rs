//! The program from outside: what it prints where, and the exit codes of the contract.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[cfg(unix)]
#[path = "../common/processes.rs"]
mod processes;
#[path = "../common/project.rs"]
mod project;
#[path = "../common/tensors.rs"]
mod tensors;

mod analyze;
mod bad_data;
mod bad_models;
mod bad_runs;
mod compare;
mod convert;
mod devices;
mod disk;
mod engine_client;
mod engine_process;
mod eval;
#[cfg(target_os = "linux")]
mod far_engine;
mod figures;
mod handed;
mod handed_hostile;
mod handoff;
mod hub;
mod hub_words;
#[cfg(target_os = "linux")]
mod keyring;
mod large;
#[cfg(target_os = "linux")]
mod pipe_figures;
mod predict;
mod program;
mod real;
mod run_files;
mod sources;
mod talk;
mod training;
mod usage;
mod workshop;

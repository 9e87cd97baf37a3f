//! The program from outside: what it prints where, and the exit codes of the contract.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod program;
mod run_files;
mod usage;

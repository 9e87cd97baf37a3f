//! The program from outside: what it prints where, and the exit codes of the contract.

mod program;
mod run_files;
mod usage;

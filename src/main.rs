//! Emberwright: fine-tune a language model on your own workstation.
//!
//! The program is a client of the engine. It sends [`protocol::Command`]s, draws the [`protocol::Event`]s
//! that come back, and holds no tensor itself.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}

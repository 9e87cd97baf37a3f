//! Emberwright: fine-tune a language model on your own workstation.
//!
//! The program is a client of the engine. It sends [`protocol::Command`]s, draws the [`protocol::Event`]s
//! that come back, and holds no tensor itself.

mod cli;
mod server;

fn main() -> std::process::ExitCode {
    // Before any thread: this may run the program again with the environment that CUDA needs.
    if let Some(folders) = directories::ProjectDirs::from("", "", "emberwright") {
        engine::device::prepare(folders.cache_dir());
    }
    cli::main()
}

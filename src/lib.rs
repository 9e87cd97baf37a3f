//! Emberwright: fine-tune a language model on your own workstation.
//!
//! The program is a client of the engine, as a window or as a command line. It sends [`protocol::Command`]s, draws
//! the [`protocol::Event`]s that come back, and holds no tensor itself. It is a library so that tests drive the window
//! with the real engine.

pub mod cli;
pub mod server;
pub mod window;

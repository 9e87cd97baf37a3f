//! `engine`: the engine's process, which a window starts; with `--stdio` for one on another machine. Not for people.

use std::path::PathBuf;

use clap::Args;
use engine::EngineOptions;
use protocol::{Result, Text, UserError};

use super::folders;
use crate::server::{RemoteOptions, Sockets, relay_stdio, serve};

#[derive(Debug, Args)]
pub struct Flags {
    /// Speak frames on stdin and stdout, for a window on another machine; the engine outlives these pipes
    #[arg(long)]
    pub stdio: bool,
    /// With --stdio: start an engine beside one of another version that is at work
    #[arg(long, requires = "stdio")]
    pub beside_others: bool,
    /// Name to listen under
    #[arg(long, value_name = "NAME", required_unless_present = "stdio", conflicts_with = "stdio")]
    pub socket: Option<String>,
    /// Folder of sockets (default: the user's own)
    #[arg(long, value_name = "DIR")]
    pub sockets: Option<PathBuf>,
    /// Folder of runs (default: among the user's data)
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// The file that this process's words go to, to be named in errors
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

pub fn run(flags: Flags, device: &str) -> Result<u8> {
    let sockets = flags.sockets.map_or_else(Sockets::default, Sockets::at);
    let log_dir =
        flags.log.as_ref().and_then(|log| log.parent()).map_or_else(folders::logs, ToOwned::to_owned);
    let runs_dir = flags.runs.unwrap_or_else(folders::runs);
    let device = device.to_owned();
    match flags.socket {
        Some(name) => serve(&sockets, &name, EngineOptions { device, runs_dir, log_dir }, flags.log),
        None => {
            let program = std::env::current_exe().map_err(|err| no_program(&err))?;
            let options = RemoteOptions { program, sockets, device, runs_dir, log_dir };
            relay_stdio(&options, flags.beside_others)
        }
    }
    .map(|()| 0)
}

fn no_program(err: &std::io::Error) -> UserError {
    UserError::failure(Text::fixed("This program does not know where it lies", "无法确定本程序的位置"))
        .detail(err.to_string())
}

//! `engine`: the engine's process, which the window starts. Not for people.

use std::path::PathBuf;

use clap::Args;
use engine::EngineOptions;
use protocol::Result;

use super::folders;
use crate::server::{Sockets, serve};

#[derive(Debug, Args)]
pub struct Flags {
    /// Name to listen under
    #[arg(long, value_name = "NAME")]
    pub socket: String,
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
    let options = EngineOptions { device: device.to_owned(), runs_dir, log_dir };
    serve(&sockets, &flags.socket, options, flags.log).map(|()| 0)
}

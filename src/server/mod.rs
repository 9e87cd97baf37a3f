//! The engine as a process of its own, so that a run outlives the window, on this machine or on another one.
//!
//! [`serve`] is that process: it listens at a local socket of the user and serves one client at a time. [`relay_stdio`] hands
//! its frames on over stdin and stdout: what a window starts on another machine through ssh. [`RemoteEngine`] is the
//! client of both: it attaches to an engine that serves nobody, or starts one. [`LocalEngine`] is the same thing without
//! a process, and [`HostedEngine`] is whichever of them the user chose.
//!
//! Frames are JSON with its length in front (`frames`), over any reader and writer (`connection`). While nobody listens
//! the engine's events are dropped: what matters stands in the run folder. A client that attaches is told what it needs to
//! go on (`replay`); one that comes again after its connection broke takes its own place back (`hub`), and what it
//! had asked is answered or said to be lost (`numbers`).

mod address;
mod connection;
mod dispatch;
mod errors;
mod frames;
mod hosted;
mod hub;
mod line;
mod link;
mod local;
mod numbers;
mod process;
mod relay;
mod remote;
mod replay;
mod serve;
mod ssh;
mod work;

pub use address::Sockets;
pub use hosted::HostedEngine;
pub use local::LocalEngine;
pub use relay::relay_stdio;
pub use remote::{RemoteEngine, RemoteOptions, Site};
pub use serve::serve;
pub use ssh::SshOptions;

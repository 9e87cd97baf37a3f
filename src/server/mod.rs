//! The engine as a process of its own, so that a run outlives the window.
//!
//! [`serve`] is that process: it listens at a local socket of the user and serves one client at a time.
//! [`RemoteEngine`] is the client: it attaches to an engine that serves nobody, or starts one. [`LocalEngine`] is the
//! same thing without a process.
//!
//! Frames are JSON with its length in front (`frames`). While nobody listens the engine's events are dropped: what
//! matters stands in the run folder. A client that attaches is told what it needs to go on (`replay`).

mod address;
mod connection;
mod dispatch;
mod errors;
mod frames;
mod hub;
mod link;
mod local;
mod process;
mod remote;
mod replay;
mod serve;
mod work;

pub use address::Sockets;
pub use local::LocalEngine;
pub use remote::{RemoteEngine, RemoteOptions};
pub use serve::serve;

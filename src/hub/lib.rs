//! Models and datasets of a hub: found, looked at, fetched and published. No tensors, no windows.
//!
//! [`Hubs`] is all that clients use. A hub is one file in `hubs/` and one word in `hubs!`. Everything that goes over
//! the network goes through `http`, which knows how to try again, whose token goes where, and when to stop.
//!
//! The crate `hf-hub` serves for Hugging Face's search, facts, account and new repositories. Files are listed, fetched
//! and sent by our own code: its listing drops the hash of large files, its download can neither be stopped nor held
//! against that hash, and its upload puts large files into the commit itself where a hub does not offer Xet.

mod address;
mod cache;
mod choose;
mod environment;
mod fault;
mod http;
mod hubs;
mod push;
mod scan;
mod service;
mod stop;
mod tokens;
mod transfer;

pub use address::{parse, repo_of_snapshot};
pub use environment::Environment;
pub use hubs::{descriptors, ids};
pub use service::{Hubs, Job};
pub use stop::Stop;
pub use tokens::{MemoryStore, SecretStore, SystemKeyring, Tokens};
pub use transfer::{Patience, Progress};

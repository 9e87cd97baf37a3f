//! Models and datasets of a hub: found, looked at, fetched and published. No tensors, no windows.
//!
//! [`Hubs`] is all that clients use. A hub is one file in `hubs/` and one word in `hubs!`. Everything that goes over
//! the network goes through `http`, which knows how to try again, whose token goes where, and when to stop.
//!
//! The crate `hf-hub` says what Hugging Face's answers look like. The asking is our own: that crate keeps an answer of
//! any length in memory, drops the hash of large files from listings, and can neither stop a download nor hold it
//! against that hash.

mod address;
mod cache;
mod caller;
mod choose;
mod environment;
mod fault;
mod http;
mod hubs;
mod push;
mod scan;
mod service;
mod tokens;
mod transfer;

pub use address::{parse, repo_of_snapshot};
pub use caller::Caller;
pub use environment::Environment;
pub use hubs::{descriptors, ids};
pub use service::{Hubs, Job};
pub use tokens::{MemoryStore, SecretStore, SystemKeyring, Tokens};
pub use transfer::{Patience, Progress};

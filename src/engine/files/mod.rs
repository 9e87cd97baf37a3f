//! Files that are either whole or not there: atomic writing, hashes, checkpoints of a run, its lock.

mod atomic;
mod checkpoints;
mod hash;
mod lock;
mod manifest;
mod run_file;

pub(crate) use atomic::remove_leftovers;
pub use atomic::{AtomicDir, AtomicFile};
pub use checkpoints::{CheckpointStore, Recovered};
pub use data::space::{free_bytes, require_space, write_error};
pub use hash::{FileIdentity, identity_of_folder, sampled_identity, sha256_bytes, sha256_file};
pub use lock::RunLock;
pub use manifest::{FileEntry, MANIFEST_NAME, Manifest};
pub use run_file::{MAX_RUN_FILE_BYTES, STDIN, read_run_file};

//! Tensor files: reading a model folder of any layout, checking it, and writing safetensors.
//!
//! Reading maps the files; nothing is copied until a tensor is asked for, and then one tensor at a time.
//! All lengths and offsets of a file are checked against the file before anything is allocated.

mod check;
mod checkpoint;
mod dtype;
mod folder;
pub mod gguf;
mod header;
mod made;
mod mapping;
mod pairs;
mod params;
mod pickle;
mod quantised;
mod shards;
mod sink;
mod stored;
mod upload;

pub use check::Wanted;
pub use checkpoint::{Checkpoint, TensorInfo, open_file};
pub use dtype::{FileDtype, OutOfRange, convert, decode_f32, encode_f32};
pub use params::{params_bytes, put_floats, read_f32, write_params};
pub use pickle::{TorchTensor, write_torch};
pub use quantised::without_quantization;
pub use shards::{DEFAULT_SHARD_BYTES, Planned, ShardPlan, TensorSink, WrittenFile};
pub use upload::{StoredMatrix, load_tensor};

//! What is fuzzed: seeds, and the reading of a folder of files.

pub mod adapters;
pub mod configs;
pub mod gguf_models;
pub mod pickle;
pub mod quantised;
pub mod safetensors;
pub mod shards;

use engine::weights::{Checkpoint, FileDtype};
use protocol::Result;

/// What a config may lead to: the tensors of the most layers or experts that are read are declared, and listed where they
/// are missing.
pub const DECLARED: usize = 256 << 20;
/// Tensors that are read of one file: they may share their bytes.
const MOST_READ: usize = 64;

/// Everything that is asked of an accepted checkpoint.
fn read_tensors(checkpoint: &Checkpoint) -> Result<String> {
    let mut said = format!("{} tensors", checkpoint.names().count().min(9));
    for name in checkpoint.names().take(MOST_READ) {
        let info = checkpoint.info(name).unwrap();
        let (elements, dtype) = (info.elements(), info.dtype);
        said += &format!(" {dtype}{}", info.shape.len());
        assert_eq!(checkpoint.bytes(name)?.len(), info.byte_len(), "{name}");
        if !dtype.is_float() {
            assert!(checkpoint.read_f32(name).is_err());
            continue;
        }
        assert_eq!(checkpoint.read_f32(name)?.len(), elements, "{name}");
        let mut seen = 0;
        checkpoint.f32_chunks(name, 100, |chunk| {
            seen += chunk.len();
            Ok(())
        })?;
        assert_eq!(seen, elements, "{name}");
        let mut half = vec![0; elements * 2];
        if let Err(error) = checkpoint.convert_into(name, FileDtype::F16, &mut half) {
            assert!(error.what.en.contains("range"), "{error}");
        }
    }
    assert!(
        checkpoint.parameters()
            <= checkpoint.names().map(|name| checkpoint.info(name).unwrap().elements() as u64).sum()
    );
    assert!(checkpoint.files().count() > 0 && checkpoint.total_bytes() < u64::MAX);
    Ok(said)
}

/// A safetensors file from a header and data.
fn safetensors_file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

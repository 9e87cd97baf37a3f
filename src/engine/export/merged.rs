//! A whole model with the adapters merged in.

use std::path::Path;

use protocol::{Result, Text};

use super::{Job, ModelWriter, StoredAs, Target, model_bytes};

pub const TARGET: Target = Target {
    id: "merged",
    name: Text::fixed("Merged model", "合并后的模型"),
    help: Text::fixed(
        "A Hugging Face folder with the adapter merged in; tensors nobody changed stay as they are, byte for byte",
        "已合并适配器的 Hugging Face 文件夹；未改动的张量逐字节保持原样",
    ),
    write,
    bytes: |folder, request| model_bytes(folder, StoredAs::from_name(&request.dtype)?, request.shard_bytes),
    is_adapter: false,
    dtypes: &["keep", "bf16", "f16", "f32"],
};

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    let writer = ModelWriter {
        folder: job.folder,
        stored_as: job.stored_as,
        shard_bytes: job.shard_bytes,
        changed: &|id, value| job.merged(id, value),
        progress: job.progress,
        control: job.control,
    };
    let mut files = writer.write(dir)?;
    files.push(job.card.write(dir)?);
    Ok(files)
}

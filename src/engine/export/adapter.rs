//! The adapter alone, in PEFT's layout.

use std::path::Path;

use protocol::{Result, Text, UserError};

use super::{Job, Target, note_bytes};
use crate::methods::{Adapter, Member, adapter_bytes};

pub const TARGET: Target = Target {
    id: "adapter",
    name: Text::fixed("Adapter", "适配器"),
    help: Text::fixed("A PEFT folder: small, needs the base model", "PEFT 文件夹：体积小，需配合基础模型"),
    write,
    bytes: |folder, request| match request.model.adapters.as_slice() {
        [adapter] => Ok(adapter_bytes(folder.model(), adapter)? + note_bytes(request)?),
        _ => Err(one_adapter()),
    },
    is_adapter: true,
    dtypes: &[],
};

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    only_adapter(job)?.save(dir, &job.folder.dir.display().to_string())?;
    let note = job.note.write(dir)?;
    let card = job.card.write(dir)?;
    let files = ["adapter_config.json".into(), "adapter_model.safetensors".into(), card];
    Ok(files.into_iter().chain(note).collect())
}

/// # Errors
/// When there is none, or more than one.
pub(super) fn only_adapter<'a>(job: &Job<'a>) -> Result<&'a dyn Adapter> {
    match job.adapters {
        [Member { adapter, weight: 1.0 }] => Ok(adapter.as_ref()),
        _ => Err(one_adapter()),
    }
}

pub(super) fn one_adapter() -> UserError {
    UserError::bad_input(Text::fixed(
        "An adapter export takes exactly one adapter",
        "导出适配器时需要且只能指定一个适配器",
    ))
    .at_item("--adapter")
}

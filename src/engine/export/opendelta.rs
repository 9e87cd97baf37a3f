//! The adapter as OpenDelta has it, for CPM-Bee's own programs.

use std::path::Path;

use protocol::{Result, Text};

use super::adapter::{one_adapter, only_adapter};
use super::{Job, Target};
use crate::methods::{OPENDELTA_FILES, adapter_bytes, opendelta_from_peft};

pub const TARGET: Target = Target {
    id: "opendelta",
    name: Text::fixed("OpenDelta delta", "OpenDelta 增量"),
    help: Text::fixed(
        "LoRA as CPM-Bee's own programs load it: a state_dict of PyTorch and a config",
        "CPM-Bee 官方程序可加载的 LoRA：PyTorch state_dict 与配置",
    ),
    write,
    bytes: |folder, request| match request.model.adapters.as_slice() {
        [adapter] => adapter_bytes(folder.model(), adapter),
        _ => Err(one_adapter()),
    },
    is_adapter: true,
    dtypes: &[],
};

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    only_adapter(job)?.save(dir, &job.folder.dir.display().to_string())?;
    opendelta_from_peft(dir)?;
    let card = job.card.write(dir)?;
    Ok(OPENDELTA_FILES.map(String::from).into_iter().chain([card]).collect())
}

//! The adapter alone, in PEFT's layout.

use std::path::Path;

use protocol::{Result, Text, UserError};

use super::{Job, Target};

pub const TARGET: Target = Target {
    id: "adapter",
    name: Text::fixed("Adapter", "适配器"),
    help: Text::fixed("A PEFT folder: small, needs the base model", "PEFT 文件夹：体积小，需配合基础模型"),
    write,
    is_adapter: true,
};

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    let [adapter] = job.adapters else {
        return Err(UserError::bad_input(Text::fixed(
            "An adapter export takes exactly one adapter",
            "导出适配器时需要且只能指定一个适配器",
        ))
        .at_item("--adapter"));
    };
    adapter.save(dir, &job.folder.dir.display().to_string())?;
    let card = job.card.write(dir)?;
    Ok(vec!["adapter_config.json".into(), "adapter_model.safetensors".into(), card])
}

//! A prefix as ChatGLM's own programs have it.

use std::path::Path;

use protocol::{Result, Text};

use super::adapter::{one_adapter, only_adapter};
use super::{Job, Target, note_bytes};
use crate::methods::{CHATGLM_FILES, chatglm_bytes, chatglm_from_peft, require_chatglm};

pub const TARGET: Target = Target {
    id: "chatglm",
    name: Text::fixed("ChatGLM prefix", "ChatGLM 前缀"),
    help: Text::fixed(
        "P-tuning v2 as THUDM's `ptuning` scripts load it: pytorch_model.bin and a config with `pre_seq_len`",
        "THUDM 的 `ptuning` 脚本可加载的 P-tuning v2：pytorch_model.bin 与含 `pre_seq_len` 的配置",
    ),
    write,
    bytes: |folder, request| match request.model.adapters.as_slice() {
        [adapter] => Ok(chatglm_bytes(folder, adapter)? + note_bytes(request)?),
        _ => Err(one_adapter()),
    },
    is_adapter: true,
    dtypes: &[],
};

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    let adapter = only_adapter(job)?;
    require_chatglm(job.folder.model(), adapter.prefix().is_some())?;
    adapter.save(dir, &job.folder.dir.display().to_string())?;
    job.notes.borrow_mut().extend(chatglm_from_peft(dir, job.folder)?);
    let memory = job.note.write(dir)?;
    let card = job.card.write(dir)?;
    Ok(CHATGLM_FILES.map(String::from).into_iter().chain([card]).chain(memory).collect())
}

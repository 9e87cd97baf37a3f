//! PEFT's adapter folders: `adapter_config.json` and `adapter_model.safetensors`.
//! Facts: reference of PEFT 0.21, `tuners/lora/config.py`, `utils/save_and_load.py`.

use std::path::Path;

use burn::tensor::DType;
use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value as Json};

use super::lora::delta;
use crate::files::AtomicFile;
use crate::nn::{Param, ParamStore, Value};
use crate::weights::{Checkpoint, load_tensor, open_file, params_bytes, write_params};

pub const CONFIG: &str = "adapter_config.json";
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// The type of our own of bottleneck adapters, of which PEFT has none.
pub const BOTTLENECK: &str = "BOTTLENECK";
/// Files that tensors may be in: PEFT's, and AdapterHub's.
const WEIGHTS_FILES: [&str; 4] = [WEIGHTS, "adapter_model.bin", "adapter.safetensors", "pytorch_adapter.bin"];
/// PEFT's wrapper around the model, in front of every name.
pub const PREFIX: &str = "base_model.model.";

/// `peft_type` of an adapter folder.
pub fn adapter_type(dir: &Path) -> Result<String> {
    let config = read_config(dir)?;
    config.get("peft_type").and_then(Json::as_str).map(str::to_owned).ok_or_else(|| {
        UserError::bad_input(Text::fixed(
            "The adapter folder does not say its kind",
            "适配器文件夹没有说明其类型",
        ))
        .at_item("peft_type")
        .in_file(dir.join(CONFIG))
    })
}

pub fn read_config(dir: &Path) -> Result<Map<String, Json>> {
    if delta::is_delta(dir) {
        return delta::config(dir);
    }
    let file = dir.join(CONFIG);
    let bytes = std::fs::read(&file).map_err(|err| {
        UserError::io(Text::fixed("read the adapter's settings", "读取适配器设置"), &file, &err).mend(
            Text::fixed(
                "choose an adapter folder: one with adapter_config.json and adapter_model.safetensors",
                "请选择适配器文件夹：其中应有 adapter_config.json 和 adapter_model.safetensors",
            ),
        )
    })?;
    let config = serde_json::from_slice(&bytes).map_err(|err| {
        UserError::bad_input(text!(
            "The adapter's settings are not a JSON object: {err}",
            "适配器设置不是 JSON 对象：{err}"
        ))
        .in_file(&file)
    })?;
    Ok(with_type(config))
}

/// AdapterHub's configs have no type of PEFT's; those of bottleneck adapters name no architecture.
fn with_type(mut config: Map<String, Json>) -> Map<String, Json> {
    let Some(inner) = config.get("config").and_then(Json::as_object) else { return config };
    let word = inner.get("architecture").and_then(Json::as_str);
    let kind = word.map_or_else(|| BOTTLENECK.to_owned(), |word| format!("{word} (AdapterHub)"));
    config.entry("peft_type").or_insert_with(|| kind.into());
    config
}

/// A config with the base's path.
pub fn with_base(mut config: Map<String, Json>, base: &str) -> Map<String, Json> {
    config.insert("base_model_name_or_path".into(), base.into());
    config
}

/// What every config of PEFT has, with the settings of one type.
pub fn config_of(peft_type: &str, settings: Json) -> Map<String, Json> {
    let mut config = Map::new();
    for (key, value) in
        [("auto_mapping", Json::Null), ("modules_to_save", Json::Null), ("revision", Json::Null)]
    {
        config.insert(key.into(), value);
    }
    config.insert("inference_mode".into(), true.into());
    config.insert("peft_type".into(), peft_type.into());
    config.insert("task_type".into(), "CAUSAL_LM".into());
    if let Json::Object(settings) = settings {
        config.extend(settings);
    }
    config
}

/// The tensors of an adapter folder, or of a delta.
pub fn open_weights(dir: &Path) -> Result<Checkpoint> {
    if delta::is_delta(dir) {
        return delta::open(dir);
    }
    let found = WEIGHTS_FILES.iter().map(|name| dir.join(name)).find(|file| file.exists());
    open_file(&found.unwrap_or_else(|| dir.join(WEIGHTS)))
}

/// Writes both files. Tensors are stored in f32, in the order of the store.
pub fn write(
    dir: &Path,
    config: &Map<String, Json>,
    params: &ParamStore,
    name_of: &dyn Fn(&str) -> String,
) -> Result<()> {
    AtomicFile::write(&dir.join(CONFIG), &config_json(config))?;
    let tensors: Vec<(String, &Param)> =
        params.iter().map(|(_, param)| (name_of(&param.name), param)).collect();
    write_params(dir, "adapter_model", &tensors)
}

/// Removes those of a folder's files that are there: what another layout took the place of.
///
/// # Errors
/// When one cannot be removed.
pub fn discard(dir: &Path, names: &[&str]) -> Result<()> {
    for file in names.iter().map(|name| dir.join(name)).filter(|file| file.exists()) {
        std::fs::remove_file(&file)
            .map_err(|err| UserError::io(Text::fixed("tidy up", "清理文件"), &file, &err))?;
    }
    Ok(())
}

/// Bytes of the files that [`write`] makes, with [`PREFIX`] in front of every name.
pub fn bytes(config: &Map<String, Json>, params: &ParamStore) -> u64 {
    let names = params.iter().map(|(_, param)| (format!("{PREFIX}{}", param.name), param));
    let tensors: Vec<(String, &Param)> = names.collect();
    config_bytes(config) + params_bytes(&tensors)
}

/// Bytes of a config's file.
pub fn config_bytes(config: &Map<String, Json>) -> u64 {
    config_json(config).len() as u64
}

pub fn config_json(config: &Map<String, Json>) -> Vec<u8> {
    let mut sorted: Vec<_> = config.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    let sorted: Map<String, Json> =
        sorted.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_json::to_vec_pretty(&sorted).unwrap_or_default()
}

/// A stored tensor as a parameter's value, f32.
pub fn read_value(
    checkpoint: &Checkpoint,
    name: &str,
    shape: &[usize],
    device: &burn::tensor::Device,
) -> Result<Value> {
    Ok(match shape.len() {
        1 => Value::Vector(load_tensor::<1>(checkpoint, name, device, DType::F32)?),
        _ => Value::Matrix(load_tensor::<2>(checkpoint, name, device, DType::F32)?),
    })
}

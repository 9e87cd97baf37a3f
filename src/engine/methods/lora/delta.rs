//! LoRA files from before PEFT: OpenDelta's deltas (CPM-Bee's `--use-delta`: `….project_q.lora.lora_A`) and loralib's
//! (`….q.lora_A`). A `state_dict` saved by PyTorch, with at most a JSON beside it that says rank and alpha.
//! Facts: OpenDelta 0.3.2, `delta_models/lora.py`; loralib, `layers.py` and `utils.py`.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value as Json, json};

use crate::files::AtomicFile;
use crate::methods::peft::{self, PREFIX};
use crate::models::Model;
use crate::nn::SiteKind;
use crate::weights::{Checkpoint, open_file, write_torch};

/// What OpenDelta's `LoraModel` takes alpha to be.
const OPENDELTA_ALPHA: f64 = 16.0;
/// OpenDelta's names of a delta's two files.
pub const FILES: [&str; 2] = ["pytorch_model.bin", "config.json"];

/// Whether this is no folder of PEFT's but a delta: a file, or OpenDelta's folder.
pub fn is_delta(path: &Path) -> bool {
    path.is_file() || (!path.join(peft::CONFIG).exists() && settings_in(&path.join(FILES[1])).is_some())
}

/// The tensors of a delta.
pub fn open(path: &Path) -> Result<Checkpoint> {
    open_file(&if path.is_file() { path.to_owned() } else { path.join(FILES[0]) })
}

/// What PEFT's `adapter_config.json` would say of a delta.
///
/// # Errors
/// When the file cannot be read, is no LoRA, or nothing says what alpha it was made with.
pub fn config(path: &Path) -> Result<Map<String, Json>> {
    let weights = open(path)?;
    let settings = settings(path);
    let kind = settings.get("delta_type").and_then(Json::as_str).unwrap_or("lora");
    if kind != "lora" {
        return Err(UserError::bad_input(text!(
            "The delta is of type {kind}; only `lora` can be read",
            "该 delta 的类型是 {kind}，只能读取 `lora`"
        ))
        .at_item("delta_type")
        .in_file(path));
    }
    let said = |key: &str| settings.get(key).and_then(Json::as_f64);
    let alpha = said("lora_alpha").or_else(|| weights.names().any(of_opendelta).then_some(OPENDELTA_ALPHA));
    let rank = weights.names().find(|name| name.ends_with(".lora_A")).and_then(|name| weights.info(name));
    let rank = rank.and_then(|info| info.shape.first().copied()).unwrap_or(8);
    let config = json!({
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": alpha.ok_or_else(|| no_alpha(path))?,
        "lora_dropout": said("lora_dropout").unwrap_or(0.0),
        "enable_lora": settings.get("enable_lora"),
    });
    Ok(config.as_object().cloned().unwrap_or_default())
}

fn of_opendelta(name: &str) -> bool {
    name.ends_with(".lora.lora_A")
}

/// `delta.json` for `delta.pt`, or OpenDelta's `config.json` beside it.
fn settings(path: &Path) -> Map<String, Json> {
    let beside = |name: &str| path.parent().map(|folder| folder.join(name)).unwrap_or_default();
    let candidates: [PathBuf; 2] = match path.is_file() {
        true => [path.with_extension("json"), beside(FILES[1])],
        false => [path.join(FILES[1]), PathBuf::new()],
    };
    let own = fs::read(&candidates[0]).ok().filter(|_| path.is_file());
    let own = own.and_then(|bytes| serde_json::from_slice::<Map<String, Json>>(&bytes).ok());
    own.or_else(|| candidates.iter().find_map(|file| settings_in(file))).unwrap_or_default()
}

/// The settings in a file of OpenDelta's; a model's `config.json` is none.
fn settings_in(file: &Path) -> Option<Map<String, Json>> {
    let settings: Map<String, Json> = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    settings.contains_key("delta_type").then_some(settings)
}

fn no_alpha(path: &Path) -> UserError {
    let name = path.with_extension("json");
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    UserError::bad_input(Text::fixed(
        "This LoRA file does not say what alpha it was trained with",
        "该 LoRA 文件没有说明训练时的 alpha",
    ))
    .in_file(path)
    .mend(text!(
        "write a file `{name}` beside it: {{\"lora_alpha\": 16}} with the right number",
        "请在旁边写一个 `{name}` 文件：{{\"lora_alpha\": 16}}，填入正确的数值"
    ))
}

/// The name that PEFT would give a tensor of a delta; others as they are.
pub fn canonical(name: &str, model: &Model) -> String {
    if name.starts_with(PREFIX) {
        return name.to_owned();
    }
    for (end, plain, embedding) in [
        (".lora_A", ".lora_A.weight", ".lora_embedding_A"),
        (".lora_B", ".lora_B.weight", ".lora_embedding_B"),
    ] {
        let Some(path) = name.strip_suffix(end) else { continue };
        let path = path.strip_suffix(".lora").unwrap_or(path);
        let site = model.sites.iter().find(|site| same_path(&site.path, path));
        let end = if site.is_some_and(|site| site.kind == SiteKind::Embedding) { embedding } else { plain };
        return format!("{PREFIX}{}{end}", site.map_or(path, |site| &site.path));
    }
    let own = model.params.iter().find(|(_, param)| same_path(&param.name, name));
    format!("{PREFIX}{}", own.map_or(name, |(_, param)| &param.name))
}

/// Equal, but for a wrapper's name in front of one of them (`cpmbee.` of the port to transformers).
fn same_path(one: &str, other: &str) -> bool {
    let wrapper = |front: &str| front.find('.') == Some(front.len().wrapping_sub(1));
    let within = |long: &str, short: &str| long.strip_suffix(short).is_some_and(wrapper);
    one == other || within(one, other) || within(other, one)
}

/// Turns a folder of PEFT's files into OpenDelta's two.
///
/// # Errors
/// When the adapter has what OpenDelta does not, or a file cannot be written.
pub fn from_peft(dir: &Path) -> Result<()> {
    let config = peft::read_config(dir)?;
    let refused = ["use_dora", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern"];
    let set = |key: &&&str| match config.get(**key) {
        None | Some(Json::Null | Json::Bool(false)) => false,
        Some(Json::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    if let Some(key) = refused.iter().find(set) {
        return Err(UserError::bad_input(text!(
            "OpenDelta's files have no place for `{key}`",
            "OpenDelta 的文件无法表示 `{key}`"
        ))
        .at_item(*key)
        .mend(Text::fixed("export with `--to adapter`", "请使用 `--to adapter` 导出")));
    }
    let weights = peft::open_weights(dir)?;
    let tensors = weights.names().map(|name| {
        let shape = weights.info(name).map(|info| info.shape.to_vec()).unwrap_or_default();
        Ok((delta_name(name)?, shape, weights.read_f32(name)?))
    });
    let tensors = tensors.collect::<Result<Vec<_>>>()?;
    write_torch(&dir.join(FILES[0]), &tensors)?;
    AtomicFile::write(&dir.join(FILES[1]), &delta_config(&config))?;
    drop(weights);
    peft::discard(dir, &[peft::CONFIG, peft::WEIGHTS])
}

/// As OpenDelta numbers CPM-Bee's modules: without the wrapper of the port to transformers.
fn delta_name(name: &str) -> Result<String> {
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    let short = short.strip_prefix("cpmbee.").unwrap_or(short);
    let named = [(".lora_A.weight", ".lora.lora_A"), (".lora_B.weight", ".lora.lora_B")]
        .into_iter()
        .find_map(|(from, to)| Some(format!("{}{to}", short.strip_suffix(from)?)));
    named.ok_or_else(|| {
        UserError::bad_input(text!(
            "OpenDelta's LoRA has no place for {name}",
            "OpenDelta 的 LoRA 无法保存 {name}"
        ))
        .mend(Text::fixed("export with `--to adapter`", "请使用 `--to adapter` 导出"))
    })
}

/// The scale is always alpha / rank there.
fn delta_config(config: &Map<String, Json>) -> Vec<u8> {
    let number = |key: &str, default: f64| config.get(key).and_then(Json::as_f64).unwrap_or(default);
    let rank = number("r", 8.0);
    let rslora = config.get("use_rslora") == Some(&Json::Bool(true));
    let alpha = number("lora_alpha", OPENDELTA_ALPHA) * if rslora { rank.sqrt() } else { 1.0 };
    let whole = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
    let made = json!({
        "delta_type": "lora",
        "lora_r": whole(rank),
        "lora_alpha": whole(alpha),
        "lora_dropout": number("lora_dropout", 0.0),
        "modified_modules": config.get("target_modules"),
        "unfrozen_modules": ["deltas"],
        "common_structure": false,
    });
    serde_json::to_vec_pretty(&made).unwrap_or_default()
}

//! ChatGLM's own checkpoints of a prefix, as THUDM's `ptuning` scripts write and load them: a `state_dict` of what was
//! trained, and the model's config with the length of the prefix. Shapes: `PrefixEncoder` of `modeling_chatglm.py`.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde_json::json;

use super::{Front, PEFT_PREFIX, files};
use crate::files::AtomicFile;
use crate::methods::peft;
use crate::models::{Model, ModelFolder, PrefixPositions};
use crate::nn::ParamStore;
use crate::weights::{Checkpoint, TorchTensor, open_file, write_torch};

/// Names of the tensors begin so.
pub const CHATGLM_PREFIX: &str = "transformer.prefix_encoder.";
/// The files of a checkpoint.
pub const CHATGLM_FILES: [&str; 2] = ["pytorch_model.bin", "config.json"];
/// `model_type` of the families that have such checkpoints.
const MODEL_TYPE: &str = "chatglm";
const EMBEDDING: &str = "embedding.weight";

/// Whether a folder is a checkpoint: it has no config of PEFT's.
pub fn is_chatglm_checkpoint(dir: &Path) -> bool {
    let file = dir.join(CHATGLM_FILES[0]);
    !dir.join(peft::CONFIG).exists()
        && file.is_file()
        && open_file(&file).is_ok_and(|weights| weights.names().any(|name| name.starts_with(CHATGLM_PREFIX)))
}

/// Width of a projected prefix's embedding: that of the states in ChatGLM2 and 3, else that of the model (ChatGLM-6B,
/// and the authors' own code).
pub fn embedding_width(model: &Model, states: usize) -> usize {
    let second = model.family.prefix == PrefixPositions::Unshifted && model.decoder.takes_prompt();
    if second { states } else { model.info.hidden }
}

/// What ChatGLM's code declares, in its order: names without [`CHATGLM_PREFIX`], and shapes.
fn declared(model: &Model, [tokens, width]: [usize; 2], projected: bool) -> Vec<(&'static str, Vec<usize>)> {
    if !projected {
        return vec![(EMBEDDING, vec![tokens, width])];
    }
    let (inner, outer) = (model.info.hidden, embedding_width(model, width));
    vec![
        (EMBEDDING, vec![tokens, outer]),
        ("trans.0.weight", vec![inner, outer]),
        ("trans.0.bias", vec![inner]),
        ("trans.2.weight", vec![width, inner]),
        ("trans.2.bias", vec![width]),
    ]
}

/// ChatGLM's name of a tensor, which PEFT may call otherwise.
fn short_name(name: &str) -> String {
    let short = [CHATGLM_PREFIX, PEFT_PREFIX].iter().find_map(|prefix| name.strip_prefix(prefix));
    match short.unwrap_or(name) {
        files::STATES => EMBEDDING.to_owned(),
        short => short.replace("transform.", "trans."),
    }
}

/// A tensor's name and shape.
type Named = (String, Vec<usize>);

/// The tensors of a prefix in ChatGLM's order, with its names for them; None where its code would declare others.
fn arranged(model: &Model, found: &[Named]) -> Result<Option<Vec<(&'static str, Named)>>> {
    let width = Front::prefix(model)?.width(model);
    let of_name =
        |wanted: &str| found.iter().find(|(name, _)| short_name(name) == wanted).map(|(_, shape)| shape);
    let tokens = of_name(EMBEDDING).and_then(|shape| shape.first().copied()).unwrap_or(0);
    let wanted = declared(model, [tokens, width], found.len() > 1);
    let fits = wanted.len() == found.len()
        && wanted.iter().all(|(name, shape)| of_name(name).is_some_and(|found| found == shape));
    let named = |(wanted, shape): (&'static str, Vec<usize>)| {
        let (name, _) = found.iter().find(|(name, _)| short_name(name) == wanted)?;
        Some((wanted, (name.clone(), shape)))
    };
    Ok(if fits { wanted.into_iter().map(named).collect() } else { None })
}

/// # Errors
/// When THUDM's code could not load what an adapter of a model has.
pub fn require_chatglm(model: &Model, is_prefix: bool) -> Result<()> {
    let family = &model.family.name;
    let why = if !model.family.model_types.contains(&MODEL_TYPE) {
        text!(
            "{family} is no ChatGLM: there is no code of THUDM's that would load its prefix",
            "{family} 不是 ChatGLM：THUDM 没有可加载其前缀的代码"
        )
    } else if !is_prefix {
        Text::fixed(
            "ChatGLM's own code loads prefixes (P-tuning v2, prefix tuning) and no other adapters",
            "ChatGLM 官方代码只能加载前缀（P-tuning v2、前缀微调），不支持其他适配器",
        )
    } else if model.growth.is_some() {
        Text::fixed(
            "ChatGLM's checkpoint of a prefix has no place for new tokens",
            "ChatGLM 的前缀检查点无法保存新增词元",
        )
    } else {
        return Ok(());
    };
    Err(UserError::bad_input(why)
        .at_item("--to")
        .mend(Text::fixed("export with `--to adapter`", "请使用 `--to adapter` 导出")))
}

/// Turns the folder that a prefix was saved in into a checkpoint. Returns what the user should know of it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn from_peft(dir: &Path, folder: &ModelFolder) -> Result<Option<Text>> {
    let model = folder.model();
    let (tensors, note) = tensors(dir, model)?;
    write_torch(&dir.join(CHATGLM_FILES[0]), &tensors)?;
    let tokens = tensors.first().and_then(|(_, shape, _)| shape.first().copied()).unwrap_or(0);
    let config = config(folder, tokens, tensors.len() > 1);
    AtomicFile::write(&dir.join(CHATGLM_FILES[1]), &config)?;
    peft::discard(dir, &[peft::CONFIG, peft::WEIGHTS, files::ENCODER_FILE])?;
    Ok(note)
}

/// The model's config as THUDM's scripts save it beside a prefix.
fn config(folder: &ModelFolder, tokens: usize, projected: bool) -> Vec<u8> {
    let mut config = folder.config.raw().clone();
    config.insert("pre_seq_len".into(), json!(tokens));
    config.insert("prefix_projection".into(), json!(projected));
    serde_json::to_vec_pretty(&config).unwrap_or_default()
}

/// What made the states where ChatGLM's code has the same network, else the states themselves.
fn tensors(dir: &Path, model: &Model) -> Result<(Vec<TorchTensor>, Option<Text>)> {
    let weights = files::open(dir)?;
    if let Some(named) = arranged(model, &names(&weights))? {
        return Ok((read(&weights, named)?, None));
    }
    let states = peft::open_weights(dir)?;
    let named = arranged(model, &names(&states))?.ok_or_else(|| {
        UserError::failure(Text::fixed("The prefix has no states", "前缀没有状态")).in_file(dir)
    })?;
    let note = Text::fixed(
        "ChatGLM's code has no projection of this width: written are the keys and values that it makes, without it",
        "ChatGLM 的代码没有此宽度的投影：写入的是投影生成的键和值，不含投影本身",
    );
    Ok((read(&states, named)?, Some(note)))
}

fn names(weights: &Checkpoint) -> Vec<Named> {
    let shape = |name: &str| weights.info(name).map(|info| info.shape.to_vec()).unwrap_or_default();
    weights.names().map(|name| (name.to_owned(), shape(name))).collect()
}

fn read(weights: &Checkpoint, named: Vec<(&str, Named)>) -> Result<Vec<TorchTensor>> {
    let tensor = |(wanted, (name, shape)): (&str, Named)| {
        Ok((format!("{CHATGLM_PREFIX}{wanted}"), shape, weights.read_f32(&name)?))
    };
    named.into_iter().map(tensor).collect()
}

/// Bytes of the files that [`from_peft`] makes of a prefix's parameters, but for the archive's own (about a kilobyte).
///
/// # Errors
/// When the model cannot have a prefix.
pub fn checkpoint_bytes(params: &ParamStore, folder: &ModelFolder) -> Result<u64> {
    let found: Vec<Named> =
        params.iter().map(|(_, param)| (param.name.clone(), param.shape.clone())).collect();
    let model = folder.model();
    let width = Front::prefix(model)?.width(model);
    let of_embedding = found.iter().find(|(name, _)| short_name(name) == EMBEDDING);
    let tokens = of_embedding.and_then(|(_, shape)| shape.first().copied()).unwrap_or(0);
    let (elements, projected) = match arranged(model, &found)? {
        Some(_) => (params.elements(), found.len() > 1),
        None => ((tokens * width) as u64, false),
    };
    Ok(4 * elements + config(folder, tokens, projected).len() as u64)
}

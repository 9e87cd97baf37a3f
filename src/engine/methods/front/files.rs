//! Folders of soft prompts: PEFT's, which hold only the states that came out, and beside them what made these, without
//! which training could not go on. ChatGLM's own checkpoints hold what made them and no config.

use std::path::Path;

use burn::tensor::Tensor;
use protocol::Result;
use serde_json::{Map, Value as Json};

use super::chatglm::{CHATGLM_FILES, CHATGLM_PREFIX, is_chatglm_checkpoint};
use super::{Declare, Encoder, Front, FrontAdapter};
use crate::methods::parts::does_not_fit;
use crate::methods::peft;
use crate::models::Model;
use crate::nn::{Decay, Param, ParamStore, Pass, Positions, Space, Value};
use crate::weights::{Checkpoint, open_file, params_bytes, write_params};

/// PEFT's name of the states.
pub(super) const STATES: &str = "prompt_embeddings";
/// File with the encoder's own tensors, beside PEFT's.
pub(super) const ENCODER_FILE: &str = "encoder.safetensors";
/// Names of PEFT's encoder begin so, in memory.
pub const PEFT_PREFIX: &str = "prompt_encoder.";
/// More than any LSTM of a prompt has; counts of a file are not to be trusted.
const MOST_LAYERS: usize = 64;

/// How a method's folders are read onto a model.
pub struct Kind {
    pub front: fn(&Model) -> Result<Front>,
    /// `adapter_config.json` of a folder without one, for so many tokens.
    pub config: fn(&Model, usize) -> Map<String, Json>,
}

/// Writes an adapter folder.
pub fn save(adapter: &FrontAdapter, dir: &Path, base: &str) -> Result<()> {
    let mut states = ParamStore::new(Space::Adapter);
    let made = made(adapter);
    let mut param = Param::new(STATES, &made.dims(), Decay::Yes);
    param.value = Value::Matrix(made);
    states.declare(param);
    let config = peft::with_base(adapter.config.clone(), base);
    peft::write(dir, &config, &states, &|name| name.to_owned())?;
    if adapter.encoder.is_table()
        && adapter.params.iter().all(|(_, param)| param.name.starts_with(PEFT_PREFIX))
    {
        return Ok(());
    }
    let own: Vec<(String, &Param)> =
        adapter.params.iter().map(|(_, param)| (param.name.clone(), param)).collect();
    write_params(dir, ENCODER_FILE.trim_end_matches(".safetensors"), &own)
}

/// Bytes of the files that [`save`] makes, by a soft prompt's config; None for the config of another adapter.
pub fn bytes(config: &Map<String, Json>, params: &ParamStore) -> Option<u64> {
    let count = |key: &str| config.get(key).and_then(Json::as_u64).map(|count| count as usize);
    let layers = match config.get("peft_type").and_then(Json::as_str)? {
        "PREFIX_TUNING" => 2 * count("num_layers")?,
        "PROMPT_TUNING" | "P_TUNING" => 1,
        _ => return None,
    };
    let states =
        Param::new(STATES, &[count("num_virtual_tokens")?, layers * count("token_dim")?], Decay::Yes);
    let own: Vec<(String, &Param)> = params.iter().map(|(_, param)| (param.name.clone(), param)).collect();
    let beside = if own.len() == 1 && own[0].0.starts_with(PEFT_PREFIX) { 0 } else { params_bytes(&own) };
    Some(peft::config_bytes(config) + params_bytes(&[(STATES.to_owned(), &states)]) + beside)
}

/// The states that the encoder makes, `[tokens, width]`.
fn made(adapter: &FrontAdapter) -> Tensor<2> {
    let embedding = adapter.params.get(adapter.encoder.embedding()).value.flat();
    let positions = Positions::none(&embedding.device());
    adapter.encoder.states(&Pass {
        base: &adapter.params,
        adapter: Some(adapter),
        dtype: embedding.dtype(),
        positions: &positions,
        tape: None,
        prefix: None,
        cache: None,
        dropout: None,
        at: None,
    })
}

/// Reads an adapter folder onto a model.
///
/// # Errors
/// When a file is missing or does not fit the model.
pub fn load(dir: &Path, model: &Model, kind: &Kind) -> Result<FrontAdapter> {
    let (mut adapter, weights) = declared(dir, model, kind)?;
    for param in adapter.params.iter_mut() {
        let name = if weights.contains(STATES) { STATES } else { param.name.as_str() };
        param.value = peft::read_value(&weights, name, &param.shape, &model.device)?;
    }
    Ok(adapter)
}

/// The parameters of an adapter folder, by its headers.
///
/// # Errors
/// As [`load`].
pub fn shapes(dir: &Path, model: &Model, kind: &Kind) -> Result<ParamStore> {
    declared(dir, model, kind).map(|(adapter, _)| adapter.params)
}

/// `adapter_config.json` of a folder, made up where it has none.
///
/// # Errors
/// As [`load`].
pub fn config(dir: &Path, model: &Model, kind: &Kind) -> Result<Map<String, Json>> {
    declared(dir, model, kind).map(|(adapter, _)| adapter.config)
}

fn declared(dir: &Path, model: &Model, kind: &Kind) -> Result<(FrontAdapter, Checkpoint)> {
    let weights = open(dir)?;
    let front = (kind.front)(model)?;
    let mut params = ParamStore::new(Space::Adapter);
    let problem = |line: String| does_not_fit(dir, vec![line]);
    let (encoder, [tokens, width]) = encoder_of(&weights, &mut params).map_err(problem)?;
    if width != front.width(model) {
        let wanted = front.width(model);
        return Err(problem(format!("the states are {width} wide; this model needs {wanted}")));
    }
    let config =
        if dir.join(peft::CONFIG).exists() { peft::read_config(dir)? } else { (kind.config)(model, tokens) };
    Ok((FrontAdapter { params, encoder, front, tokens, dropout: 0.0, config }, weights))
}

/// What made the states if that is there, else the states.
///
/// # Errors
/// When there is neither.
pub(super) fn open(dir: &Path) -> Result<Checkpoint> {
    let encoder = dir.join(ENCODER_FILE);
    if encoder.is_file() {
        return open_file(&encoder);
    }
    if is_chatglm_checkpoint(dir) {
        return open_file(&dir.join(CHATGLM_FILES[0]));
    }
    peft::open_weights(dir)
}

/// The encoder that a file's tensors are of, with the size of its states; an error is a line for the user.
fn encoder_of(weights: &Checkpoint, params: &mut ParamStore) -> Result<(Encoder, [usize; 2]), String> {
    let matrix = |name: &str| match weights.info(name).map(|info| info.shape.to_vec()).as_deref() {
        Some([rows, columns]) if *rows > 0 && *columns > 0 => Some([*rows, *columns]),
        _ => None,
    };
    if let Some([tokens, width]) = matrix(STATES) {
        let table = Declare { params, prefix: PEFT_PREFIX }.table(tokens, width);
        return Ok((table, [tokens, width]));
    }
    let found = [PEFT_PREFIX, CHATGLM_PREFIX]
        .into_iter()
        .find_map(|prefix| Some((prefix, matrix(&format!("{prefix}embedding.weight"))?)));
    let (prefix, [tokens, width]) = found.ok_or_else(|| format!("{STATES} is missing"))?;
    let at = |name: &str| matrix(&format!("{prefix}{name}"));
    let mut declare = Declare { params, prefix };
    for maps in ["transform", "trans"] {
        if let (Some([inner, _]), Some([outputs, _])) =
            (at(&format!("{maps}.0.weight")), at(&format!("{maps}.2.weight")))
        {
            return Ok((declare.projected(maps, tokens, [width, inner, outputs]), [tokens, outputs]));
        }
    }
    let encoder = match (at("lstm_head.weight_hh_l0"), at("mlp_head.4.weight")) {
        (Some([_, inner]), _) => {
            let layers = (0..MOST_LAYERS)
                .take_while(|at_layer| at(&format!("lstm_head.weight_hh_l{at_layer}")).is_some());
            declare.lstm_and_mlp(tokens, width, inner, layers.count())
        }
        (None, Some([_, inner])) => declare.mlp(tokens, width, inner),
        (None, None) => declare.table(tokens, width),
    };
    Ok((encoder, [tokens, width]))
}

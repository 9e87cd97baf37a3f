//! Adapter folders whose tensors stand for parts, each by its name.

use std::path::Path;

use protocol::{Result, Text, UserError};
use serde_json::{Map, Value as Json};

use super::Parts;
use crate::methods::peft::{self, PREFIX};
use crate::models::Model;
use crate::nn::{ParamStore, Value};
use crate::weights::Checkpoint;

/// How a folder names its tensors: as PEFT does, or as AdapterHub, where each adapter has a name within them.
struct Naming {
    /// Between a module and its tensors, in place of ours.
    hub: Option<String>,
}

/// AdapterHub's place of an adapter's name, with ours.
const OURS: &str = ".adapters.default.";

impl Naming {
    fn of(config: &Map<String, Json>, weights: &Checkpoint) -> Self {
        let of_peft = weights.names().any(|name| name.starts_with(PREFIX));
        let name = config.get("name").and_then(Json::as_str).filter(|name| !of_peft && !name.is_empty());
        Self { hub: name.map(|name| format!(".adapters.{name}.")) }
    }

    /// The name in a model, without a wrapper's prefix.
    fn own(&self, stored: &str) -> Option<String> {
        match &self.hub {
            Some(theirs) => stored.contains(theirs).then(|| stored.replacen(theirs, OURS, 1)),
            None => stored.strip_prefix(PREFIX).map(str::to_owned),
        }
    }

    fn stored(&self, own: &str) -> String {
        match &self.hub {
            Some(theirs) => own.replacen(OURS, theirs, 1),
            None => format!("{PREFIX}{own}"),
        }
    }
}

/// A tensor of an adapter folder, as its header says.
pub struct Stored<'a> {
    /// Without a wrapper's prefix, and with our name of the adapter.
    pub name: &'a str,
    pub shape: &'a [usize],
}

/// Declares what a tensor stands for; an error is a line for the user.
pub type Declare = fn(&mut Parts, &Model, &Stored<'_>) -> Result<(), String>;

/// Reads an adapter folder onto a model. `empty` makes the parts of a config, which `declare` fills.
///
/// # Errors
/// When a tensor stands for nothing in this model, or has another shape: all at once.
pub fn read(
    dir: &Path,
    model: &Model,
    empty: fn(Map<String, Json>) -> Parts,
    declare: Declare,
) -> Result<Parts> {
    let (mut parts, weights) = declared(dir, model, empty, declare)?;
    let naming = Naming::of(&parts.config, &weights);
    for param in parts.params.iter_mut() {
        let name = naming.stored(&param.name);
        param.value = peft::read_value(&weights, &name, &param.shape, &model.device)?;
    }
    Ok(parts)
}

/// The parameters of an adapter folder, by its headers.
///
/// # Errors
/// As [`read`].
pub fn shapes(
    dir: &Path,
    model: &Model,
    empty: fn(Map<String, Json>) -> Parts,
    declare: Declare,
) -> Result<ParamStore> {
    declared(dir, model, empty, declare).map(|(parts, _)| parts.params)
}

fn declared(
    dir: &Path,
    model: &Model,
    empty: fn(Map<String, Json>) -> Parts,
    declare: Declare,
) -> Result<(Parts, Checkpoint)> {
    let weights = peft::open_weights(dir)?;
    let mut parts = empty(peft::read_config(dir)?);
    let naming = Naming::of(&parts.config, &weights);
    let mut problems = Vec::new();
    let mut names: Vec<&str> = weights.names().collect();
    names.sort_unstable();
    for full in names {
        let shape = weights.info(full).map(|info| info.shape.to_vec()).unwrap_or_default();
        let taken = match naming.own(full) {
            Some(name) => declare(&mut parts, model, &Stored { name: &name, shape: &shape }),
            None => Err(format!("{full}: not a name that PEFT gives")),
        };
        problems.extend(taken.err());
    }
    for (_, param) in parts.params.iter() {
        let found = weights.info(&naming.stored(&param.name)).map(|info| info.shape.to_vec());
        match found {
            Some(shape) if shape == param.shape => {}
            found => problems.push(format!("{}: wanted {:?}, got {found:?}", param.name, param.shape)),
        }
    }
    if parts.params.iter().next().is_none() && problems.is_empty() {
        problems.push("the file holds no tensor".into());
    }
    if problems.is_empty() { Ok((parts, weights)) } else { Err(does_not_fit(dir, problems)) }
}

/// An adapter that belongs to another model.
pub fn does_not_fit(dir: &Path, problems: Vec<String>) -> UserError {
    UserError::bad_input(Text::fixed("The adapter does not fit this model", "适配器与该模型不符"))
        .details(problems)
        .in_file(dir)
        .mend(Text::fixed("load it on the model it was made for", "请在制作它时所用的模型上加载"))
}

/// The number of a parameter that a part holds.
pub fn vector(params: &ParamStore, id: crate::nn::ParamId) -> Option<burn::tensor::Tensor<1>> {
    match &params.get(id).value {
        Value::Vector(vector) => Some(vector.clone()),
        Value::Matrix(matrix) => Some(matrix.clone().flatten(0, 1)),
        Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => None,
    }
}

/// A tensor that stands for the base's parameter of the same name.
pub fn declare_copy(parts: &mut Parts, model: &Model, stored: &Stored<'_>) -> Result<(), String> {
    let base = model.params.find(stored.name);
    let base = base.ok_or_else(|| format!("{}: this model has no such parameter", stored.name))?;
    parts.replace(model, base, stored.name.to_owned());
    Ok(())
}

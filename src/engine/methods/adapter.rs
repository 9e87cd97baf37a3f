//! What every kind of adapter can do.

use std::path::Path;

use protocol::{Result, Text, UserError};

use crate::nn::{AdapterView, ParamId, ParamStore, Value};

/// New parameters beside a frozen model.
pub trait Adapter: AdapterView {
    fn params_mut(&mut self) -> &mut ParamStore;

    /// The same adapter apart from this one. Values are shared until one of the two gets others.
    fn apart(&self) -> Box<dyn Adapter>;

    /// As layers see it.
    fn view(&self) -> &dyn AdapterView;

    /// Writes the files of an adapter folder (PEFT's layout) into `dir`. `base` is the path that
    /// `base_model_name_or_path` gets.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(&self, dir: &Path, base: &str) -> Result<()>;

    /// The base parameter with this adapter merged in, from its f32 value; None where the adapter
    /// changes nothing.
    fn merged(&self, base: ParamId, value: &Value) -> Option<Value>;

    /// Why it cannot become part of the base's own matrices; None where [`merged`](Self::merged) says all of it.
    fn not_mergeable(&self) -> Option<&Text> {
        None
    }

    /// Takes over the values of another adapter of the same shape.
    ///
    /// # Errors
    /// When parameters are missing or have other shapes: all at once.
    fn copy_from(&mut self, other: &dyn Adapter) -> Result<()> {
        copy_values(self.params_mut(), other.params())
    }
}

fn copy_values(to: &mut ParamStore, from: &ParamStore) -> Result<()> {
    refuse_mismatch(mismatches(to, from))?;
    for param in to.iter_mut() {
        if let Some(id) = from.find(&param.name) {
            param.value = from.get(id).value.clone();
        }
    }
    Ok(())
}

/// How the parameters of an adapter folder differ from those wanted, a line each.
pub(super) fn mismatches(wanted: &ParamStore, found: &ParamStore) -> Vec<String> {
    let mut problems = Vec::new();
    for (_, param) in found.iter().filter(|(_, param)| wanted.find(&param.name).is_none()) {
        problems.push(format!("{} is in the folder but not among the targets", param.name));
    }
    for (_, param) in wanted.iter() {
        match found.find(&param.name).map(|id| found.get(id)) {
            Some(source) if source.shape == param.shape => {}
            Some(source) => {
                problems.push(format!("{}: wanted {:?}, got {:?}", param.name, param.shape, source.shape));
            }
            None => problems.push(format!("{} is missing in the folder", param.name)),
        }
    }
    problems
}

/// # Errors
/// When there are mismatches: all at once.
pub(super) fn refuse_mismatch(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(UserError::bad_input(Text::fixed(
        "The adapter to continue from does not fit the settings",
        "作为起点的适配器与设置不符",
    ))
    .details(problems)
    .at_item("method.init_from")
    .mend(Text::fixed("use the rank and targets it was made with", "请使用制作该适配器时的秩和目标模块")))
}

//! What every kind of adapter can do.

use std::path::Path;

use protocol::Result;

use crate::nn::{AdapterView, ParamId, ParamStore, Value};

/// New parameters beside a frozen model.
pub trait Adapter: AdapterView {
    fn params_mut(&mut self) -> &mut ParamStore;

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

    /// Takes over the values of another adapter of the same shape.
    ///
    /// # Errors
    /// When parameters are missing or have other shapes: all at once.
    fn copy_from(&mut self, other: &dyn Adapter) -> Result<()> {
        copy_values(self.params_mut(), other.params())
    }
}

fn copy_values(to: &mut ParamStore, from: &ParamStore) -> Result<()> {
    use protocol::{Text, UserError};
    let mut problems = Vec::new();
    for (_, param) in from.iter().filter(|(_, param)| to.find(&param.name).is_none()) {
        problems.push(format!("{} is in the folder but not among the targets", param.name));
    }
    for param in to.iter_mut() {
        match from.find(&param.name).map(|id| from.get(id)) {
            Some(source) if source.shape == param.shape => param.value = source.value.clone(),
            Some(source) => {
                problems.push(format!("{}: wanted {:?}, got {:?}", param.name, param.shape, source.shape));
            }
            None => problems.push(format!("{} is missing in the folder", param.name)),
        }
    }
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

//! New tokens that an adapter brings to the model it is used on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Extension, Tokenizer};
use protocol::config::RowsTrained;
use protocol::{ModelRef, Result, Text, UserError};

use crate::models::{Growth, ModelFolder};

/// The tokens of adapters that act together; None where these are the model's own.
///
/// # Errors
/// When they were made with different ones, or a folder's vocabulary is damaged.
pub fn common_tokens(adapters: &[PathBuf]) -> Result<Option<Arc<Extension>>> {
    let mut all = adapters.iter().map(|dir| Extension::open(dir)).collect::<Result<Vec<_>>>()?.into_iter();
    let first = all.next().flatten();
    let record = first.as_ref().map(|first| &first.record);
    if all.any(|other| other.as_ref().map(|other| &other.record) != record) {
        return Err(UserError::bad_input(Text::fixed(
            "The adapters were made with different tokens and cannot act together",
            "这些适配器所用的词元不同，不能一起使用",
        ))
        .at_item("--adapter")
        .mend(Text::fixed("use one of them", "请只用其中一个")));
    }
    Ok(first.map(Arc::new))
}

/// The rows that such tokens need on a model whose files have `base_rows`.
///
/// # Errors
/// When they are not for this model.
pub fn growth_on(extension: Option<Arc<Extension>>, base_rows: usize) -> Result<Option<Arc<Growth>>> {
    let growth = |extension| Growth::new(extension, base_rows, RowsTrained::New).map(Arc::new);
    extension.map(growth).transpose()
}

/// The tokenizer of a model with an adapter on it.
///
/// # Errors
/// When one of the two has none that can be used.
pub fn tokenizer_with(model: &Path, adapter: Option<&PathBuf>) -> Result<Tokenizer> {
    match common_tokens(adapter.map(std::slice::from_ref).unwrap_or_default())? {
        Some(extension) => extension.tokenizer(model),
        None => Tokenizer::open(model),
    }
}

/// A model folder with rows for the tokens of the adapters on it, which act together.
///
/// # Errors
/// When the folder cannot be used, or the adapters were made with different tokens.
pub fn open_with_tokens(model: &ModelRef) -> Result<ModelFolder> {
    let mut folder = ModelFolder::open(&model.path, &model.overrides)?;
    folder.resize(growth_on(common_tokens(&model.adapters)?, folder.info.vocabulary)?)?;
    Ok(folder)
}

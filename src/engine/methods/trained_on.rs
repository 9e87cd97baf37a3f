//! What an adapter folder remembers of the model it was trained on, in a file of our own: PEFT's have no place for it,
//! and readers of PEFT's pass it by.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};

use crate::files::AtomicFile;
use crate::nn::Quantization;

const FILE: &str = "emberwright.json";
/// The file is a line.
const LONGEST: u64 = 1 << 16;

#[derive(Default, Serialize, Deserialize)]
struct TrainedOn {
    /// How the model's matrices were kept, as a run file says it.
    #[serde(default)]
    quantization: String,
}

/// Notes in an adapter folder how the model's matrices were kept; returns the file's name if there was anything to
/// note.
///
/// # Errors
/// When the file cannot be written.
pub fn note_quantization(dir: &Path, quantization: Option<Quantization>) -> Result<Option<String>> {
    let Some(quantization) = quantization else { return Ok(None) };
    let note = TrainedOn { quantization: quantization.name().into() };
    let json = serde_json::to_vec_pretty(&note)
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    AtomicFile::write(&dir.join(FILE), &json)?;
    Ok(Some(FILE.into()))
}

/// How the matrices of the model were kept that an adapter was trained on; None where nothing is noted.
///
/// # Errors
/// When the note is there and cannot be read.
pub fn noted_quantization(dir: &Path) -> Result<Option<Quantization>> {
    let file = dir.join(FILE);
    let Ok(metadata) = std::fs::metadata(&file) else { return Ok(None) };
    let bad = |why: String| {
        UserError::bad_input(text!("The adapter's note cannot be read: {why}", "无法读取适配器的附注：{why}"))
            .in_file(&file)
            .mend(Text::fixed("remove the file, or mend it", "请删除或修正该文件"))
    };
    if metadata.len() > LONGEST {
        return Err(bad(format!("{} bytes", metadata.len())));
    }
    let bytes = std::fs::read(&file).map_err(|err| {
        UserError::io(Text::fixed("read the adapter's note", "读取适配器附注"), &file, &err)
    })?;
    let note: TrainedOn = serde_json::from_slice(&bytes).map_err(|err| bad(err.to_string()))?;
    Quantization::from_name(&note.quantization).map_err(|err| err.in_file(&file))
}

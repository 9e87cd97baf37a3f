//! What an adapter folder remembers of its training, in a file of our own: PEFT's have no place for it, and readers of
//! PEFT's pass it by.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDateTime;
use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};

use crate::files::AtomicFile;
use crate::nn::Quantization;

const FILE: &str = "emberwright.json";
/// Templates are the longest of it; they have 1 MiB at most.
const LONGEST: u64 = 4 << 20;

/// What an adapter was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// How the model's matrices were kept, as a run file says it; empty: as they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub quantization: String,
    /// How rows became prompts. None in folders of earlier versions and of other programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptNote>,
}

/// How a run made prompts of rows, without any file of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptNote {
    /// Id of a dataset format; never `auto`.
    pub format: String,
    /// As in the run file.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// As a run file may say it: a preset, the template itself, or `auto`.
    pub template: String,
    #[serde(default)]
    pub source_prefix: String,
    /// What the columns of the first row were called: they tell which of the format's own names were used.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What a template that writes the date was told.
    pub now: NaiveDateTime,
}

impl TrainedOn {
    /// Writes the note into an adapter folder; returns the file's name if there was anything to note.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<Option<String>> {
        let json = self.json()?;
        if json.is_empty() {
            return Ok(None);
        }
        AtomicFile::write(&dir.join(FILE), &json)?;
        Ok(Some(FILE.into()))
    }

    /// Bytes that [`write`](Self::write) writes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn bytes(&self) -> Result<u64> {
        Ok(self.json()?.len() as u64)
    }

    /// Empty where there is nothing to note.
    fn json(&self) -> Result<Vec<u8>> {
        if *self == Self::default() {
            return Ok(Vec::new());
        }
        serde_json::to_vec_pretty(self)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))
    }

    /// The note of a folder; empty where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = dir.join(FILE);
        let Ok(metadata) = std::fs::metadata(&file) else { return Ok(Self::default()) };
        let bad = |why: String| {
            UserError::bad_input(text!(
                "The adapter's note cannot be read: {why}",
                "无法读取适配器的附注：{why}"
            ))
            .in_file(&file)
            .mend(Text::fixed("remove the file, or mend it", "请删除或修正该文件"))
        };
        if metadata.len() > LONGEST {
            return Err(bad(format!("{} bytes", metadata.len())));
        }
        let bytes = std::fs::read(&file).map_err(|err| {
            UserError::io(Text::fixed("read the adapter's note", "读取适配器附注"), &file, &err)
        })?;
        serde_json::from_slice(&bytes).map_err(|err| bad(err.to_string()))
    }

    /// How the matrices of the model were kept; None where nothing is noted.
    ///
    /// # Errors
    /// When there is no such way.
    pub fn quantization(&self, dir: &Path) -> Result<Option<Quantization>> {
        Quantization::from_name(&self.quantization).map_err(|err| err.in_file(dir.join(FILE)))
    }
}

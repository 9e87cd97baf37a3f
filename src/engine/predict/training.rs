//! How the rows were read that an adapter or a model learned from: its run's folder is where it lies, and an adapter that
//! went elsewhere has a note of it.

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use data::formats::{Choice, Format, choose};
use data::sources::{self, Row, RowSource, RowValue};
use protocol::config::DataConfig;
use protocol::{ModelRef, Result, Text};
use serde_json::Value;

use crate::methods::{PromptNote, TrainedOn};
use crate::train::{PlanFile, RunFolder};

/// Folders above an adapter in which its run's plan is looked for: `adapter/`, `checkpoints/step-N/adapter/`.
const ABOVE: usize = 4;
/// How much of a training file its format is told by.
const HEAD_BYTES: u64 = 1 << 20;

/// The run that made a model or adapter.
pub struct Training {
    /// Its folder, or the adapter's that has a note of it.
    pub dir: PathBuf,
    pub data: DataConfig,
    /// What relative paths of its run file are relative to.
    pub base: PathBuf,
    /// What its template was told of the time.
    pub now: NaiveDateTime,
    /// Of a note: what the columns of its rows were called.
    fields: Option<Vec<String>>,
}

impl Training {
    /// The run of the first adapter, or of the model where there is none; None where it lies in no run's folder and has no
    /// note of it.
    ///
    /// # Errors
    /// When the run's plan or the note is there and cannot be read.
    pub fn of(model: &ModelRef) -> Result<Option<Self>> {
        let made = model.adapters.first().unwrap_or(&model.path);
        let note = TrainedOn::read(made)?.prompt;
        let dir = made.ancestors().take(ABOVE).find(|dir| RunFolder::is_one(dir));
        let Some(dir) = dir.map(Path::to_path_buf) else {
            return Ok(note.map(|note| Self::noted(made, note)));
        };
        let (_, PlanFile { config, base, now, .. }) = RunFolder::open(&dir)?;
        // An adapter of another run that was only put there.
        if let Some(note) = note.filter(|note| note.now != now) {
            return Ok(Some(Self::noted(made, note)));
        }
        Ok(Some(Self { dir, data: config.data, base, now, fields: None }))
    }

    fn noted(dir: &Path, note: PromptNote) -> Self {
        let PromptNote { format, columns, template, source_prefix, fields, now } = note;
        let data = DataConfig { format, columns, template, source_prefix, ..DataConfig::default() };
        Self { dir: dir.to_path_buf(), data, base: PathBuf::new(), now, fields: Some(fields) }
    }

    /// The format of its first file and a row of it, while that file is there; for `auto` the file tells.
    pub fn format(&self) -> Option<(&'static Format, Text, Option<Row>)> {
        let reason = Text::fixed("as in training", "与训练时相同");
        if let Some(fields) = &self.fields {
            return Some((Format::find(&self.data.format)?, reason, Some(row_of(fields, &self.dir))));
        }
        let file = self.base.join(self.data.train.first()?);
        let source = sources::open_head(&file, HEAD_BYTES).ok()?;
        let Choice { format, .. } = choose(&self.data.format, &self.data.columns, source.as_ref()).ok()?;
        Some((format, reason, first_row(source.as_ref())))
    }
}

fn first_row(source: &dyn RowSource) -> Option<Row> {
    if source.is_empty() { None } else { source.get(0).ok() }
}

/// A row of which only the names are known.
fn row_of(fields: &[String], dir: &Path) -> Row {
    let value = RowValue::Object(fields.iter().map(|name| (name.clone(), Value::Null)).collect());
    Row { value, file: dir.into(), row: 1, offset: 0 }
}

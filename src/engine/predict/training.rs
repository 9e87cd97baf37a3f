//! How the rows were read that an adapter or a model learned from: its run's folder is where it lies.

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use data::formats::{Choice, Format, choose};
use data::sources::{self, Row, RowSource};
use protocol::config::DataConfig;
use protocol::{ModelRef, Result, Text};

use crate::train::{PlanFile, RunFolder};

/// Folders above an adapter in which its run's plan is looked for: `adapter/`, `checkpoints/step-N/adapter/`.
const ABOVE: usize = 4;
/// How much of a training file its format is told by.
const HEAD_BYTES: u64 = 1 << 20;

/// The run that made a model or adapter.
pub struct Training {
    pub dir: PathBuf,
    pub data: DataConfig,
    /// What relative paths of its run file are relative to.
    pub base: PathBuf,
    /// What its template was told of the time.
    pub now: NaiveDateTime,
}

impl Training {
    /// The run of the first adapter, or of the model where there is none; None where it lies in no run's folder.
    ///
    /// # Errors
    /// When the run's plan is there and cannot be read.
    pub fn of(model: &ModelRef) -> Result<Option<Self>> {
        let made = model.adapters.first().unwrap_or(&model.path);
        let dir = made.ancestors().take(ABOVE).find(|dir| RunFolder::is_one(dir));
        let Some(dir) = dir.map(Path::to_path_buf) else { return Ok(None) };
        let (_, PlanFile { config, base, now, .. }) = RunFolder::open(&dir)?;
        Ok(Some(Self { dir, data: config.data, base, now }))
    }

    /// The format of its first file and a row of it, while that file is there; for `auto` the file tells.
    pub fn format(&self) -> Option<(&'static Format, Text, Option<Row>)> {
        let file = self.base.join(self.data.train.first()?);
        let source = sources::open_head(&file, HEAD_BYTES).ok()?;
        let Choice { format, .. } = choose(&self.data.format, &self.data.columns, source.as_ref()).ok()?;
        let reason = Text::fixed("as in training", "与训练时相同");
        Some((format, reason, first_row(source.as_ref())))
    }
}

fn first_row(source: &dyn RowSource) -> Option<Row> {
    if source.is_empty() { None } else { source.get(0).ok() }
}

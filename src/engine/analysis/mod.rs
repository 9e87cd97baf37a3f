//! What a model says of a dataset: how much an instruction helps it to an answer (IFD), which rows are unlike one another,
//! and how hard each token of a row is. And the file that a filter keeps.

mod diverse;
mod filtered;
mod ifd;
mod losses;

pub use diverse::{diverse, k_center};
pub use filtered::{Outputs, write};
pub use ifd::{Behind, ifd};
pub use losses::losses;

use protocol::{Result, RunConfig, UserError};

use crate::generate::{Refused, Scoring};

/// Rows that are made into tokens at once, before they are sorted by length.
const WINDOW: usize = 2048;

/// What asks, and who hears how far it is: rows done of all.
pub struct Asking<'a> {
    pub scoring: Scoring<'a>,
    pub told: &'a mut dyn FnMut(u64, u64),
}

/// The model that a run file names, with the adapter that the run would go on from.
pub fn model_of(config: &RunConfig) -> protocol::ModelRef {
    let from = Some(&config.method.init_from).filter(|path| !path.as_os_str().is_empty());
    protocol::ModelRef {
        path: config.model.path.clone(),
        adapters: from.into_iter().cloned().collect(),
        dtype: config.model.dtype.clone(),
        quantization: config.model.quantization.clone(),
        overrides: config.model.overrides.clone(),
        ..protocol::ModelRef::default()
    }
}

/// Stopped by the user.
fn stopped() -> UserError {
    UserError::failure(protocol::Text::fixed("The analysis was stopped", "分析已中止"))
}

/// What was scored, or why not; `rows` are the rows (1-based) of what was asked.
fn scored<T>(found: std::result::Result<Option<T>, Refused>, rows: &[u64]) -> Result<T> {
    let found = found.map_err(|refused| match refused.row.and_then(|row| rows.get(row)) {
        Some(row) => refused.error.at_row(*row),
        None => refused.error,
    });
    found?.ok_or_else(stopped)
}

//! The figures: line by line, those that are ours and in order.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use protocol::{Result, Text, UserError};

use super::is_plain;
use crate::files::{AtomicFile, write_error};
use crate::runs;

/// What was taken of the figures.
#[derive(Default)]
pub struct Figures {
    pub last_step: u64,
    pub evals: u64,
    pub left_out: u64,
}

/// Writes the lines of the figures again that are ours, and in order.
///
/// # Errors
/// When the figures cannot be read, or the disk is full.
pub fn figures(from: &Path, to: &Path, total_steps: u64) -> Result<Figures> {
    let mut taken = Figures::default();
    let path = from.join(runs::METRICS_FILE);
    if !is_plain(&path) {
        return Ok(taken);
    }
    let target = to.join(runs::METRICS_FILE);
    let mut file = AtomicFile::create(&target)?;
    let mut written = BufWriter::new(file.file());
    let mut put = |line: &protocol::MetricsLine| -> Result<()> {
        let mut json = serde_json::to_vec(line)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        json.push(b'\n');
        written.write_all(&json).map_err(|err| write_error(&target, 0, &err))
    };
    runs::each_line(from, |line| {
        let (step, is_step) = match &line {
            Some(protocol::MetricsLine::Step(step)) => (step.step, true),
            Some(protocol::MetricsLine::Eval { eval, .. }) => (eval.step, false),
            Some(protocol::MetricsLine::Sample { sample, .. }) => (sample.step, false),
            None => (0, true),
        };
        let in_order = if is_step { step == taken.last_step + 1 } else { step == taken.last_step };
        match line.filter(|_| in_order && step <= total_steps) {
            Some(line) => {
                taken.last_step = step;
                taken.evals += u64::from(matches!(line, protocol::MetricsLine::Eval { .. }));
                put(&line)
            }
            None => {
                taken.left_out += 1;
                Ok(())
            }
        }
    })?;
    written.flush().map_err(|err| write_error(&target, 0, &err))?;
    drop(written);
    file.commit()?;
    Ok(taken)
}

//! `metrics.jsonl`: one line an optimizer step, and a line an evaluation.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use protocol::{MetricsLine, Result, Text, UserError};

use crate::files::AtomicFile;

/// The open file. Every line is written at once, so that a killed run loses none.
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run that goes on after `step`: later lines, written by a session that was
    /// killed, will be written again and are taken out.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(dir: &Path, step: u64) -> Result<Self> {
        let path = dir.join("metrics.jsonl");
        if path.exists() {
            let kept = lines_up_to(&path, step)?;
            AtomicFile::write(&path, kept.as_bytes())?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|err| UserError::io(Text::fixed("write the metrics", "写入训练记录"), &path, &err))?;
        Ok(Self { path, file })
    }

    /// # Errors
    /// When the disk is full or the file is gone.
    pub fn write(&mut self, line: &MetricsLine) -> Result<()> {
        let mut json = serde_json::to_vec(line)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        json.push(b'\n');
        self.file
            .write_all(&json)
            .map_err(|err| UserError::io(Text::fixed("write the metrics", "写入训练记录"), &self.path, &err))
    }
}

fn lines_up_to(path: &Path, step: u64) -> Result<String> {
    let file = File::open(path)
        .map_err(|err| UserError::io(Text::fixed("read the metrics", "读取训练记录"), path, &err))?;
    let mut kept = String::new();
    for line in BufReader::new(file).lines().map_while(|line| line.ok()) {
        let number = match serde_json::from_str(&line) {
            Ok(MetricsLine::Eval { eval, .. }) => eval.step,
            Ok(MetricsLine::Step(metrics)) => metrics.step,
            // A line that a killed session left half-written.
            Err(_) => continue,
        };
        if number <= step {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::StepMetrics;

    fn line(step: u64) -> MetricsLine {
        StepMetrics { step, epoch: 0.0, tokens: 1, loss: 1.0, lr: 0.0, grad_norm: 0.0, tokens_per_s: 0.0, mem_bytes: 0, skipped: false }
            .into()
    }

    #[test]
    fn lines_after_the_checkpoint_and_half_lines_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(dir.path(), 0).unwrap();
        for step in 1..=5 {
            log.write(&line(step)).unwrap();
        }
        log.file.write_all(b"{\"step\": 6, \"ep").unwrap();
        drop(log);
        let mut log = MetricsLog::open(dir.path(), 3).unwrap();
        log.write(&line(4)).unwrap();
        let text = std::fs::read_to_string(dir.path().join("metrics.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 4);
    }
}

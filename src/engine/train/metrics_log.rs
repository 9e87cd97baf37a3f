//! `metrics.jsonl`: one line an optimizer step, and a line an evaluation or a sample.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use protocol::{MetricsLine, Result, Text, UserError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::files::AtomicFile;

/// The open file. Every line is written at once, so that a killed run loses none.
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run that goes on after `step`, whose own evaluation was `evaluated` or is still to
    /// come: later lines, written by a session that was killed, will be written again and are taken out.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(dir: &Path, step: u64, evaluated: bool) -> Result<Self> {
        let path = dir.join("metrics.jsonl");
        if path.exists() {
            let kept = lines_up_to(&path, step, evaluated)?;
            AtomicFile::write(&path, kept.as_bytes())?;
        }
        let file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(|err| {
                UserError::io(Text::fixed("write the metrics", "写入训练记录"), &path, &err)
            })?;
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

/// What decides whether a line stays. Its figures may be `null`: JSON has no word for what is not finite.
#[derive(Deserialize)]
struct Mark {
    step: u64,
    kind: Option<IgnoredAny>,
}

fn lines_up_to(path: &Path, step: u64, evaluated: bool) -> Result<String> {
    let file = File::open(path)
        .map_err(|err| UserError::io(Text::fixed("read the metrics", "读取训练记录"), path, &err))?;
    let stays = |mark: &Mark| mark.step < step || (mark.step == step && (evaluated || mark.kind.is_none()));
    let mut kept = String::new();
    for line in BufReader::new(file).lines().map_while(|line| line.ok()) {
        // What cannot be read was left half-written by a killed session.
        if serde_json::from_str(&line).is_ok_and(|mark| stays(&mark)) {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{EvalMetrics, SampleMetrics, StepMetrics};

    fn line(step: u64, loss: f64) -> MetricsLine {
        let skipped = !loss.is_finite();
        StepMetrics {
            step,
            epoch: 0.0,
            tokens: 1,
            loss,
            lr: 0.0,
            grad_norm: 0.0,
            loss_scale: None,
            tokens_per_s: 0.0,
            mem_bytes: 0,
            seconds: 0.0,
            phases: None,
            skipped,
        }
        .into()
    }

    fn steps(dir: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str::<Mark>(line).unwrap().step).collect()
    }

    #[test]
    fn lines_after_the_checkpoint_and_half_lines_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(dir.path(), 0, true).unwrap();
        for step in 1..=5 {
            log.write(&line(step, 1.0)).unwrap();
        }
        log.file.write_all(b"{\"step\": 6, \"ep").unwrap();
        drop(log);
        let mut log = MetricsLog::open(dir.path(), 3, true).unwrap();
        log.write(&line(4, 1.0)).unwrap();
        assert_eq!(steps(dir.path()), [1, 2, 3, 4]);
    }

    #[test]
    fn lines_of_skipped_steps_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(dir.path(), 0, true).unwrap();
        for loss in [1.0, f64::NAN, f64::INFINITY] {
            let step = steps(dir.path()).len() as u64 + 1;
            log.write(&line(step, loss)).unwrap();
        }
        drop(MetricsLog::open(dir.path(), 2, true).unwrap());
        assert_eq!(steps(dir.path()), [1, 2]);
    }

    #[test]
    fn an_evaluation_that_will_be_repeated_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(dir.path(), 0, true).unwrap();
        log.write(&line(1, 1.0)).unwrap();
        let eval = EvalMetrics { step: 1, epoch: 0.0, eval_loss: 1.0, eval_tokens: 1, best: true };
        log.write(&eval.into()).unwrap();
        let sample = SampleMetrics { step: 1, prompt: "a".into(), answer: "b".into() };
        log.write(&sample.into()).unwrap();
        drop(MetricsLog::open(dir.path(), 1, true).unwrap());
        assert_eq!(steps(dir.path()), [1, 1, 1]);
        drop(MetricsLog::open(dir.path(), 1, false).unwrap());
        assert_eq!(steps(dir.path()), [1]);
    }
}

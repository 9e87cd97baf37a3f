//! `metrics.jsonl`: a digest for a list, or the whole of it in parts.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use protocol::{EvalMetrics, MetricsLine, Result, SampleMetrics, StepMetrics, Text, UserError};

use super::lines::Lines;

/// Its name in a run's folder.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Points of a sparkline.
const CURVE: u64 = 64;
/// Steps of a part.
const PART: usize = 10_000;
const BUFFER: usize = 1 << 20;

/// What a list says of a run's figures.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    pub last: Option<StepMetrics>,
    pub last_eval: Option<EvalMetrics>,
    pub best_eval: Option<EvalMetrics>,
    pub curve: Vec<(u64, f64)>,
}

/// Some of a run's history.
#[derive(Debug, Default)]
pub struct Part {
    pub steps: Vec<StepMetrics>,
    pub evals: Vec<EvalMetrics>,
    pub samples: Vec<SampleMetrics>,
}

/// Reads every evaluation and, of the steps, as many as a sparkline has points, evenly over the file. A run that
/// has written nothing yet has an empty digest; so has one whose file cannot be read.
pub fn digest(run: &Path) -> Digest {
    let mut digest = Digest::default();
    if let Err(err) = fill(&mut digest, &run.join(METRICS_FILE))
        && err.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("the metrics of {} cannot be read: {err}", run.display());
    }
    digest
}

fn fill(digest: &mut Digest, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER, file));
    // One point is the last step's own.
    let points = CURVE - 1;
    let mut wanted = 0;
    let mut last = Vec::new();
    while let Some((start, line)) = lines.next_line()? {
        if !is_step(line) {
            if let Some(MetricsLine::Eval { eval, .. }) = parse(line) {
                digest.evaluated(eval);
            }
            continue;
        }
        // A half-written line at the end must not hide the one before it.
        if line.ends_with(b"}") {
            last.clear();
            last.extend_from_slice(line);
        }
        if start >= size / points * wanted
            && let Some(MetricsLine::Step(step)) = parse(line)
            && digest.point(&step)
        {
            wanted = start.checked_div(size / points).unwrap_or(wanted) + 1;
        }
    }
    if let Some(MetricsLine::Step(step)) = parse(&last) {
        digest.point(&step);
        digest.last = Some(step);
    }
    Ok(())
}

impl Digest {
    fn evaluated(&mut self, eval: EvalMetrics) {
        if self.best_eval.as_ref().is_none_or(|best| eval.eval_loss < best.eval_loss)
            && eval.eval_loss.is_finite()
        {
            self.best_eval = Some(eval.clone());
        }
        self.last_eval = Some(eval);
    }

    /// Whether the step became a point of the curve.
    fn point(&mut self, step: &StepMetrics) -> bool {
        let fits = (self.curve.len() as u64) < CURVE && step.loss.is_finite();
        let new = self.curve.last().is_none_or(|(last, _)| *last < step.step);
        if fits && new {
            self.curve.push((step.step, step.loss));
        }
        fits && new
    }
}

/// Reads the whole history and gives it to `take` in parts; returns the last one. A line that cannot be read (the one
/// that is being written) is left out.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(run: &Path, mut take: impl FnMut(Part)) -> Result<Part> {
    let path = run.join(METRICS_FILE);
    let reading =
        |err: &io::Error| UserError::io(Text::fixed("read the metrics", "读取训练记录"), &path, err);
    let mut part = Part::default();
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(part),
        Err(err) => return Err(reading(&err)),
    };
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER, file));
    while let Some((_, line)) = lines.next_line().map_err(|err| reading(&err))? {
        match parse(line) {
            Some(MetricsLine::Step(step)) => part.steps.push(step),
            Some(MetricsLine::Eval { eval, .. }) => part.evals.push(eval),
            Some(MetricsLine::Sample { sample, .. }) => part.samples.push(sample),
            None => {}
        }
        if part.steps.len() == PART {
            take(std::mem::take(&mut part));
        }
    }
    Ok(part)
}

/// Gives every line of a run's figures to `take`: None for one that is none.
///
/// # Errors
/// When the file cannot be read, and what `take` returns.
pub fn each_line(run: &Path, mut take: impl FnMut(Option<MetricsLine>) -> Result<()>) -> Result<()> {
    let path = run.join(METRICS_FILE);
    let reading =
        |err: &io::Error| UserError::io(Text::fixed("read the metrics", "读取训练记录"), &path, err);
    let file = File::open(&path).map_err(|err| reading(&err))?;
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER, file));
    while let Some((_, line)) = lines.next_line().map_err(|err| reading(&err))? {
        take(parse(line))?;
    }
    Ok(())
}

/// Only lines of steps carry no kind, and ours write it first.
fn is_step(line: &[u8]) -> bool {
    !line.starts_with(b"{\"kind\"")
}

fn parse(line: &[u8]) -> Option<MetricsLine> {
    // Nearly all lines are steps, and trying every kind in turn costs several times as much.
    if is_step(line)
        && let Ok(step) = serde_json::from_slice(line)
    {
        return Some(MetricsLine::Step(step));
    }
    serde_json::from_slice(line).ok()
}

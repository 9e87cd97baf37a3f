//! What a run recorded, in order of steps.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{EvalMetrics, RunReport, SampleMetrics, StepMetrics};

/// How many histories there have been.
static HISTORIES: AtomicU64 = AtomicU64::new(0);

/// Figures of a run. Grows at its end; whatever else happens to it raises [`History::revision`], so that what is
/// derived from it step by step knows when to begin anew.
#[derive(Debug)]
pub struct History {
    pub steps: Vec<StepMetrics>,
    pub evals: Vec<EvalMetrics>,
    pub samples: Vec<SampleMetrics>,
    /// Steps with a checkpoint, ascending.
    pub saved: Vec<u64>,
    /// Step and factor of each change of the learning rate by hand.
    pub rate_changes: Vec<(u64, f64)>,
    number: u64,
    revision: u64,
}

impl Default for History {
    fn default() -> Self {
        let number = HISTORIES.fetch_add(1, Ordering::Relaxed);
        Self {
            steps: Vec::new(),
            evals: Vec::new(),
            samples: Vec::new(),
            saved: Vec::new(),
            rate_changes: Vec::new(),
            number,
            revision: 0,
        }
    }
}

impl History {
    /// Other numbers mean: it is another history, or something before its end changed.
    pub fn revision(&self) -> (u64, u64) {
        (self.number, self.revision)
    }

    /// Adds steps; what was known from that step on (before a resume) is replaced.
    pub fn extend(&mut self, steps: &[StepMetrics]) {
        if let (Some(first), Some(last)) = (steps.first(), self.steps.last())
            && first.step <= last.step
        {
            let keep = self.steps.partition_point(|known| known.step < first.step);
            self.steps.truncate(keep);
            self.revision += 1;
        }
        self.steps.extend_from_slice(steps);
    }

    pub fn evaluated(&mut self, eval: &EvalMetrics) {
        self.evals.retain(|known| known.step < eval.step);
        self.evals.push(eval.clone());
    }

    /// An answer to the same prompt at the same step is replaced.
    pub fn sampled(&mut self, sample: &SampleMetrics) {
        let same = |known: &&mut SampleMetrics| known.step == sample.step && known.prompt == sample.prompt;
        match self.samples.iter_mut().find(same) {
            Some(known) => known.answer.clone_from(&sample.answer),
            None => {
                let place = self.samples.partition_point(|known| known.step <= sample.step);
                self.samples.insert(place, sample.clone());
            }
        }
    }

    pub fn saved(&mut self, step: u64) {
        if let Err(place) = self.saved.binary_search(&step) {
            self.saved.insert(place, step);
        }
    }

    /// Puts in a part of what a run's folder holds. Steps from `before` on are known better already.
    pub fn read(
        &mut self,
        steps: &[StepMetrics],
        evals: &[EvalMetrics],
        samples: &[SampleMetrics],
        before: u64,
    ) {
        // A run that was resumed has recorded some steps twice: the later record holds.
        for stretch in steps.chunk_by(|a, b| a.step < b.step) {
            let stretch = &stretch[..stretch.partition_point(|step| step.step < before)];
            let Some(first) = stretch.first() else { continue };
            let from = self.steps.partition_point(|known| known.step < first.step);
            let to = self.steps.partition_point(|known| known.step < before).max(from);
            if from < self.steps.len() {
                self.revision += 1;
            }
            self.steps.splice(from..to, stretch.iter().cloned());
        }
        for eval in evals {
            match self.evals.binary_search_by_key(&eval.step, |known| known.step) {
                Ok(_) => {}
                Err(place) => self.evals.insert(place, eval.clone()),
            }
        }
        for sample in samples {
            self.sampled(sample);
        }
    }

    /// Takes the checkpoints from what is told of the whole run.
    pub fn report(&mut self, report: &RunReport) {
        for checkpoint in &report.checkpoints {
            self.saved(checkpoint.step);
        }
    }

    /// The evaluation with the lowest loss.
    pub fn best(&self) -> Option<&EvalMetrics> {
        let finite = self.evals.iter().filter(|eval| eval.eval_loss.is_finite());
        finite.min_by(|a, b| a.eval_loss.total_cmp(&b.eval_loss))
    }

    /// The prompts of the samples, in the order they first came.
    pub fn prompts(&self) -> Vec<&str> {
        let mut prompts: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !prompts.contains(&sample.prompt.as_str()) {
                prompts.push(&sample.prompt);
            }
        }
        prompts
    }

    /// All figures as a table with a header: a line a step or an evaluation, of the run named so.
    pub fn csv(&self, run: &str, out: &mut String) {
        use std::fmt::Write as _;
        let run = quoted(run);
        let mut evals = self.evals.iter().peekable();
        for step in &self.steps {
            // Writing to a string cannot fail.
            let _written = writeln!(
                out,
                "{run},step,{},{},{},{},{},{},{},{},{},",
                step.step,
                step.epoch,
                step.tokens,
                step.loss,
                step.lr,
                step.grad_norm,
                step.tokens_per_s,
                step.mem_bytes,
                step.seconds,
            );
            while let Some(eval) = evals.next_if(|eval| eval.step <= step.step) {
                csv_eval(&run, eval, out);
            }
        }
        evals.for_each(|eval| csv_eval(&run, eval, out));
    }
}

/// The first line of a table of figures.
pub const CSV_HEADER: &str =
    "run,kind,step,epoch,tokens,loss,lr,grad_norm,tokens_per_s,mem_bytes,seconds,eval_loss\n";

fn csv_eval(run: &str, eval: &EvalMetrics, out: &mut String) {
    use std::fmt::Write as _;
    let _written = writeln!(
        out,
        "{run},eval,{},{},{},,,,,,,{}",
        eval.step, eval.epoch, eval.eval_tokens, eval.eval_loss
    );
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, loss: f64) -> StepMetrics {
        StepMetrics {
            step,
            epoch: step as f64 / 10.0,
            tokens: 64,
            loss,
            lr: 1e-4,
            grad_norm: 1.0,
            loss_scale: None,
            tokens_per_s: 100.0,
            mem_bytes: 1 << 20,
            seconds: step as f64,
            phases: None,
            skipped: false,
        }
    }

    fn steps(range: std::ops::RangeInclusive<u64>) -> Vec<StepMetrics> {
        range.map(|number| step(number, number as f64)).collect()
    }

    fn numbers(history: &History) -> Vec<u64> {
        history.steps.iter().map(|step| step.step).collect()
    }

    #[test]
    fn a_resumed_run_replaces_what_it_does_again() {
        let mut history = History::default();
        history.extend(&steps(1..=8));
        assert_eq!(history.revision().1, 0);
        history.extend(&steps(6..=7));
        assert_eq!(numbers(&history), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(history.revision().1, 1, "what was derived from steps 6 to 8 is void");
    }

    #[test]
    fn a_history_comes_in_parts_while_the_run_goes_on() {
        let mut history = History::default();
        history.extend(&steps(9..=10));
        history.read(&steps(1..=4), &[], &[], 9);
        history.read(&steps(5..=9), &[], &[], 9);
        history.extend(&steps(11..=11));
        assert_eq!(numbers(&history), (1..=11).collect::<Vec<_>>());
        let revision = history.revision();
        history.read(&[], &[], &[], 9);
        assert_eq!(history.revision(), revision);
    }

    #[test]
    fn a_history_read_alone_only_grows() {
        let mut history = History::default();
        history.read(&steps(1..=4), &[], &[], u64::MAX);
        history.read(&steps(5..=6), &[], &[], u64::MAX);
        assert_eq!(numbers(&history), [1, 2, 3, 4, 5, 6]);
        assert_eq!(history.revision().1, 0);
    }

    #[test]
    fn of_steps_recorded_twice_the_later_record_holds() {
        let again = |number| StepMetrics { loss: 0.5, ..step(number, 0.0) };
        let mut recorded = steps(1..=8);
        recorded.extend((6..=9).map(again));
        let mut history = History::default();
        history.read(&recorded, &[], &[], u64::MAX);
        assert_eq!(numbers(&history), (1..=9).collect::<Vec<_>>());
        assert_eq!((history.steps[4].loss, history.steps[5].loss), (5.0, 0.5));
    }

    #[test]
    fn samples_and_evaluations_are_kept_once_and_in_order() {
        let mut history = History::default();
        let sample =
            |step, answer: &str| SampleMetrics { step, prompt: "hi".into(), answer: answer.to_owned() };
        history.sampled(&sample(10, "b"));
        history.read(&[], &[], &[sample(0, "a"), sample(10, "b")], u64::MAX);
        let answers: Vec<_> = history.samples.iter().map(|sample| sample.answer.as_str()).collect();
        assert_eq!(answers, ["a", "b"]);
        assert_eq!(history.prompts(), ["hi"]);
        let eval =
            |step, eval_loss| EvalMetrics { step, epoch: 0.0, eval_loss, eval_tokens: 10, best: false };
        history.evaluated(&eval(20, 1.5));
        history.read(&[], &[eval(10, 1.2), eval(20, 9.0)], &[], u64::MAX);
        assert_eq!(history.evals.iter().map(|eval| eval.step).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(history.best().unwrap().step, 10);
        history.saved(20);
        history.saved(10);
        history.saved(20);
        assert_eq!(history.saved, [10, 20]);
    }

    #[test]
    fn the_table_has_every_step_and_every_evaluation() {
        let mut history = History::default();
        history.extend(&steps(1..=2));
        history.evaluated(&EvalMetrics { step: 1, epoch: 0.1, eval_loss: 2.5, eval_tokens: 9, best: true });
        let mut table = CSV_HEADER.to_owned();
        history.csv("a,b", &mut table);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], "\"a,b\",step,1,0.1,64,1,0.0001,1,100,1048576,1,");
        assert_eq!(lines[2], "\"a,b\",eval,1,0.1,9,,,,,,,2.5");
        let columns = lines[0].split(',').count();
        assert!(lines[3].replace("\"a,b\"", "ab").split(',').count() == columns);
    }
}

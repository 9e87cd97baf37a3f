//! What happens between two steps: evaluations and samples, and when a checkpoint is due.

use protocol::{EvalMetrics, Prompt, Result, RunEvent, SampleMetrics, Text};

use super::Run;
use crate::generate::{Speaker, sample_prompt, sample_settings};
use crate::methods::Adapter;
use crate::train::evaluate::Evaluation;
use crate::train::parallel::Workers;
use crate::train::step::Learner;

/// What an evaluation found. Told when all of it is there: what a stop breaks off is done again as a whole.
struct Findings {
    eval: Option<EvalMetrics>,
    samples: Vec<SampleMetrics>,
}

impl Run<'_> {
    /// Whether there is anything to evaluate on.
    pub(super) fn can_evaluate(&self) -> bool {
        !self.plan.survey.split.validation.is_empty() || !self.plan.config.train.samples.is_empty()
    }

    /// Evaluation and checkpoints when they are due or wished for.
    pub(super) fn between_steps(&mut self, learner: &mut Learner, workers: &Workers) -> Result<()> {
        self.look_for_checkpoint()?;
        let mut improved = false;
        // A due evaluation is what was wished for, too.
        let wished = self.control.take_evaluate_now();
        if self.state.evaluation_due {
            match self.evaluate(learner, workers)? {
                Some(best) => improved = best,
                // Stopped: the checkpoint that follows says that the evaluation is still to come.
                None => return Ok(()),
            }
        } else if wished {
            self.evaluate_aside(learner, workers)?;
        }
        let train = &self.plan.config.train;
        let (keep_best, due) = (improved && train.keep_best, self.is_due(train.save_every));
        let due = due && self.state.step > 0;
        if due || keep_best || self.control.take_save_now() {
            self.save(learner)?;
        }
        Ok(())
    }

    /// The evaluation of the plan: it counts for the best checkpoint and for an early end. True when this is the
    /// lowest validation loss so far; None if the user stopped.
    fn evaluate(&mut self, learner: &Learner, workers: &Workers) -> Result<Option<bool>> {
        let Some(mut findings) = self.look(learner, workers)? else { return Ok(None) };
        self.state.evaluation_due = false;
        let best = findings.eval.as_mut().is_some_and(|eval| {
            eval.best = self.count(eval.eval_loss);
            eval.best
        });
        self.publish(findings)?;
        Ok(Some(best))
    }

    /// An evaluation that was wished for. It changes nothing: the run is the same as without it.
    fn evaluate_aside(&mut self, learner: &Learner, workers: &Workers) -> Result<()> {
        if !self.can_evaluate() {
            self.tell(RunEvent::Notice {
                text: Text::fixed(
                    "There is nothing to evaluate on: the run has neither validation rows nor samples",
                    "无法评估：该训练既没有验证数据，也没有示例提示词",
                ),
            });
            return Ok(());
        }
        match self.look(learner, workers)? {
            Some(findings) => self.publish(findings),
            None => Ok(()),
        }
    }

    /// Takes a validation loss into account; whether it is the lowest so far.
    fn count(&mut self, loss: f64) -> bool {
        let best = self.state.best_loss.is_none_or(|best| (loss as f32) < best);
        if best {
            self.state.best_loss = Some(loss as f32);
            self.state.best_step = Some(self.state.step);
            self.state.without_improvement = 0;
        } else {
            self.state.without_improvement += 1;
        }
        self.state.last_eval = Some(loss);
        best
    }

    /// Validation loss (not before the first step: the first step tells it) and samples; None if the user stopped.
    fn look(&mut self, learner: &Learner, workers: &Workers) -> Result<Option<Findings>> {
        let eval = if self.state.step == 0 || self.plan.survey.split.validation.is_empty() {
            None
        } else {
            match self.validate(learner, workers)? {
                Some(eval) => Some(eval),
                None => return Ok(None),
            }
        };
        let samples = self.samples(learner)?;
        Ok(samples.map(|samples| Findings { eval, samples }))
    }

    fn validate(&mut self, learner: &Learner, workers: &Workers) -> Result<Option<EvalMetrics>> {
        let evaluation = Evaluation {
            learner,
            workers,
            dataset: &self.plan.dataset,
            batch_size: (self.plan.config.train.batch_size as usize).div_ceil(self.plan.layout.pieces),
            pad: self.plan.pad,
            head_chunk: self.plan.layout.head_chunk,
            control: self.control,
        };
        let rows = &self.plan.survey.split.validation;
        let (request, total, sink) = (self.request, rows.len() as u64, &mut *self.sink);
        let mut tick = |done| sink.progress(request, Text::fixed("evaluating", "评估"), done, total, None);
        let result = evaluation.run(rows, &mut tick)?;
        Ok(result.map(|(eval_loss, eval_tokens)| EvalMetrics {
            step: self.state.step,
            epoch: self.epoch(),
            eval_loss,
            eval_tokens,
            best: false,
        }))
    }

    /// What the model answers to the samples' prompts, the likeliest token each time; None if the user stopped.
    fn samples(&mut self, learner: &Learner) -> Result<Option<Vec<SampleMetrics>>> {
        let train = &self.plan.config.train;
        let speaker = Speaker {
            model: &learner.model,
            adapter: learner.adapter.as_deref().map(Adapter::view),
            encoder: &self.plan.encoder,
        };
        let sampling = sample_settings(train.sample_tokens);
        let total = train.samples.len() as u64;
        let mut taken = Vec::with_capacity(train.samples.len());
        for prompt in &train.samples {
            let done = taken.len() as u64;
            self.sink.progress(self.request, Text::fixed("samples", "示例回答"), done, total, None);
            let wanted: Prompt = sample_prompt(&self.plan.encoder, prompt);
            let mut stopped = || self.control.stop_wanted();
            let answered = speaker.answer(&wanted, &sampling, &mut stopped, &mut |_, _| {})?;
            if self.control.stop_wanted() {
                return Ok(None);
            }
            let sample =
                SampleMetrics { step: self.state.step, prompt: prompt.clone(), answer: answered.text };
            taken.push(sample);
        }
        Ok(Some(taken))
    }

    fn publish(&mut self, findings: Findings) -> Result<()> {
        if let Some(eval) = findings.eval {
            self.log.write(&eval.clone().into())?;
            self.tell(RunEvent::Evaluated { eval });
        }
        for sample in findings.samples {
            self.log.write(&sample.clone().into())?;
            self.tell(RunEvent::Sampled { sample });
        }
        Ok(())
    }
}

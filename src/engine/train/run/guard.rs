//! What happens when a step comes out not finite.

use std::path::PathBuf;

use protocol::{Result, RunEvent, Text, UserError, text};

use super::Run;
use crate::methods::Adapter;
use crate::train::evaluate::batch_loss;
use crate::train::prefetch::StepBatches;
use crate::train::step::{Learner, StepResult};

impl Run<'_> {
    /// Tells the loss scale, if there is one, what came of a step. True if the step overflowed for being scaled too
    /// high and the scale is lower now: such a step is no fault of the rows.
    pub(super) fn makes_way(&mut self, result: &StepResult) -> bool {
        let lowered = self.state.loss_scale.as_mut().is_some_and(|scaler| scaler.hear(result.applied));
        lowered && result.loss.is_finite()
    }

    pub(super) fn tell_overflow(&mut self) {
        let step = self.state.step;
        let scale = self.state.loss_scale.map_or(1.0, |scaler| scaler.scale());
        self.tell(RunEvent::Notice {
            text: text!(
                "Step {step} overflowed f16 and was not applied: the loss scale is {scale} now",
                "第 {step} 步超出 f16 的范围，未应用：损失缩放现为 {scale}"
            ),
        });
    }

    /// A step that was not finite changed nothing; too many in a row end the run.
    pub(super) fn guard(&mut self, learner: &Learner, next: &StepBatches) -> Result<()> {
        let step = self.state.step;
        let (file, row) = self.guilty_row(learner, next)?;
        if self.state.skipped_in_a_row <= self.plan.config.train.max_skipped_steps {
            let shown = file.display();
            self.tell(RunEvent::Notice {
                text: text!(
                    "Step {step} came out not finite and was not applied (row {row} of {shown})",
                    "第 {step} 步的结果不是有限数，未应用（{shown} 第 {row} 行）"
                ),
            });
            return Ok(());
        }
        let count = self.state.skipped_in_a_row;
        Err(UserError::failure(text!(
            "Training broke down: {count} steps in a row came out not finite",
            "训练已失控：连续 {count} 步的结果不是有限数"
        ))
        .in_file(file)
        .at_row(row)
        .mend(Text::fixed(
            "lower the learning rate, and look at this row; the last checkpoint is sound",
            "请降低学习率，并检查这一行；最近的检查点是完好的",
        )))
    }

    /// The first row of the step whose own loss is not finite; the step's first row if all are.
    fn guilty_row(&self, learner: &Learner, next: &StepBatches) -> Result<(PathBuf, u64)> {
        let view = learner.adapter.as_deref().map(Adapter::view);
        let mut guilty = next.rows.first().copied().unwrap_or(0);
        for row in &next.rows {
            let example = self.plan.dataset.example(*row as usize)?;
            let batch = data::Batch::collate(&[example], self.plan.pad)?;
            if !batch_loss(&learner.model, view, &batch)?.is_finite() {
                guilty = *row;
                break;
            }
        }
        let (file, row) = self.plan.dataset.place_of_example(guilty as usize)?;
        Ok((file.to_path_buf(), row))
    }
}

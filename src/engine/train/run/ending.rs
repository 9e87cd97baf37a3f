//! The result of a run.

use protocol::{Outcome, Result, RunEvent, StopReason, Text, UserError, text};

use super::Run;
use crate::files::Manifest;
use crate::train::state;
use crate::train::step::Learner;

impl Run<'_> {
    /// Writes the result: the adapter, or the whole model after full fine-tuning.
    pub(super) fn finish(&mut self, mut learner: Learner, reason: StopReason) -> Result<Outcome> {
        self.wait_for_checkpoint()?;
        if let (true, Some(best)) = (self.plan.config.train.keep_best, self.state.best_step)
            && best != self.state.step
        {
            let dir = self.store.path_of(best);
            Manifest::verify(&dir).map_err(best_is_damaged)?;
            state::restore_weights(&dir, &mut learner)?;
            learner.settle();
            self.tell(RunEvent::Notice {
                text: text!(
                    "The result is that of step {best}, the best on the validation set",
                    "结果取自第 {best} 步，其验证损失最低"
                ),
            });
        }
        // Of the training: writing the result is another matter.
        let peak_bytes = self.peak.bytes();
        let result = crate::export::write_result(
            &learner,
            &self.plan,
            &self.plan_file,
            &self.folder.path,
            &self.state,
        )?;
        Ok(Outcome::Finished {
            reason,
            step: self.state.step,
            result,
            eval_loss: self
                .state
                .best_loss
                .map(f64::from)
                .filter(|_| self.plan.config.train.keep_best)
                .or(self.state.last_eval),
            seconds: self.seconds_before + self.began.elapsed().as_secs_f64(),
            peak_bytes,
        })
    }
}

/// The last step's weights would not be what was asked for, so nothing is written in their place.
fn best_is_damaged(damage: UserError) -> UserError {
    let error = UserError::failure(Text::fixed(
        "The best checkpoint, which the run was to end with, is damaged",
        "训练结束时应采用的最佳检查点已损坏",
    ));
    let place = damage.place.file.clone();
    let error = error.detail(damage.what.to_string()).details(damage.details).mend(Text::fixed(
        "restore it and resume; or take the adapter of another checkpoint",
        "请恢复该检查点后继续；或使用其他检查点中的适配器",
    ));
    match place {
        Some(file) => error.in_file(file),
        None => error,
    }
}

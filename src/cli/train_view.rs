//! A run as it is watched in a terminal: a bar with loss, speed and time left, and a line for what happens. Into
//! a file, a line every few seconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::{
    EvalMetrics, Event, Outcome, RunEvent, RunSummary, StepMetrics, StopReason, Text, Unit, text,
};

use super::client::View;
use super::format;
use super::screen::Screen;

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Draws a run's events.
#[derive(Default)]
pub struct Progress {
    total: u64,
    dir: PathBuf,
    last_line: Option<Instant>,
    /// Bytes of memory that were forecast.
    forecast: u64,
    /// Whether stdout is for something else than the run's folder.
    among_others: bool,
}

impl View for Progress {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Run { update, .. } = event {
            self.update(update, screen);
        }
    }

    /// Hours of training are not lost because a pager was closed.
    fn outlives_stdout(&self) -> bool {
        true
    }
}

impl Progress {
    /// Of one run of several, whose folders are not what was asked for.
    pub fn among_others() -> Self {
        Self { among_others: true, ..Self::default() }
    }

    fn update(&mut self, update: &RunEvent, screen: &mut Screen) {
        match update {
            RunEvent::Planned { dir, summary } => {
                screen.tell(&plan(summary));
                summary.forecast.plan.iter().for_each(|line| screen.tell(line));
                if let Some(padding) = summary.padding {
                    let Text { en, zh } = padding.words();
                    screen.tell(&text!("padding: {en}", "填充：{zh}"));
                }
                self.forecast = summary.forecast.total;
                // The one line of stdout, at once: whoever waits for it can watch the folder.
                if !self.among_others {
                    screen.line(&dir.display().to_string());
                }
                self.total = summary.total_steps;
                self.dir = dir.clone();
                let steps = [summary.first_step.saturating_sub(1), summary.total_steps];
                screen.bar("", steps, Unit::Count, "");
            }
            RunEvent::Stepped { steps, seconds_left } => {
                if let Some(last) = steps.last() {
                    self.step(last, *seconds_left, screen);
                }
                steps.iter().filter(|step| step.skipped).for_each(|step| screen.tell(&skipped(step)));
            }
            RunEvent::Evaluated { eval } => screen.tell(&evaluated(eval)),
            RunEvent::Sampled { sample } => {
                let (step, prompt, answer) = (sample.step, &sample.prompt, &sample.answer);
                screen.tell(&text!("step {step}: {prompt} → {answer}", "第 {step} 步：{prompt} → {answer}"));
            }
            RunEvent::RateChanged { step, factor } => screen.tell(&text!(
                "step {step}: learning rate × {factor} from here",
                "第 {step} 步：从此处起学习率 × {factor}"
            )),
            RunEvent::Saved { step, dir } => {
                let dir = dir.display();
                screen.tell(&text!(
                    "step {step}: checkpoint saved in {dir}",
                    "第 {step} 步：检查点已保存到 {dir}"
                ));
            }
            RunEvent::Paused { step } => screen.tell(&text!("step {step}: paused", "第 {step} 步：已暂停")),
            RunEvent::Resumed { step } => screen.tell(&text!("step {step}: resumed", "第 {step} 步：已继续")),
            RunEvent::Notice { text } => screen.tell(text),
            RunEvent::Ended { outcome } => {
                screen.clear_progress();
                if let Some(words) = ended(outcome, &self.dir) {
                    screen.tell(&words);
                }
                if let Some(words) = peak(outcome, self.forecast) {
                    screen.tell(&words);
                }
            }
        }
    }

    fn step(&mut self, step: &StepMetrics, seconds_left: Option<f64>, screen: &Screen) {
        let figures = screen.pick(&figures(step, seconds_left));
        if screen.shows_progress() {
            return screen.bar("", [step.step, self.total], Unit::Count, &figures);
        }
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if due || step.step == self.total {
            self.last_line = Some(Instant::now());
            screen.say(&format!("{}/{} {figures}", step.step, self.total));
        }
    }
}

fn figures(step: &StepMetrics, seconds_left: Option<f64>) -> Text {
    let (loss, speed, left) = (step.loss, step.tokens_per_s, format::clock(seconds_left));
    text!(
        "loss {loss:.4}, {speed:.0} tokens/s, {left} left",
        "损失 {loss:.4}，{speed:.0} 词元/秒，剩余 {left}"
    )
}

fn plan(summary: &RunSummary) -> Text {
    let trained = format::parameters(summary.trainable_parameters);
    let all = format::parameters(summary.parameters);
    let (train, held) = (format::count(summary.train_rows), format::count(summary.validation_rows));
    let (device, dtype, steps) = (&summary.device, &summary.dtype, steps(summary));
    let (en, zh, memory) = (&steps.en, &steps.zh, format::bytes(summary.forecast.total));
    text!(
        "Training {trained} of {all} parameters on {device} in {dtype}: {train} rows ({held} for validation), \
         {en}, about {memory} of memory. Run folder:",
        "在 {device} 上以 {dtype} 训练 {all} 参数中的 {trained}：{train} 行（另有 {held} 行用于验证），{zh}，\
         约需内存 {memory}。运行文件夹："
    )
}

fn steps(summary: &RunSummary) -> Text {
    let (first, total) = (format::count(summary.first_step), format::count(summary.total_steps));
    match summary.first_step {
        0 | 1 => text!("{total} steps", "{total} 步"),
        _ => text!("from step {first} to {total}", "从第 {first} 步到第 {total} 步"),
    }
}

fn skipped(step: &StepMetrics) -> Text {
    let n = step.step;
    text!("step {n}: not finite, not applied", "第 {n} 步：结果不是有限数，未应用")
}

fn evaluated(eval: &EvalMetrics) -> Text {
    let (step, loss, perplexity) = (eval.step, eval.eval_loss, eval.eval_loss.exp());
    match eval.best {
        true => text!(
            "step {step}: validation loss {loss:.4} (perplexity {perplexity:.3}), the best so far",
            "第 {step} 步：验证损失 {loss:.4}（困惑度 {perplexity:.3}），目前最佳"
        ),
        false => text!(
            "step {step}: validation loss {loss:.4} (perplexity {perplexity:.3})",
            "第 {step} 步：验证损失 {loss:.4}（困惑度 {perplexity:.3}）"
        ),
    }
}

/// The memory that was taken, beside what was forecast.
fn peak(outcome: &Outcome, forecast: u64) -> Option<Text> {
    let Outcome::Finished { peak_bytes: peak @ 1.., .. } = outcome else { return None };
    let (peak, forecast) = (format::bytes(*peak), format::bytes(forecast));
    Some(text!("Memory: {peak} at most, {forecast} forecast", "内存：最多 {peak}，预测 {forecast}"))
}

/// What went wrong is reported where the program ends.
fn ended(outcome: &Outcome, dir: &Path) -> Option<Text> {
    let Outcome::Finished { reason, step, result, seconds, .. } = outcome else { return None };
    let (took, result) = (format::clock(Some(*seconds)), result.display());
    Some(match reason {
        StopReason::Completed => text!(
            "Done: {step} steps in {took}. The result is in {result}",
            "完成：{step} 步，用时 {took}。结果位于 {result}"
        ),
        StopReason::EarlyStopped => text!(
            "Ended early, as the validation loss no longer fell: {step} steps in {took}. The result is in {result}",
            "验证损失不再下降，提前结束：{step} 步，用时 {took}。结果位于 {result}"
        ),
        StopReason::Stopped => {
            let dir = dir.display();
            text!(
                "Stopped at step {step} after {took}. What there is so far is in {result}; go on with: train --resume {dir}",
                "已在第 {step} 步停止，用时 {took}。目前的结果位于 {result}；继续训练：train --resume {dir}"
            )
        }
    })
}

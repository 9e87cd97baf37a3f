//! A run that other machines began, and that goes on here.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder::PlanFile;
use crate::handoff::MARK;
use crate::plan::Plan;

/// What of an imported run is not as it was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// What trained it.
    pub engine: String,
    /// What was computed in there.
    pub dtype: String,
    /// Of the newest checkpoint that came back.
    pub step: Option<u64>,
    /// Trained parameters of which the optimizer's memory did not come back.
    pub forgotten: u64,
}

impl Imported {
    /// What goes on as it was there, and what does not.
    pub fn told(&self, plan: &Plan) -> Vec<Text> {
        let Self { engine, dtype, step, forgotten } = self;
        let (step, here) = (step.unwrap_or(0), plan.dtype_name());
        let mut told = vec![text!(
            "Other machines ({engine}) brought this run to step {step}. Weights, the optimizer's memory, learning rate and the \
             order of the rows go on from there as they were; roundings are those of this machine from here on",
            "该训练由其他机器（{engine}）进行到第 {step} 步。权重、优化器状态、学习率与数据顺序均从该处原样继续；此后的舍入误差以本机为准"
        )];
        if dtype != here {
            told.push(text!(
                "There it computed in {dtype}, here it computes in {here}: losses will differ by what {dtype} rounds",
                "此前以 {dtype} 计算，本机以 {here} 计算：损失会有 {dtype} 舍入程度的差异"
            ));
        }
        if *forgotten > 0 {
            told.push(text!(
                "Of {forgotten} trained tensors the optimizer's memory did not come back: it begins anew, and the next steps are \
                 not those that would have followed there",
                "有 {forgotten} 个被训练张量的优化器状态未能取回，将重新累积：接下来的几步与原训练不同"
            ));
        }
        let dropout = plan.config.method.params.get("dropout").and_then(Value::as_f64);
        if dropout.is_some_and(|dropout| dropout > 0.0) {
            told.push(Text::fixed(
                "Dropout draws other numbers here than there",
                "本机的 dropout 随机数与此前的机器不同",
            ));
        }
        told
    }
}

/// # Errors
/// When a run folder is filled by other machines, or came back without what it would need to go on here.
pub fn refuse_elsewhere(dir: &Path, plan: &PlanFile) -> Result<()> {
    if dir.join(MARK).is_file() {
        return Err(UserError::bad_input(Text::fixed(
            "Other machines train this run",
            "该训练正由其他机器进行",
        ))
        .in_file(dir)
        .mend(Text::fixed(
            "go on there with `--resume`; or bring it here first with `emberwright import DIR --run RUN.toml`",
            "请在那里用 `--resume` 继续；或先用 `emberwright import DIR --run RUN.toml` 取回",
        )));
    }
    let Some(imported) = &plan.imported else { return Ok(()) };
    if plan.base.as_os_str().is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "This run came back from other machines, and where its data is on this one is not known",
            "该训练取自其他机器，不知道其数据在本机的位置",
        ))
        .in_file(dir)
        .mend(Text::fixed(
            "import it once more with `--run RUN.toml`, the run file that was handed over",
            "请用 `--run RUN.toml`（移交时的运行文件）重新取回",
        )));
    }
    if imported.step.is_some() {
        return Ok(());
    }
    Err(UserError::bad_input(Text::fixed(
        "Only the adapter of this run came back, and no checkpoint to go on from",
        "该训练只取回了适配器，没有可供继续的检查点",
    ))
    .in_file(dir)
    .mend(Text::fixed(
        "start another run with method.init_from = its adapter folder",
        "请另建训练，并将 method.init_from 设为其适配器文件夹",
    )))
}

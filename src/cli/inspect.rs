//! `inspect MODEL`: what a model folder holds, without loading its weights.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, LinearReport, ModelReport, Result, Text};

use super::client::{Client, View};
use super::flags::{OverrideFlags, model_ref};
use super::format;
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    /// Model folder in Hugging Face's layout, or hf:org/name@revision
    pub model: PathBuf,
    #[command(flatten)]
    pub overrides: OverrideFlags,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let model = model_ref(&flags.model, &[], "auto".into(), flags.overrides)?;
    client.request(&mut Report, screen, |request| Command::Inspect { request, model })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Inspected { report, .. } = event {
            screen.line(&summary(report, screen));
            screen.line("");
            screen.line(&linears(report, screen));
            for note in &report.notes {
                let note = format!("! {}", screen.pick(note));
                screen.line(&note);
            }
        }
    }
}

fn summary(report: &ModelReport, screen: &Screen) -> String {
    let dtypes: Vec<_> = report.dtypes.iter().map(|(dtype, count)| format!("{dtype} × {count}")).collect();
    let none = Text::fixed("none", "无");
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| screen.pick(&none));
    let template = format::with_reason(report.template.as_deref(), report.template_reason.as_ref(), screen);
    let tied = if report.tied_head { Text::fixed("yes", "是") } else { Text::fixed("no", "否") };
    let variant = report.variant.iter().map(|variant| (Text::fixed("variant", "型号"), screen.pick(variant)));
    let facts = [
        (Text::fixed("folder", "文件夹"), report.path.display().to_string()),
        (Text::fixed("family", "模型家族"), format!("{} ({})", report.family, report.class)),
        (
            Text::fixed("parameters", "参数量"),
            format!("{} ({})", format::parameters(report.parameters), format::count(report.parameters)),
        ),
        (Text::fixed("on disk", "磁盘占用"), format::bytes(report.file_bytes)),
        (Text::fixed("tensors", "张量"), dtypes.join(", ")),
        (Text::fixed("layers", "层数"), report.layers.to_string()),
        (Text::fixed("hidden size", "隐藏维度"), report.hidden_size.to_string()),
        (Text::fixed("vocabulary", "词表大小"), format::count(report.vocab_size)),
        (Text::fixed("context length", "上下文长度"), format::count(report.context_length)),
        (Text::fixed("tied head", "共享输出层"), screen.pick(&tied)),
        (Text::fixed("tokenizer", "分词器"), or_none(&report.tokenizer)),
        (Text::fixed("chat template", "对话模板"), or_none(&template)),
        (Text::fixed("licence files", "许可证文件"), report.licence_files.join(", ")),
        (Text::fixed("default targets", "默认目标层"), report.default_targets.join(", ")),
    ];
    let mut facts = facts.to_vec();
    facts.splice(2..2, variant);
    let rows = facts.into_iter().map(|(name, value)| vec![screen.pick(&name), format::printable(&value)]);
    format::facts(rows.collect())
}

/// Every matrix that a method can adapt.
fn linears(report: &ModelReport, screen: &Screen) -> String {
    let heads = [
        Text::fixed("linear layer", "线性层"),
        Text::fixed("shape", "形状"),
        Text::fixed("role", "角色"),
        Text::fixed("block", "所属层"),
    ];
    let rows = report.linears.iter().map(|linear| {
        vec![
            format::printable(&linear.path),
            format!("{} × {}", linear.shape[0], linear.shape[1]),
            role(linear),
            linear.layer.map_or_else(|| "–".into(), |layer| layer.to_string()),
        ]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[3])
}

/// The role, and those of the parts that can be adapted alone.
fn role(linear: &LinearReport) -> String {
    if linear.slices.is_empty() {
        linear.role.clone()
    } else {
        format!("{} = {}", linear.role, linear.slices.join(" + "))
    }
}

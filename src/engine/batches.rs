//! How the rows of a run become batches, and what of these is padding.

use data::{Batching, Sampler, SamplerOptions, Survey};
use protocol::{Finding, FindingKind, Padding, Remedy, Result, RunConfig, Severity, Text, UserError, text};
use serde_json::Value;

use crate::models::Model;

/// A share of padding that is told.
const MUCH: f64 = 0.5;

/// The batches of a run.
#[derive(Clone)]
pub struct Batches {
    pub sampling: SamplerOptions,
    pub batching: Batching,
    /// Rows of an epoch: packed ones where examples share rows.
    pub rows: usize,
    /// None where nothing can be trained on.
    pub padding: Option<Padding>,
}

/// # Errors
/// When the settings pack rows and the model cannot have several texts in one.
pub fn check_packing(config: &RunConfig, model: &Model) -> Result<()> {
    if !config.data.packing || model.decoder.packs() {
        return Ok(());
    }
    let Text { en, zh } = model.family.name.clone();
    Err(UserError::bad_input(text!(
        "{en} cannot have several texts in one row: its soft prompt reads the text it stands before",
        "{zh} 无法将多段文本放入同一行：其软提示需读取紧随其后的文本"
    ))
    .at_item("data.packing")
    .mend(Text::fixed(
        "set data.packing to false; train.group_by_length saves padding, too",
        "请将 data.packing 设为 false；train.group_by_length 也能减少填充",
    ))
    .remedy(Remedy {
        label: Text::fixed("Turn packing off", "关闭打包"),
        changes: vec![("data.packing".into(), false.into())],
    }))
}

/// Tokens that the longest row of a run may have, of which `longest` are those of the longest example.
pub fn longest_row(config: &RunConfig, longest: u64) -> u64 {
    if config.data.packing { config.data.max_length } else { longest.min(config.data.max_length) }
}

impl Batches {
    /// # Errors
    /// When batch size or accumulation are no usable numbers.
    pub fn new(config: &RunConfig, survey: &Survey, packs: bool) -> Result<Self> {
        let sampling = SamplerOptions::new(&config.train)?;
        let room = u32::try_from(config.data.max_length).unwrap_or(u32::MAX);
        let packed = || Batching::Packed { lengths: survey.sizes.clone(), room };
        let grouped = || Batching::ByLength { lengths: survey.sizes.clone() };
        let batching = match (config.data.packing, config.train.group_by_length) {
            (true, _) => packed(),
            (false, true) => grouped(),
            (false, false) => Batching::InOrder,
        };
        let mut batches = Self { sampling, batching: batching.clone(), rows: 0, padding: None };
        let Ok(mut sampler) = batches.sampler(survey) else { return Ok(batches) };
        batches.rows = sampler.rows();
        let share = |batching| batches.share(survey, batching);
        let (padded, rows) = (packs.then(|| share(packed())).flatten(), batches.rows as u64);
        batches.padding = share(batching).map(|(now, _)| Padding {
            share: now,
            plain: share(Batching::InOrder).map_or(0.0, |(share, _)| share),
            grouped: sampling.shuffle.then(|| share(grouped())).flatten().map(|(share, _)| share),
            packed: padded.map(|(share, _)| share),
            packed_rows: padded.map(|(_, rows)| rows),
            rows,
        });
        Ok(batches)
    }

    /// The rows that are trained on, from the first epoch on.
    ///
    /// # Errors
    /// When there are none.
    pub fn sampler(&self, survey: &Survey) -> Result<Sampler> {
        Sampler::new(survey.draws.clone(), self.sampling)
            .map(|sampler| sampler.batched(self.batching.clone()))
    }

    /// Padding of other batches, and their rows.
    fn share(&self, survey: &Survey, batching: Batching) -> Option<(f64, u64)> {
        let mut sampler = self.sampler(survey).ok()?.batched(batching);
        Some((sampler.padding(&survey.sizes), sampler.rows() as u64))
    }

    /// What is told where most of the batches is padding, with what would save it. `packed_fits` says whether there is
    /// memory for packed rows.
    pub fn finding(&self, packed_fits: impl FnOnce() -> bool) -> Option<Finding> {
        let padding = self.padding.filter(|padding| padding.share > MUCH)?;
        let packed = padding.packed.filter(|_| packed_fits());
        let remedy = |better: Option<f64>, en: &str, zh: &str, changes: &[(&str, bool)]| {
            let share = Padding::percent(better.filter(|share| *share < padding.share)?);
            let change = |(key, value): &(&str, bool)| ((*key).to_owned(), Value::from(*value));
            Some(Remedy {
                label: text!("{en} ({share} padding)", "{zh}（填充 {share}）"),
                changes: changes.iter().map(change).collect(),
            })
        };
        let pack = [("data.packing", true), ("train.group_by_length", false)];
        let remedies = [
            remedy(packed, "Pack rows", "打包短行", &pack),
            remedy(
                padding.grouped,
                "Batch rows of near length",
                "按长度分组",
                &[("train.group_by_length", true)],
            ),
        ];
        let share = Padding::percent(padding.share);
        Some(Finding {
            kind: FindingKind::Padding,
            severity: Severity::Info,
            count: 0,
            rows: Vec::new(),
            text: text!(
                "{share} of what goes through the model is padding: rows of a batch differ much in length",
                "送入模型的内容有 {share} 是填充：同一批次中各行长度相差很大"
            ),
            mend: Some(Text::fixed(
                "set data.packing = true, where batch_size counts full rows; or train.group_by_length = true",
                "请设 data.packing = true（此时 batch_size 按打包后的行计）；或 train.group_by_length = true",
            )),
            remedies: remedies.into_iter().flatten().collect(),
        })
    }
}

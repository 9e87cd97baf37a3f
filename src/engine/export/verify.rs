//! Is what was written what was tested? Both are loaded, fed the same rows, and compared.

use std::path::Path;

use burn::tensor::{DType, Device};
use protocol::{Control, ExportRequest, ModelRef, Result, Text, UserError, VerifyReport, text};

use super::{StoredAs, Target};
use crate::generate::{Decoding, argmax};
use crate::methods::{Stack, members};
use crate::models::{Model, ModelFolder};
use crate::nn::{AdapterView, Quantization, Value};
use crate::score::read_rows;
use crate::tokens::{open_with_tokens, tokenizer_with};
use crate::train::RunFolder;
use crate::weights::{FileDtype, read_f32};

/// Rows and tokens that are compared at the most.
const MAX_ROWS: usize = 8;
const MAX_TOKENS: usize = 128;
/// Greedy continuation: prompt and length.
const PROMPT: usize = 16;
const CONTINUATION: usize = 16;

/// What to compare.
pub struct VerifyInput<'a> {
    pub request: &'a ExportRequest,
    pub target: &'a Target,
    /// The folder that was written.
    pub written: &'a Path,
    pub device: &'a Device,
    pub dtype: DType,
    /// How the model's matrices are kept that the result is compared with.
    pub quantization: Option<Quantization>,
    pub control: &'a Control,
}

/// A model with at most a few adapters on it, active together.
pub(super) struct Speaker {
    pub model: Model,
    pub adapter: Option<Stack>,
}

/// Compares logits and greedy tokens on the user's rows.
///
/// # Errors
/// When the written folder does not load: that it cannot be loaded is the finding.
pub fn verify(input: &VerifyInput<'_>) -> Result<VerifyReport> {
    let live = input.live(input.quantization)?;
    let written = input.reload()?;
    let rows = input.rows(&live.model)?;
    let allowed_relative = allowed(input);
    let mut report = VerifyReport {
        rows: rows.len() as u64,
        tokens: rows.iter().map(|row| row.len() as u64).sum(),
        max_abs_logit_difference: 0.0,
        mean_abs_logit_difference: 0.0,
        allowed_difference: 0.0,
        greedy_equal: 0,
        greedy_total: 0,
        passed: false,
    };
    let (mut sum, mut count, mut largest) = (0.0, 0u64, 0f64);
    for row in &rows {
        input.refuse_stopped()?;
        let (a, b) = (live.logits(row)?, written.logits(row)?);
        for (a, b) in a.iter().zip(&b) {
            let difference = f64::from((a - b).abs());
            report.max_abs_logit_difference = nan_max(report.max_abs_logit_difference, difference);
            sum += difference;
            largest = largest.max(f64::from(a.abs()));
            count += 1;
        }
        let prompt = &row[..row.len().min(PROMPT)];
        report.greedy_equal += u64::from(live.continuation(prompt)? == written.continuation(prompt)?);
        report.greedy_total += 1;
    }
    report.mean_abs_logit_difference = sum / count.max(1) as f64;
    report.allowed_difference = allowed_relative * largest.max(1.0);
    report.passed = report.max_abs_logit_difference <= report.allowed_difference;
    Ok(report)
}

/// The failure of a verification that found a difference.
pub fn failed(report: &VerifyReport) -> UserError {
    let (got, allowed) = (report.max_abs_logit_difference, report.allowed_difference);
    UserError::failure(text!(
        "The exported model is not the one that was tested: logits differ by {got:.2e}, allowed is {allowed:.2e}",
        "导出的模型与测试的模型不一致：logits 相差 {got:.2e}，允许 {allowed:.2e}"
    ))
    .mend(Text::fixed("export with --dtype f32, and report this if it differs there, too", "请用 --dtype f32 导出；若仍不一致请反馈"))
}

/// Largest difference that rounding explains, relative to the largest logit. Merged weights are rounded
/// once to the stored dtype; through the layers that grows by a small factor.
fn allowed(input: &VerifyInput<'_>) -> f64 {
    let of = |dtype: FileDtype| match dtype {
        FileDtype::BF16 => 2f64.powi(-8),
        FileDtype::F16 => 2f64.powi(-11),
        _ => 2f64.powi(-20),
    };
    let rounding: f64 = match StoredAs::from_name(&input.request.dtype) {
        Ok(StoredAs::As(dtype)) => of(dtype),
        // Half a step of the largest number of a block, which is what most of them are measured by.
        Ok(StoredAs::Q8_0) => 2f64.powi(-7),
        _ => of(input.stored_dtype()),
    };
    let compute: f64 = match input.dtype {
        DType::BF16 => of(FileDtype::BF16),
        DType::F16 => of(FileDtype::F16),
        _ => 0.0,
    };
    8.0 * rounding.max(compute)
}

pub(super) fn nan_max(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

impl VerifyInput<'_> {
    /// # Errors
    /// When the user stopped.
    pub(super) fn refuse_stopped(&self) -> Result<()> {
        if self.control.stop_wanted() {
            return Err(UserError::failure(Text::fixed("The export was stopped", "导出已中止")));
        }
        Ok(())
    }

    pub(super) fn stored_dtype(&self) -> FileDtype {
        let opened = ModelFolder::open(&self.request.model.path, &self.request.model.overrides).ok();
        let checkpoint = opened.and_then(|folder| folder.checkpoint);
        let widest = checkpoint.as_ref().and_then(|checkpoint| {
            let floats = checkpoint.names().filter_map(|name| checkpoint.info(name)).map(|info| info.dtype);
            floats.filter(|dtype| dtype.is_float()).min_by_key(|dtype| match dtype {
                FileDtype::BF16 => 0,
                FileDtype::F16 => 1,
                _ => 2,
            })
        });
        widest.unwrap_or(FileDtype::F32)
    }

    /// What is asked before the export: the model, kept so, with its adapters.
    pub(super) fn live(&self, quantization: Option<Quantization>) -> Result<Speaker> {
        let request = &self.request.model;
        let folder = open_with_tokens(request)?.quantised(quantization);
        let model = folder.load(self.device, self.dtype, &mut |_, _| {})?;
        let members = members(request, &model)?;
        let adapter = (!members.is_empty()).then(|| Stack::new(&model, members)).transpose()?;
        Ok(Speaker { model, adapter })
    }

    fn reload(&self) -> Result<Speaker> {
        let request = &self.request.model;
        let folder = if self.target.is_adapter {
            let adapters = vec![self.written.to_owned()];
            open_with_tokens(&ModelRef { adapters, ..request.clone() })?.quantised(self.quantization)
        } else {
            ModelFolder::open(self.written, &request.overrides)?
        };
        let model = folder.load(self.device, self.dtype, &mut |_, _| {})?;
        let written = ModelRef { adapters: vec![self.written.to_owned()], ..ModelRef::default() };
        let members = if self.target.is_adapter { members(&written, &model)? } else { Vec::new() };
        let adapter = (!members.is_empty()).then(|| Stack::new(&model, members)).transpose()?;
        Ok(Speaker { model, adapter })
    }

    /// The rows named by the user, else those of the run that the adapter came from, else made-up ids.
    pub(super) fn rows(&self, model: &Model) -> Result<Vec<Vec<u32>>> {
        let mut rows = match &self.request.rows {
            Some(file) => read_rows(file, &self.request.model)?.into_iter().map(|row| row.ids).collect(),
            None => self.rows_of_run().unwrap_or_default(),
        };
        let usable = |id: &u32| (*id as usize) < model.info.vocabulary;
        rows.retain(|row| row.len() > 1 && row.iter().all(usable));
        rows.truncate(MAX_ROWS);
        rows.iter_mut().for_each(|row| row.truncate(MAX_TOKENS.min(model.info.context)));
        if rows.is_empty() {
            rows = made_up(model);
        }
        Ok(rows)
    }

    fn rows_of_run(&self) -> Option<Vec<Vec<u32>>> {
        let origin = self.request.model.adapters.last().unwrap_or(&self.request.model.path);
        let (_, plan) = RunFolder::open(origin.parent()?).ok()?;
        let config = &plan.config;
        let tokenizer = tokenizer_with(&config.model.path, self.request.model.adapters.last()).ok()?;
        let (tokenizer, now) = (std::sync::Arc::new(tokenizer), Some(plan.now));
        let encoder = data::Encoder::with_tokenizer(tokenizer, &config.data, &plan.base, now).ok()?;
        let encoder = std::sync::Arc::new(encoder);
        let dataset = data::Dataset::open(&plan.config.data, &plan.base, encoder, &data::Silent).ok()?;
        let rows = (0..dataset.len().min(4 * MAX_ROWS)).filter_map(|row| dataset.example(row).ok());
        Some(rows.map(|example| example.ids).take(MAX_ROWS).collect())
    }
}

/// Ids spread over the vocabulary, for a model whose rows nobody knows.
fn made_up(model: &Model) -> Vec<Vec<u32>> {
    let vocabulary = model.info.vocabulary as u64;
    let id = |row: u64, t: u64| ((row * 7919 + t * 104_729 + 13) % vocabulary) as u32;
    let length = 32.min(model.info.context as u64);
    (0..4).map(|row| (0..length).map(|t| id(row, t)).collect()).collect()
}

impl Speaker {
    fn view(&self) -> Option<&dyn AdapterView> {
        self.adapter.as_ref().map(|stack| stack as &dyn AdapterView)
    }

    pub fn logits(&self, row: &[u32]) -> Result<Vec<f32>> {
        let logits = self.model.logits(row, 1, self.view())?;
        read_f32(&Value::Vector(logits.flatten(0, 2)))
    }

    fn continuation(&self, prompt: &[u32]) -> Result<Vec<u32>> {
        let decoding = Decoding::new(&self.model, self.view());
        let room = self.model.info.context.saturating_sub(prompt.len()).min(CONTINUATION);
        let mut step = decoding.feed(prompt)?;
        let mut ids = Vec::new();
        for _ in 0..room {
            let next = argmax(&step.logits);
            ids.push(next);
            step = decoding.feed(&[next])?;
        }
        Ok(ids)
    }
}

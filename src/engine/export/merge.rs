//! An adapter that was trained on a quantised model can be merged into the original weights, or into what the codes
//! stand for. Which of the two is nearer to what was trained is measured here, not guessed.

use burn::tensor::FloatDType;
use protocol::{ExportRequest, LogitDifference, MergeInto, MergeReport, Result, Text, UserError};

use super::StoredAs;
use super::verify::{Speaker, VerifyInput};
use crate::methods::{TrainedOn, members};
use crate::models::ModelFolder;
use crate::nn::{Quantization, Value, float_dtype};
use crate::weights::FileDtype;

/// Rows and tokens that are compared at the most: the logits of all are held.
const MAX_ROWS: usize = 4;
const MAX_TOKENS: usize = 64;

/// How the matrices of the model were kept that the adapters were trained on: as the request says, else as an adapter
/// remembers.
///
/// # Errors
/// A word or note that cannot be read; weights wanted that no codes stand for.
pub fn trained_quantization(request: &ExportRequest) -> Result<Option<Quantization>> {
    let mut known = Quantization::from_name(&request.model.quantization)?;
    for dir in &request.model.adapters {
        if known.is_none() {
            known = TrainedOn::read(dir)?.quantization(dir)?;
        }
    }
    if known.is_some() || request.merge_into == MergeInto::Original {
        return Ok(known);
    }
    Err(UserError::bad_input(Text::fixed(
        "Nothing says that this adapter was trained on a quantised model",
        "没有信息表明该适配器是在量化模型上训练的",
    ))
    .at_item("--merge-into, --quantization")
    .mend(Text::fixed(
        "name the quantization of its run with --quantization, or merge into the original weights",
        "请用 --quantization 指明训练时的量化方式，或合并到原始权重",
    )))
}

/// Compares both merged models with the quantised model and its adapters, as they were trained.
///
/// # Errors
/// When a folder does not load, or the user stopped.
pub fn compare_merges(input: &VerifyInput<'_>, quantization: Quantization) -> Result<MergeReport> {
    let trained = input.live(Some(quantization))?;
    let mut rows = input.rows(&trained.model)?;
    rows.truncate(MAX_ROWS);
    rows.iter_mut().for_each(|row| row.truncate(MAX_TOKENS));
    let wanted = rows.iter().map(|row| trained.logits(row)).collect::<Result<Vec<_>>>()?;
    drop(trained);
    let difference = |kept: Option<Quantization>| -> Result<LogitDifference> {
        input.refuse_stopped()?;
        let merged = merged(input, kept)?;
        let mut difference = Tally::default();
        for (row, wanted) in rows.iter().zip(&wanted) {
            difference.add(&merged.logits(row)?, wanted);
        }
        Ok(difference.result())
    };
    Ok(MergeReport {
        quantization: quantization.name().into(),
        into: input.request.merge_into,
        rows: rows.len() as u64,
        tokens: rows.iter().map(|row| row.len() as u64).sum(),
        original: difference(None)?,
        dequantised: difference(Some(quantization))?,
    })
}

/// The model with every adapter merged in, rounded as the files would hold it.
fn merged(input: &VerifyInput<'_>, kept: Option<Quantization>) -> Result<Speaker> {
    let request = &input.request.model;
    let folder = ModelFolder::open(&request.path, &request.overrides)?.quantised(kept);
    let mut model = folder.load(input.device, input.dtype, &mut |_, _| {})?;
    let members = members(request, &model)?;
    let stored = match input.stored() {
        FileDtype::BF16 => FloatDType::BF16,
        FileDtype::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    };
    let dtype = float_dtype(model.dtype);
    let ids: Vec<_> = model.params.iter().map(|(id, _)| id).collect();
    for id in ids {
        let now = &model.params.get(id).value;
        let mut changed = matches!(now, Value::Packed(_));
        let mut value = now.clone().cast(FloatDType::F32);
        for member in &members {
            if let Some(merged) = member.merged(id, &value) {
                (value, changed) = (merged, true);
            }
        }
        if changed {
            model.params.get_mut(id).value = value.cast(stored).cast(dtype);
        }
    }
    Ok(Speaker { model, adapter: None })
}

impl VerifyInput<'_> {
    /// How the exported floats are stored.
    fn stored(&self) -> FileDtype {
        match StoredAs::from_name(&self.request.dtype) {
            Ok(StoredAs::As(dtype)) => dtype,
            Ok(StoredAs::Q8_0) => FileDtype::F32,
            _ => self.stored_dtype(),
        }
    }
}

/// Differences, element by element.
#[derive(Default)]
struct Tally {
    largest: f64,
    sum: f64,
    count: u64,
}

impl Tally {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        for (a, b) in a.iter().zip(b) {
            let difference = f64::from((a - b).abs());
            self.largest = super::verify::nan_max(self.largest, difference);
            self.sum += difference;
            self.count += 1;
        }
    }

    fn result(&self) -> LogitDifference {
        LogitDifference { max: self.largest, mean: self.sum / self.count.max(1) as f64 }
    }
}

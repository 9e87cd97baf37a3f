//! ChatGLM checkpoints of `quantization_bit` 8 or 4: every linear layer of a block holds whole numbers, and beside them
//! `weight_scale`, one scale a row. Opened, they look like the models they were made from.
//!
//! `W[row, :] = q[row, :] * scale[row]`, q in int8; with 4 bits two columns share a byte, the even one in the high
//! half, both two's complement: 4-bit codes whose blocks are rows. The product is rounded to the scale's own format, as
//! in the code that comes with these models.

use std::path::Path;

use protocol::{Result, UserError, text};

use super::{Parts, ScaleParts, misfit, part};
use crate::nn::packed::{Code, Outputs};
use crate::weights::checkpoint::{Checkpoint, Located};
use crate::weights::dtype::FileDtype;

const SCALE: &str = ".weight_scale";

/// Replaces each pair of `weight` and `weight_scale` by the weight they stand for. Checkpoints without such pairs stay
/// as they are.
///
/// # Errors
/// A scale whose weight is missing, or does not fit it.
pub fn unfold(mut checkpoint: Checkpoint, folder: &Path) -> Result<Checkpoint> {
    let scales: Vec<String> =
        checkpoint.tensors.keys().filter(|name| name.ends_with(SCALE)).cloned().collect();
    if scales.is_empty() {
        return Ok(checkpoint);
    }
    let packed = bits(folder) == Some(4);
    for name in scales {
        let weight = format!("{}.weight", name.trim_end_matches(SCALE));
        let (Some(scale), Some(numbers)) =
            (checkpoint.tensors.remove(&name), checkpoint.tensors.remove(&weight))
        else {
            let what = text!("{name} is there without {weight}", "有 {name} 却没有 {weight}");
            return Err(UserError::bad_input(what).at_item(name));
        };
        let located = pair(&checkpoint, &numbers, &scale, packed)
            .ok_or_else(|| misfit(&checkpoint, &weight, &[("weight", &numbers), ("scales", &scale)], ""))?;
        checkpoint.tensors.insert(weight, located);
    }
    Ok(checkpoint)
}

/// None where the two do not fit.
fn pair(checkpoint: &Checkpoint, numbers: &Located, scale: &Located, packed: bool) -> Option<Located> {
    let (codes, scales) = (part(checkpoint, numbers)?, part(checkpoint, scale)?);
    let (q, s) = (&codes.1, &scales.1);
    let [rows, columns] = *q.shape.as_slice() else { return None };
    let is_float = matches!(s.dtype, FileDtype::F16 | FileDtype::BF16 | FileDtype::F32);
    // Files say int8 for both widths; one value a row, or a column of them.
    let per_row = s.shape.iter().product::<usize>() == rows && s.shape.first() == Some(&rows);
    if q.dtype != FileDtype::I8 || !is_float || !per_row || columns == 0 {
        return None;
    }
    let wide = columns.checked_mul(2)?;
    let (shape, code, stored_as) = match packed {
        true => ([rows, wide], Code::Nibbles { table: signed_halves(), block: wide }, "int4"),
        false => ([rows, columns], Code::Bytes(Outputs::Rows), "int8"),
    };
    let dtype = s.dtype;
    Parts { shape, dtype, code, codes, scales: ScaleParts::Plain(scales, 1.0) }
        .located(numbers.file, stored_as)
}

/// The values of four bits, two's complement.
fn signed_halves() -> [f32; 16] {
    std::array::from_fn(|code| if code < 8 { code as f32 } else { code as f32 - 16.0 })
}

/// `quantization_bit` of the folder's config.json.
fn bits(folder: &Path) -> Option<u64> {
    let config = std::fs::read(folder.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
    config.get("quantization_bit")?.as_u64()
}

//! ChatGLM checkpoints of `quantization_bit` 8 or 4: every linear layer of a block holds whole numbers, and beside them
//! `weight_scale`, one scale a row. Opened, they look like the models they were made from.
//!
//! `W[row, :] = q[row, :] * scale[row]`, q in int8; with 4 bits two columns share a byte, the even one in the high
//! half, both two's complement. The product is rounded to the scale's own format, as in the code that comes with these
//! models.

use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use protocol::{Result, UserError, text};

use super::checkpoint::{Checkpoint, Content, Located};
use super::dtype::{FileDtype, byte_len, decode_f32};
use super::made::{Made, Recipe};
use super::mapping::Mapping;
use super::stored::Stored;

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
        let located = pair(&checkpoint, &numbers, &scale, packed).ok_or_else(|| {
            let (got, scales) = (numbers.content.shape(), scale.content.shape());
            let (dtype, kind) = (numbers.content.dtype(), scale.content.dtype());
            let what = text!("{weight} and its scales do not fit", "{weight} 与其缩放系数不匹配");
            UserError::bad_input(what)
                .in_file(checkpoint.files[numbers.file].path())
                .at_item(&*weight)
                .detail(format!("weight {got:?} {dtype}, scales {scales:?} {kind}"))
        })?;
        checkpoint.tensors.insert(weight, located);
    }
    Ok(checkpoint)
}

/// None where the two do not fit.
fn pair(checkpoint: &Checkpoint, numbers: &Located, scale: &Located, packed: bool) -> Option<Located> {
    let (Content::Stored(q), Content::Stored(s)) = (&numbers.content, &scale.content) else { return None };
    let [rows, columns] = q.shape.as_slice() else { return None };
    let is_float = matches!(s.dtype, FileDtype::F16 | FileDtype::BF16 | FileDtype::F32);
    // Files say int8 for both widths; one value a row, or a column of them.
    let per_row = s.shape.iter().product::<usize>() == *rows && s.shape.first() == Some(rows);
    if q.dtype != FileDtype::I8 || !is_float || !per_row {
        return None;
    }
    let file = |located: &Located| Arc::clone(&checkpoint.files[located.file]);
    let recipe = Scaled {
        numbers: (file(numbers), q.clone()),
        scale: (file(scale), s.clone()),
        packed,
        bytes_a_row: *columns,
    };
    let shape = vec![*rows, if packed { columns.checked_mul(2)? } else { *columns }];
    byte_len(&shape, s.dtype)?;
    let made = Made {
        dtype: s.dtype,
        shape,
        stored_as: if packed { "int4" } else { "int8" },
        stored_bytes: q.byte_len() + s.byte_len(),
        recipe: Box::new(recipe),
    };
    Some(Located { content: Content::Made(made), file: numbers.file })
}

/// `quantization_bit` of the folder's config.json.
fn bits(folder: &Path) -> Option<u64> {
    let config = std::fs::read(folder.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
    config.get("quantization_bit")?.as_u64()
}

#[derive(Debug)]
struct Scaled {
    numbers: (Arc<Mapping>, Stored),
    scale: (Arc<Mapping>, Stored),
    /// Two columns a byte.
    packed: bool,
    bytes_a_row: usize,
}

impl Recipe for Scaled {
    fn bytes(&self) -> Vec<u8> {
        let (file, numbers) = &self.numbers;
        let numbers = numbers.read(file);
        let (file, scale) = &self.scale;
        let raw = scale.read(file);
        let mut scales = vec![0f32; raw.len() / scale.dtype.size()];
        decode_f32(&raw, scale.dtype, &mut scales);
        let columns = if self.packed { 2 * self.bytes_a_row } else { self.bytes_a_row };
        let mut out = Vec::with_capacity(scales.len() * columns * scale.dtype.size());
        if self.bytes_a_row == 0 {
            return out;
        }
        for (row, scale_of_row) in numbers.chunks_exact(self.bytes_a_row).zip(scales) {
            let mut put = |number: i8| put(&mut out, f32::from(number) * scale_of_row, scale.dtype);
            for byte in row {
                if self.packed {
                    // Shifting right keeps the sign of the half that is on top.
                    put(*byte as i8 >> 4);
                    put((*byte << 4) as i8 >> 4);
                } else {
                    put(*byte as i8);
                }
            }
        }
        out
    }
}

fn put(out: &mut Vec<u8>, number: f32, dtype: FileDtype) {
    match dtype {
        FileDtype::F16 => out.extend(f16::from_f32(number).to_le_bytes()),
        FileDtype::BF16 => out.extend(bf16::from_f32(number).to_le_bytes()),
        _ => out.extend(number.to_le_bytes()),
    }
}

//! Checkpoints whose linear layers are stored in few bits. Opened, they look like the models they were made from; who
//! wants the codes themselves asks for them ([`Checkpoint::quantised`]).

mod bitsandbytes;
mod chatglm;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::FloatDType;
use protocol::{Result, Text, UserError};
use serde_json::Value as Json;

use super::checkpoint::{Checkpoint, Content, Located};
use super::dtype::{FileDtype, byte_len, decode_f32, encode_f32};
use super::made::{Made, Recipe};
use super::mapping::Mapping;
use super::stored::Stored;
use crate::nn::packed::{Code, Nested, Outputs, Quantised, Quantization, Scales};

/// Keys of config.json that say how the tensors are quantised: untrue once they are not.
pub const CONFIG_KEYS: [&str; 2] = ["quantization_config", "quantization_bit"];

/// Replaces codes and scales by the weights they stand for. Checkpoints without them stay as they are.
///
/// # Errors
/// Parts that are missing or do not fit one another.
pub fn unfold(checkpoint: Checkpoint, folder: &Path) -> Result<Checkpoint> {
    bitsandbytes::unfold(chatglm::unfold(checkpoint, folder)?)
}

impl Checkpoint {
    /// A matrix of the files in few bits: with its own codes where it has codes of this kind, else quantised here.
    /// Host memory: this one tensor as f32.
    ///
    /// # Errors
    /// No such tensor, no matrix of floats, or numbers that are not finite.
    pub fn quantised(&self, name: &str, quantization: Quantization, outputs: Outputs) -> Result<Quantised> {
        let kept = match self.tensors.get(name).map(|located| &located.content) {
            Some(Content::Made(made)) => made.recipe.quantised(),
            Some(Content::Stored(_)) | None => None,
        };
        if let Some(kept) = kept.filter(|kept| kept.suits(quantization)) {
            return Ok(kept);
        }
        let numbers = self.read_f32(name)?;
        let shape = self.info(name).map_or(&[][..], |info| info.shape);
        let refused = |what: Text| Err(UserError::bad_input(what).at_item(name));
        let [rows, columns] = shape else {
            return refused(Text::fixed("Only a matrix can be quantised", "只有矩阵可以量化"));
        };
        if !numbers.iter().all(|number| number.is_finite()) {
            return refused(Text::fixed(
                "The matrix holds numbers that are not finite and cannot be quantised",
                "矩阵中含有非有限数值，无法量化",
            ));
        }
        Ok(Quantised::new(&numbers, [*rows, *columns], quantization, outputs))
    }
}

/// A tensor of a file.
type Part = (Arc<Mapping>, Stored);

/// Where codes and scales of a matrix lie in the files. Their lengths were checked.
#[derive(Debug)]
struct Parts {
    shape: [usize; 2],
    /// What the dense elements are rounded to.
    dtype: FileDtype,
    code: Code,
    codes: Part,
    scales: ScaleParts,
}

#[derive(Debug)]
enum ScaleParts {
    /// Floats, each times a factor.
    Plain(Part, f32),
    Nested {
        codes: Part,
        table: Vec<f32>,
        block: usize,
        scales: Part,
        offset: f32,
    },
}

impl ScaleParts {
    fn byte_len(&self) -> usize {
        match self {
            Self::Plain((_, scales), _) => scales.byte_len(),
            Self::Nested { codes, scales, .. } => codes.1.byte_len() + scales.1.byte_len(),
        }
    }

    fn read(&self) -> Scales {
        match self {
            Self::Plain(scales, factor) => {
                Scales::Plain(floats(scales).into_iter().map(|scale| scale * factor).collect())
            }
            Self::Nested { codes, table, block, scales, offset } => Scales::Nested(Nested {
                codes: bytes(codes),
                table: table.clone(),
                block: *block,
                scales: floats(scales),
                offset: *offset,
            }),
        }
    }
}

impl Parts {
    /// The matrix as a tensor of the checkpoint; None where the shape overflows.
    fn located(self, file: usize, stored_as: &'static str) -> Option<Located> {
        byte_len(&self.shape, FileDtype::F32)?;
        let made = Made {
            dtype: self.dtype,
            shape: self.shape.to_vec(),
            stored_as,
            stored_bytes: self.codes.1.byte_len() + self.scales.byte_len(),
            recipe: Box::new(self),
        };
        Some(Located { content: Content::Made(made), file })
    }

    fn read(&self) -> Quantised {
        let rounded = match self.dtype {
            FileDtype::F16 => FloatDType::F16,
            FileDtype::BF16 => FloatDType::BF16,
            _ => FloatDType::F32,
        };
        let (code, codes) = (self.code.clone(), bytes(&self.codes));
        Quantised { shape: self.shape, code, codes, scales: self.scales.read(), rounded }
    }
}

impl Recipe for Parts {
    fn bytes(&self) -> Vec<u8> {
        let dense = self.read().dense();
        let mut out = vec![0; dense.len() * self.dtype.size()];
        // What is beyond the format's range becomes infinite there, as in the codes these files come from.
        encode_f32(&dense, &mut out, self.dtype).ok();
        out
    }

    fn quantised(&self) -> Option<Quantised> {
        Some(self.read())
    }
}

fn bytes((file, stored): &Part) -> Vec<u8> {
    stored.read(file).into_owned()
}

fn floats((file, stored): &Part) -> Vec<f32> {
    let raw = stored.read(file);
    let mut floats = vec![0f32; raw.len() / stored.dtype.size()];
    decode_f32(&raw, stored.dtype, &mut floats);
    floats
}

/// A tensor that lies in a file as it is.
fn part(checkpoint: &Checkpoint, located: &Located) -> Option<Part> {
    match &located.content {
        Content::Stored(stored) => Some((Arc::clone(&checkpoint.files[located.file]), stored.clone())),
        Content::Made(_) => None,
    }
}

/// The refusal of a matrix whose parts do not fit, each with its form.
fn misfit(checkpoint: &Checkpoint, weight: &str, parts: &[(&str, &Located)], why: &str) -> UserError {
    let what = protocol::text!("{weight} and its scales do not fit", "{weight} 与其缩放系数不匹配");
    let form = |(name, located): &(&str, &Located)| {
        format!("{name} {:?} {}", located.content.shape(), located.content.dtype())
    };
    let error = UserError::bad_input(what).at_item(weight).details(parts.iter().map(form));
    let error = if why.is_empty() { error } else { error.detail(why) };
    match parts.first() {
        Some((_, located)) => error.in_file(checkpoint.files[located.file].path()),
        None => error,
    }
}

/// config.json without what it says of quantised tensors.
pub fn without_quantization(config: &mut serde_json::Map<String, Json>) {
    for key in CONFIG_KEYS {
        config.shift_remove(key);
    }
}

//! Checkpoints of bitsandbytes. Beside a 4-bit `X.weight` (bytes of two codes) lie `X.weight.absmax`,
//! `X.weight.quant_map` (16 values), with double quantisation `X.weight.nested_absmax` and `X.weight.nested_quant_map`
//! (256 values), and `X.weight.quant_state.bitsandbytes__nf4` (or `__fp4`), a text of JSON in bytes. Beside an 8-bit
//! `X.weight` (LLM.int8) lies `X.SCB`, the largest magnitude of every row.

use protocol::{Result, Text, UserError, text};
use serde::Deserialize;

use super::{Part, Parts, ScaleParts, floats, misfit, part};
use crate::nn::packed::{Code, Outputs};
use crate::weights::checkpoint::{Checkpoint, Located};
use crate::weights::dtype::FileDtype;

const STATE: &str = ".quant_state.bitsandbytes__";
const SCALES: &str = ".SCB";
/// A state is a few hundred bytes.
const LONGEST_STATE: usize = 1 << 16;
/// bitsandbytes' `int8_vectorwise_dequant` multiplies with this 1/127.
const INT8_STEP: f32 = 7.874_016e-3;

/// Replaces every matrix in few bits, with what lies beside it, by the matrix.
///
/// # Errors
/// A state that cannot be read, or parts that are missing or do not fit it.
pub fn unfold(mut checkpoint: Checkpoint) -> Result<Checkpoint> {
    let names: Vec<String> = checkpoint.tensors.keys().cloned().collect();
    for name in names {
        if let Some((weight, kind)) = name.split_once(STATE) {
            four_bits(&mut checkpoint, weight, kind, &name)?;
        } else if let Some(module) = name.strip_suffix(SCALES) {
            eight_bits(&mut checkpoint, module, &name)?;
        }
    }
    Ok(checkpoint)
}

/// What the state's JSON says; the rest is in the shapes of the tensors.
#[derive(Debug, Deserialize)]
struct State {
    quant_type: String,
    blocksize: usize,
    dtype: String,
    shape: Vec<usize>,
    #[serde(default)]
    nested_blocksize: Option<usize>,
    #[serde(default)]
    nested_offset: Option<f32>,
}

impl State {
    fn dtype(&self) -> Option<FileDtype> {
        match self.dtype.as_str() {
            "float32" => Some(FileDtype::F32),
            "float16" => Some(FileDtype::F16),
            "bfloat16" => Some(FileDtype::BF16),
            _ => None,
        }
    }
}

fn four_bits(checkpoint: &mut Checkpoint, weight: &str, kind: &str, state_name: &str) -> Result<()> {
    let mut take = |name: &str| checkpoint.tensors.remove(name);
    let state = take(state_name);
    let [absmax, map, nested_absmax, nested_map] =
        ["absmax", "quant_map", "nested_absmax", "nested_quant_map"]
            .map(|part| take(&format!("{weight}.{part}")));
    let codes = take(weight);
    let (Some(state), Some(codes), Some(absmax), Some(map)) = (state, codes, absmax, map) else {
        let what = text!(
            "{state_name} is there without {weight}, its absmax or its quant_map",
            "有 {state_name}，却缺少 {weight}、其 absmax 或 quant_map"
        );
        return Err(UserError::bad_input(what).at_item(state_name));
    };
    let read = read_state(checkpoint, &state, state_name)?;
    let nested = nested_absmax.as_ref().zip(nested_map.as_ref());
    let located = Found { checkpoint, codes: &codes, absmax: &absmax, map: &map, nested, state: &read }
        .matrix()
        .and_then(|parts| {
            let stored_as = if kind == "fp4" { "fp4" } else { "nf4" };
            parts.located(codes.file, stored_as).ok_or("its shape overflows")
        });
    let located = located.map_err(|why| {
        misfit(checkpoint, weight, &[("weight", &codes), ("absmax", &absmax), ("quant_map", &map)], why)
            .detail(format!("{read:?}"))
    })?;
    checkpoint.tensors.insert(weight.to_owned(), located);
    Ok(())
}

fn read_state(checkpoint: &Checkpoint, state: &Located, name: &str) -> Result<State> {
    let bad = |detail: String| {
        let what = Text::fixed("The state of a 4-bit matrix cannot be read", "无法读取 4 位矩阵的量化状态");
        UserError::bad_input(what).at_item(name).in_file(checkpoint.files[state.file].path()).detail(detail)
    };
    let bytes = part(checkpoint, state)
        .filter(|(_, stored)| stored.dtype == FileDtype::U8 && stored.byte_len() <= LONGEST_STATE);
    let bytes =
        bytes.map(|part| super::bytes(&part)).ok_or_else(|| bad("wanted a short text in U8".into()))?;
    serde_json::from_slice(&bytes).map_err(|err| bad(err.to_string()))
}

/// The tensors of one 4-bit matrix.
struct Found<'a> {
    checkpoint: &'a Checkpoint,
    codes: &'a Located,
    absmax: &'a Located,
    map: &'a Located,
    nested: Option<(&'a Located, &'a Located)>,
    state: &'a State,
}

impl Found<'_> {
    /// Checked against one another; an error is a line for the user.
    fn matrix(&self) -> Result<Parts, &'static str> {
        let state = self.state;
        if !matches!(state.quant_type.as_str(), "nf4" | "fp4") {
            return Err("its quant_type is neither nf4 nor fp4");
        }
        let dtype = state.dtype().ok_or("its dtype is no float32, float16 or bfloat16")?;
        let [rows, columns] = *state.shape.as_slice() else { return Err("its shape is no matrix") };
        let elements = rows
            .checked_mul(columns)
            .filter(|elements| *elements > 0)
            .ok_or("its shape overflows or is empty")?;
        let block = state.blocksize;
        if block == 0 || !block.is_multiple_of(2) || block > 1 << 20 {
            return Err("its blocksize is not even, or too large");
        }
        let codes = self.part(self.codes)?;
        // The bytes may be dressed as numbers of another type (bnb_4bit_quant_storage).
        if codes.1.byte_len() != elements.div_ceil(2) {
            return Err("its bytes are not half as many as its elements");
        }
        let table = self.table::<16>(self.map)?;
        let scales = self.scales(elements.div_ceil(block))?;
        Ok(Parts { shape: [rows, columns], dtype, code: Code::Nibbles { table, block }, codes, scales })
    }

    fn scales(&self, count: usize) -> Result<ScaleParts, &'static str> {
        let scales = self.part(self.absmax)?;
        if scales.1.shape.iter().product::<usize>() != count {
            return Err("it has another number of scales than blocks");
        }
        let Some((absmax, map)) = self.nested else {
            let plain = scales.1.dtype == FileDtype::F32;
            return if plain { Ok(ScaleParts::Plain(scales, 1.0)) } else { Err("its scales are not F32") };
        };
        let block = self.state.nested_blocksize.filter(|block| (1..=1 << 20).contains(block));
        let block = block.ok_or("its nested_blocksize is missing or too large")?;
        let offset = self.state.nested_offset.filter(|offset| offset.is_finite());
        let offset = offset.ok_or("its nested_offset is missing")?;
        let outer = self.part(absmax)?;
        let fits = outer.1.dtype == FileDtype::F32
            && outer.1.shape.iter().product::<usize>() == count.div_ceil(block);
        if scales.1.dtype != FileDtype::U8 || !fits {
            return Err("its 8-bit scales do not fit their own scales");
        }
        let table = self.table::<256>(map)?.to_vec();
        Ok(ScaleParts::Nested { codes: scales, table, block, scales: outer, offset })
    }

    fn table<const N: usize>(&self, located: &Located) -> Result<[f32; N], &'static str> {
        let map = self.part(located)?;
        if map.1.dtype != FileDtype::F32 || map.1.shape != [N] {
            return Err("its table of values has another form");
        }
        floats(&map).try_into().map_err(|_| "its table of values has another length")
    }

    fn part(&self, located: &Located) -> Result<Part, &'static str> {
        part(self.checkpoint, located).ok_or("a part of it is itself made of others")
    }
}

fn eight_bits(checkpoint: &mut Checkpoint, module: &str, name: &str) -> Result<()> {
    let weight = format!("{module}.weight");
    let format = checkpoint.tensors.remove(&format!("{module}.weight_format"));
    let (Some(scales), Some(codes)) = (checkpoint.tensors.remove(name), checkpoint.tensors.remove(&weight))
    else {
        let what = text!("{name} is there without {weight}", "有 {name} 却没有 {weight}");
        return Err(UserError::bad_input(what).at_item(name));
    };
    let by_rows = format.is_none_or(|format| {
        part(checkpoint, &format).is_some_and(|part| super::bytes(&part).iter().all(|byte| *byte == 0))
    });
    let located = if by_rows { int8(checkpoint, &codes, &scales) } else { None };
    let located = located.ok_or_else(|| {
        let why = if by_rows { "" } else { "its weight_format is not `row`" };
        misfit(checkpoint, &weight, &[("weight", &codes), ("SCB", &scales)], why)
    })?;
    checkpoint.tensors.insert(weight, located);
    Ok(())
}

fn int8(checkpoint: &Checkpoint, codes: &Located, scales: &Located) -> Option<Located> {
    let (file, (codes, scales)) = (codes.file, (part(checkpoint, codes)?, part(checkpoint, scales)?));
    let [rows, columns] = *codes.1.shape.as_slice() else { return None };
    let fits = scales.1.dtype == FileDtype::F32 && scales.1.shape == [rows];
    if codes.1.dtype != FileDtype::I8 || !fits || columns == 0 {
        return None;
    }
    let scales = ScaleParts::Plain(scales, INT8_STEP);
    let code = Code::Bytes(Outputs::Rows);
    Parts { shape: [rows, columns], dtype: FileDtype::F32, code, codes, scales }.located(file, "int8")
}

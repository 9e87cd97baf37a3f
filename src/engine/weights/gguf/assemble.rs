//! Tensors of a file as tensors of Hugging Face: dequantised, in its order of rows, joined where it has one matrix for
//! several.

use std::collections::BTreeMap;
use std::sync::Arc;

use data::gguf::{TensorEntry, TensorKind};
use protocol::{Result, Text, UserError, text};

use super::arch::{Arch, Form, Heads, Module};
use super::rows::RowOrder;
use super::{Model, blocks, range};
use crate::weights::checkpoint::{Content, Located};
use crate::weights::dtype::{FileDtype, byte_len};
use crate::weights::made::{Made, Recipe};
use crate::weights::mapping::Mapping;
use crate::weights::stored::{Layout, Stored};

/// Tensors that config.json is made of: they are no weights.
const OF_CONFIG: [&str; 3] = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// A tensor of the file that is a part of a Hugging Face one.
struct Found<'a> {
    module: &'static Module,
    part: usize,
    entry: &'a TensorEntry,
}

/// Every tensor by its Hugging Face name. One that the architecture does not have keeps its own.
pub fn tensors(model: &Model, arch: &Arch, heads: Heads) -> Result<BTreeMap<String, Located>> {
    let mut found: BTreeMap<String, Vec<Found<'_>>> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (part, entry) in model.entries() {
        if OF_CONFIG.contains(&entry.name.as_str()) {
            continue;
        }
        if !blocks::is_read(entry.kind) {
            return Err(unread(entry.kind).in_file(model.files[part].path()).at_item(&*entry.name));
        }
        match arch.of_gguf(&entry.name) {
            Some((module, name)) => found.entry(name).or_default().push(Found { module, part, entry }),
            None => {
                let plain = Found { module: &PLAIN, part, entry };
                tensors.insert(entry.name.clone(), joined(model, &[plain], heads)?);
            }
        }
    }
    for (name, mut parts) in found {
        parts.sort_by_key(|found| found.module.part.0);
        if parts.len() == parts[0].module.part.1 {
            tensors.insert(name, joined(model, &parts, heads)?);
        }
    }
    Ok(tensors)
}

const PLAIN: Module = Module { hf: "", gguf: "", form: Form::Plain, part: (0, 1) };

fn unread(kind: TensorKind) -> UserError {
    UserError::bad_input(text!(
        "The GGUF file holds tensors in {kind}, which is not read",
        "GGUF 文件中有 {kind} 格式的张量，无法读取"
    ))
    .mend(Text::fixed(
        "fetch the model in Q4_0, Q4_K_M, Q6_K, Q8_0, F16 or BF16, or its Hugging Face folder",
        "请下载该模型的 Q4_0、Q4_K_M、Q6_K、Q8_0、F16 或 BF16 版本，或其 Hugging Face 文件夹",
    ))
}

/// One Hugging Face tensor of its parts, in order.
fn joined(model: &Model, parts: &[Found<'_>], heads: Heads) -> Result<Located> {
    let first = &parts[0];
    let misfit = |entry: &TensorEntry| {
        let dims = &entry.dims;
        let what = text!(
            "the dimensions {dims:?} do not fit the model's heads, or the other parts",
            "维度 {dims:?} 与模型的注意力头或其他部分不符"
        );
        UserError::bad_input(what).in_file(model.files[first.part].path()).at_item(&*entry.name)
    };
    let pieces = parts
        .iter()
        .map(|found| Piece::of(model, found, heads).ok_or_else(|| misfit(found.entry)))
        .collect::<Result<Vec<_>>>()?;
    if let [piece] = pieces.as_slice()
        && let Some(stored) = piece.as_it_is(first.entry)
    {
        return Ok(Located { content: Content::Stored(stored), file: first.part });
    }
    let dtype = common_dtype(&pieces);
    let shape = joined_shape(&pieces).filter(|shape| byte_len(shape, dtype).is_some());
    let made = Made {
        dtype,
        shape: shape.ok_or_else(|| misfit(first.entry))?,
        stored_as: first.entry.kind.name,
        stored_bytes: pieces.iter().map(|piece| piece.range.len()).sum(),
        recipe: Box::new(Joined { pieces, dtype }),
    };
    Ok(Located { content: Content::Made(made), file: first.part })
}

/// Where all parts are stored in one float format, that; else f32, which holds every dequantised number exactly.
fn common_dtype(pieces: &[Piece]) -> FileDtype {
    let first = plain_dtype(pieces[0].kind);
    let all = pieces.iter().all(|piece| plain_dtype(piece.kind) == first && !piece.plus_one);
    first.filter(|_| all).unwrap_or(FileDtype::F32)
}

fn plain_dtype(kind: TensorKind) -> Option<FileDtype> {
    match kind {
        TensorKind::F32 => Some(FileDtype::F32),
        TensorKind::F16 => Some(FileDtype::F16),
        TensorKind::BF16 => Some(FileDtype::BF16),
        _ => None,
    }
}

fn joined_shape(pieces: &[Piece]) -> Option<Vec<usize>> {
    let mut shape = pieces[0].shape.clone();
    for piece in &pieces[1..] {
        if shape.is_empty() || piece.shape.len() != shape.len() || piece.shape[1..] != shape[1..] {
            return None;
        }
        shape[0] = shape[0].checked_add(piece.shape[0])?;
    }
    Some(shape)
}

/// A tensor of the file on its way.
#[derive(Debug)]
struct Piece {
    file: Arc<Mapping>,
    range: std::ops::Range<usize>,
    kind: TensorKind,
    rows: usize,
    columns: usize,
    order: RowOrder,
    transposed: bool,
    plus_one: bool,
    /// In Hugging Face's order of dimensions.
    shape: Vec<usize>,
}

impl Piece {
    /// None where the dimensions do not fit the layout.
    fn of(model: &Model, found: &Found<'_>, heads: Heads) -> Option<Self> {
        let Found { module, part, entry } = found;
        let mut shape: Vec<usize> =
            entry.dims.iter().rev().map(|dim| usize::try_from(*dim).ok()).collect::<Option<_>>()?;
        // A vector has one element a row.
        let (rows, columns) = match shape.as_slice() {
            [] => (1, 1),
            [rows] => (*rows, 1),
            [rows, rest @ ..] => (*rows, rest.iter().product()),
        };
        let transposed = module.form == Form::Transposed && shape.len() == 2;
        if transposed {
            shape.reverse();
        }
        let order = module.form.order(heads);
        order.fits(rows).then(|| Self {
            file: Arc::clone(&model.files[*part]),
            range: range(entry),
            kind: entry.kind,
            rows,
            columns,
            order,
            transposed,
            plus_one: module.form == Form::PlusOne,
            shape,
        })
    }

    /// The tensor that needs nothing done to it.
    fn as_it_is(&self, entry: &TensorEntry) -> Option<Stored> {
        let dtype = plain_dtype(self.kind)?;
        let untouched = self.order == RowOrder::Same && !self.transposed && !self.plus_one;
        untouched.then(|| Stored {
            dtype,
            shape: self.shape.clone(),
            layout: Layout::contiguous(entry.start as usize),
        })
    }

    /// Appends its elements in Hugging Face's order.
    fn put(&self, dtype: FileDtype, out: &mut Vec<u8>) {
        let raw = &self.file[self.range.clone()];
        let numbers;
        let source: &[u8] = if plain_dtype(self.kind) == Some(dtype) && !self.plus_one {
            raw
        } else {
            numbers = self.decoded(raw);
            bytemuck::cast_slice(&numbers)
        };
        let size = dtype.size();
        let begin = out.len();
        if self.transposed {
            out.resize(begin + source.len(), 0);
            transpose(source, &mut out[begin..], self.columns, size);
        } else if self.order == RowOrder::Same {
            out.extend_from_slice(source);
        } else {
            out.resize(begin + source.len(), 0);
            let width = self.columns * size;
            for row in 0..self.rows {
                let to = begin + self.order.source(row, self.rows) * width;
                out[to..to + width].copy_from_slice(&source[row * width..(row + 1) * width]);
            }
        }
    }

    fn decoded(&self, raw: &[u8]) -> Vec<f32> {
        let mut numbers = vec![0f32; self.rows * self.columns];
        blocks::decode(self.kind, raw, &mut numbers);
        if self.plus_one {
            numbers.iter_mut().for_each(|number| *number -= 1.0);
        }
        numbers
    }
}

/// `[rows, columns]` to `[columns, rows]`, elements of `size` bytes.
fn transpose(source: &[u8], out: &mut [u8], columns: usize, size: usize) {
    let rows = source.len() / (columns * size).max(1);
    for (index, element) in source.chunks_exact(size).enumerate() {
        let to = (index % columns * rows + index / columns) * size;
        out[to..to + size].copy_from_slice(element);
    }
}

#[derive(Debug)]
struct Joined {
    pieces: Vec<Piece>,
    dtype: FileDtype,
}

impl Recipe for Joined {
    fn bytes(&self) -> Vec<u8> {
        let elements: usize = self.pieces.iter().map(|piece| piece.rows * piece.columns).sum();
        let mut out = Vec::with_capacity(elements * self.dtype.size());
        self.pieces.iter().for_each(|piece| piece.put(self.dtype, &mut out));
        out
    }
}

//! A model with more tokens than its files have: embedding and head get rows for them, behind those that are there.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, FloatDType, Int, Tensor, TensorData};
use data::{Extension, NewToken};
use protocol::config::{InitialRows, RowsTrained};
use protocol::{Result, UserError, text};

use super::Model;
use crate::nn::{ParamId, Role, Value, float_dtype, ops, put_rows};

/// Tokens whose rows are made at once, and numbers that are widened to f32 at once.
const TOKENS: usize = 1024;
const PIECE: usize = 1 << 24;

/// Which tokens a model gets, and what their rows begin with.
#[derive(Clone, Debug)]
pub struct Growth {
    pub extension: Arc<Extension>,
    /// What an adapter trains of the rows.
    pub train: RowsTrained,
    /// Rows that the model's files have.
    pub base_rows: usize,
    /// Rows that it has with the new tokens.
    pub rows: usize,
}

impl Growth {
    /// # Errors
    /// When the new tokens do not follow on the model's rows.
    pub fn new(extension: Arc<Extension>, base_rows: usize, train: RowsTrained) -> Result<Self> {
        let record = &extension.record;
        let first = record.first as usize;
        if first > base_rows {
            return Err(UserError::bad_input(text!(
                "The new tokens begin at {first}, but the model's embedding has {base_rows} rows",
                "新词元从编号 {first} 开始，而模型的词嵌入只有 {base_rows} 行"
            ))
            .at_item("vocabulary"));
        }
        let rows = record.rows(base_rows);
        Ok(Self { extension, train, base_rows, rows })
    }

    /// Rows that no file has values for: those of the new tokens, and what fills up to a multiple. Large models have
    /// rows to spare, which are used first.
    pub fn new_rows(&self) -> Range<usize> {
        let record = &self.extension.record;
        let first = record.first as usize;
        let end = first + record.tokens.len();
        first..if self.rows > self.base_rows { self.rows } else { end }
    }

    /// Whether the same tokens get the same rows.
    pub fn is_like(&self, other: &Self) -> bool {
        self.extension.record == other.extension.record && self.base_rows == other.base_rows
    }

    /// What the [`new_rows`](Self::new_rows) begin with, f32: `[rows, columns]`, or `[rows]` for a bias.
    ///
    /// A token's row is the mean of the rows of the pieces that its text was split into before, or of all rows, as is
    /// every row that no token has. A bias begins with the mean of all, as transformers' `resize_token_embeddings` has it.
    pub fn initial(&self, value: &Value) -> Value {
        let count = self.new_rows().len();
        match first_rows(value.clone(), self.base_rows) {
            Value::Matrix(base) => Value::Matrix(self.initial_rows(&base, count)),
            Value::Vector(base) => Value::Vector(base.cast(FloatDType::F32).mean().expand([count])),
            // Embeddings and heads are never packed.
            Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => Value::Absent,
        }
    }

    fn initial_rows(&self, base: &Tensor<2>, count: usize) -> Tensor<2> {
        let record = &self.extension.record;
        let mean = mean_of(base);
        let columns = mean.dims()[1];
        let mut parts = Vec::new();
        for tokens in record.tokens.chunks(TOKENS) {
            parts.push(match record.initialise {
                InitialRows::Pieces => means_of_pieces(tokens, base, &mean),
                InitialRows::Mean => mean.clone().expand([tokens.len(), columns]),
            });
        }
        if let Some(filling) = count.checked_sub(record.tokens.len()).filter(|rows| *rows > 0) {
            parts.push(mean.expand([filling, columns]));
        }
        Tensor::cat(parts, 0)
    }

    /// A parameter with rows for the new tokens, from one without; in its own type. Rows to spare keep what they have.
    pub fn grown(&self, value: Value) -> Value {
        let appended = self.rows - self.base_rows;
        if appended == 0 {
            return value;
        }
        let skipped = self.base_rows - self.new_rows().start;
        match (self.initial(&value), value) {
            (Value::Matrix(new), Value::Matrix(old)) => {
                let new = new.narrow(0, skipped, appended).cast(float_dtype(old.dtype()));
                Value::Matrix(Tensor::cat(vec![old, new], 0))
            }
            (Value::Vector(new), Value::Vector(old)) => {
                let new = new.narrow(0, skipped, appended).cast(float_dtype(old.dtype()));
                Value::Vector(Tensor::cat(vec![old, new], 0))
            }
            (_, value) => value,
        }
    }

    /// The value, f32, with the initial rows in place of whatever the new ones hold.
    pub fn with_initial_rows(&self, value: &Value) -> Value {
        let first = self.new_rows().start;
        match (self.initial(value), value.clone().cast(FloatDType::F32)) {
            (Value::Matrix(new), Value::Matrix(old)) => Value::Matrix(put_rows(old, 0, first, new)),
            (Value::Vector(new), Value::Vector(old)) => Value::Vector(put_rows(old, 0, first, new)),
            (_, old) => old,
        }
    }
}

/// Mean row, `[1, columns]`, f32; piece by piece.
fn mean_of(matrix: &Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let step = (PIECE / columns.max(1)).max(1);
    let sum = |start: usize| {
        matrix.clone().narrow(0, start, step.min(rows - start)).cast(FloatDType::F32).sum_dim(0)
    };
    let sums: Vec<Tensor<2>> = (0..rows).step_by(step).map(sum).collect();
    Tensor::cat(sums, 0).sum_dim(0) / rows.max(1) as f64
}

/// `[tokens, columns]`, f32; tokens that were split into nothing known get `mean`.
fn means_of_pieces(tokens: &[NewToken], base: &Tensor<2>, mean: &Tensor<2>) -> Tensor<2> {
    let device = base.device();
    let count: usize = tokens.iter().map(|token| token.pieces.len()).sum();
    let matrix = |values: Vec<f32>, shape: [usize; 2]| -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32))
    };
    let without = tokens.iter().map(|token| if token.pieces.is_empty() { 1.0 } else { 0.0 }).collect();
    let filled = ops::matmul2(matrix(without, [tokens.len(), 1]), mean.clone());
    if count == 0 {
        return filled;
    }
    let mut shares = vec![0.0; tokens.len() * count];
    let mut at = 0;
    for (token, row) in tokens.iter().zip(shares.chunks_mut(count)) {
        let end = at + token.pieces.len();
        row[at..end].fill(1.0 / token.pieces.len() as f32);
        at = end;
    }
    let ids: Vec<i32> = tokens.iter().flat_map(|token| &token.pieces).map(|id| *id as i32).collect();
    let ids: Tensor<1, Int> = Tensor::from_data(TensorData::new(ids, [count]), &device);
    let pieces = base.clone().select(0, ids).cast(FloatDType::F32);
    filled + ops::matmul2(matrix(shares, [tokens.len(), count]), pieces)
}

impl Model {
    /// Rows that the model's files have.
    pub fn base_vocabulary(&self) -> usize {
        self.growth.as_ref().map_or(self.info.vocabulary, |growth| growth.base_rows)
    }

    /// Parameters with a row for every token: embedding, head and the head's bias.
    pub fn vocabulary_params(&self) -> BTreeSet<ParamId> {
        let sites = self.sites.iter().filter(|site| matches!(site.role, Role::Embedding | Role::Head));
        sites.flat_map(|site| std::iter::once(site.weight).chain(site.bias)).collect()
    }

    /// Gives embedding and head rows for new tokens, or takes them away again. A model without values is resized
    /// by its shapes alone.
    ///
    /// # Errors
    /// When the family has something else in these matrices than a row for every token.
    pub fn resize(&mut self, growth: Option<Arc<Growth>>) -> Result<()> {
        let same = match (&self.growth, &growth) {
            (None, None) => true,
            (Some(old), Some(new)) => old.is_like(new),
            _ => false,
        };
        if same {
            self.growth = growth;
            return Ok(());
        }
        let (now, base) = (self.info.vocabulary, self.base_vocabulary());
        let params = self.vocabulary_params();
        if let Some(odd) = params.iter().find(|id| self.params.get(**id).shape.first() != Some(&now)) {
            let (name, family) = (self.params.get(*odd).name.clone(), self.family.id);
            return Err(UserError::bad_input(text!(
                "The vocabulary of a {family} model cannot be extended: {name} has other rows, too",
                "无法扩充 {family} 模型的词表：{name} 中还有其他用途的行"
            ))
            .at_item("vocabulary"));
        }
        let rows = growth.as_ref().map_or(base, |growth| growth.rows);
        for id in params {
            let param = self.params.get_mut(id);
            let value = first_rows(std::mem::replace(&mut param.value, Value::Absent), base);
            param.value = growth.as_ref().map_or(value.clone(), |growth| growth.grown(value));
            param.shape[0] = rows;
        }
        for site in &mut self.sites {
            match site.role {
                Role::Embedding => site.inputs = rows,
                Role::Head => site.outputs = rows,
                _ => {}
            }
        }
        self.info.vocabulary = rows;
        self.growth = growth;
        Ok(())
    }

    /// Puts the rows of new tokens behind values that were read from files.
    pub(super) fn grow_read(&mut self) {
        let Some(growth) = self.growth.clone() else { return };
        for id in self.vocabulary_params() {
            let param = self.params.get_mut(id);
            let value = std::mem::replace(&mut param.value, Value::Absent);
            param.value = growth.grown(value);
        }
    }
}

fn first_rows(value: Value, rows: usize) -> Value {
    match value {
        Value::Matrix(matrix) if matrix.dims()[0] > rows => Value::Matrix(matrix.narrow(0, 0, rows)),
        Value::Vector(vector) if vector.dims()[0] > rows => Value::Vector(vector.narrow(0, 0, rows)),
        value => value,
    }
}

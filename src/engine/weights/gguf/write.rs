//! Writing a file, tensor by tensor: memory stays bounded whatever the size.

use std::path::{Path, PathBuf};

use data::gguf::{DEFAULT_ALIGNMENT, Metadata, NewTensor, TensorKind, encode};
use protocol::{Result, Text, UserError, text};

use super::arch::{Form, Heads, Module};
use super::blocks::encode_q8_0;
use crate::files::require_space;
use crate::weights::checkpoint::out_of_range;
use crate::weights::dtype::{FileDtype, encode_f32};
use crate::weights::sink::FileOut;

/// Numbers converted at a time; a multiple of every block.
const CHUNK: usize = 1 << 18;

/// A file whose head is known before a byte of it is written.
pub struct Writer {
    head: Vec<u8>,
    tensors: Vec<NewTensor>,
}

impl Writer {
    pub fn new(metadata: &Metadata, tensors: Vec<NewTensor>) -> Self {
        Self { head: encode(metadata, &tensors), tensors }
    }

    /// Bytes of the file.
    pub fn total_bytes(&self) -> u64 {
        let data = self.tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(DEFAULT_ALIGNMENT));
        self.head.len() as u64 + data.sum::<u64>()
    }

    /// Writes the file; `fill` is called once a tensor, in order, and gives all its numbers. Nothing is synced to the
    /// disk: that is the atomic folder's part.
    ///
    /// # Errors
    /// Too little space (asked for beforehand), a file that exists, a failing disk, a tensor that `fill` did not give
    /// as planned, a number that the format cannot hold, or what `fill` returns.
    pub fn write(
        &self,
        path: &Path,
        mut fill: impl FnMut(usize, &mut BlockSink<'_>) -> Result<()>,
    ) -> Result<()> {
        require_space(path.parent().unwrap_or(path), self.total_bytes())?;
        let mut file = FileOut::create(path, self.total_bytes())?;
        file.put(&self.head)?;
        for (index, tensor) in self.tensors.iter().enumerate() {
            let mut sink = BlockSink { file: &mut file, path: path.to_owned(), tensor, written: 0, done: 0 };
            fill(index, &mut sink)?;
            sink.finish()?;
        }
        file.finish()
    }
}

/// Takes the numbers of one tensor, in the file's order and in as many pieces as the caller likes, whole blocks each.
pub struct BlockSink<'a> {
    file: &'a mut FileOut,
    path: PathBuf,
    tensor: &'a NewTensor,
    /// Bytes.
    written: u64,
    /// Numbers.
    done: usize,
}

impl BlockSink<'_> {
    /// Numbers, rounded to the tensor's format.
    ///
    /// # Errors
    /// A failing disk, more numbers than planned, or one that the format cannot hold.
    pub fn put(&mut self, numbers: &[f32]) -> Result<()> {
        for numbers in numbers.chunks(CHUNK) {
            let bytes = self.encoded(numbers)?;
            self.written += bytes.len() as u64;
            if self.written > self.tensor.bytes {
                return Err(self.wrong_length());
            }
            self.file.put(&bytes)?;
            self.done += numbers.len();
        }
        Ok(())
    }

    fn encoded(&self, numbers: &[f32]) -> Result<Vec<u8>> {
        let dtype = match self.tensor.kind {
            TensorKind::F32 => FileDtype::F32,
            TensorKind::F16 => FileDtype::F16,
            TensorKind::BF16 => FileDtype::BF16,
            _ => return self.quantised(numbers),
        };
        let mut bytes = vec![0; numbers.len() * dtype.size()];
        encode_f32(numbers, &mut bytes, dtype).map_err(|mut err| {
            err.index += self.done;
            out_of_range(&self.tensor.name, dtype, err)
        })?;
        Ok(bytes)
    }

    fn quantised(&self, numbers: &[f32]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(numbers.len() / 32 * 34);
        encode_q8_0(numbers, &mut bytes).map_err(|index| {
            let (value, index, name) = (numbers[index], index + self.done, &self.tensor.name);
            let what = text!(
                "{value} (element {index} of {name}) cannot be stored in Q8_0",
                "{name} 的第 {index} 个元素 {value} 无法以 Q8_0 存储"
            );
            UserError::bad_input(what)
                .at_item(&**name)
                .mend(Text::fixed("use bf16 or f32", "请使用 bf16 或 f32"))
        })?;
        Ok(bytes)
    }

    /// The file's alignment, and the check that everything came.
    fn finish(self) -> Result<()> {
        if self.written != self.tensor.bytes {
            return Err(self.wrong_length());
        }
        let padding = self.written.next_multiple_of(DEFAULT_ALIGNMENT) - self.written;
        self.file.put(&vec![0; padding as usize])
    }

    fn wrong_length(&self) -> UserError {
        let NewTensor { name, kind, dims, .. } = self.tensor;
        let what = Text::fixed("A tensor was not written as planned", "张量的写入与计划不符");
        UserError::failure(what)
            .in_file(&self.path)
            .at_item(&**name)
            .detail(format!("planned {dims:?} {kind}"))
    }
}

/// Gives a sink one module of a Hugging Face tensor (`numbers`, `shape`): its part of the rows, in the file's order and
/// form; `unit_rows`: those of [`Form::UnitRows`] are scaled to length 1.
///
/// # Errors
/// As [`BlockSink::put`]; rows that do not fit the heads.
pub fn put_module(
    module: &Module,
    heads: Heads,
    unit_rows: bool,
    (numbers, shape): (&[f32], &[usize]),
    sink: &mut BlockSink<'_>,
) -> Result<()> {
    let (index, of) = module.part;
    let all = shape.first().copied().unwrap_or(1);
    let width = numbers.len() / all.max(1);
    let rows = all / of;
    let order = module.form.order(heads);
    if !all.is_multiple_of(of) || !order.fits(rows) {
        let what = text!(
            "The shape {shape:?} does not fit the model's heads",
            "形状 {shape:?} 与模型的注意力头不符"
        );
        return Err(UserError::bad_input(what).at_item(module.hf));
    }
    let numbers = &numbers[index * rows * width..(index + 1) * rows * width];
    match module.form {
        Form::Transposed if shape.len() == 2 => {
            // Conv1D: `[in, out]` becomes `[out, in]`, a few rows at a time.
            let columns: Vec<usize> = (0..width).collect();
            let step = (CHUNK / rows.max(1)).max(1);
            for columns in columns.chunks(step) {
                let turned: Vec<f32> = columns
                    .iter()
                    .flat_map(|column| (0..rows).map(move |row| numbers[row * width + column]))
                    .collect();
                sink.put(&turned)?;
            }
            Ok(())
        }
        Form::PlusOne => sink.put(&numbers.iter().map(|number| number + 1.0).collect::<Vec<_>>()),
        form => {
            let step = (CHUNK / width.max(1)).max(1);
            let mut buffer = Vec::with_capacity(step.min(rows) * width);
            for from in (0..rows).step_by(step) {
                buffer.clear();
                for row in from..(from + step).min(rows) {
                    let source = order.source(row, rows) * width;
                    buffer.extend_from_slice(&numbers[source..source + width]);
                    if form == Form::UnitRows && unit_rows {
                        let begin = buffer.len() - width;
                        to_unit_length(&mut buffer[begin..]);
                    }
                }
                sink.put(&buffer)?;
            }
            Ok(())
        }
    }
}

/// As the model itself does before each product: the length is at least 1e-12.
fn to_unit_length(row: &mut [f32]) {
    let length = row.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt().max(1e-12);
    row.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
}

//! Rows as training takes them, in files for other programs: examples as tokens and labels, and which of them each step
//! has. Parquet, whose files are read back as data in the format `tokens`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use protocol::{Result, Text, UserError, text};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::progress::{Progress, check_cancelled};
use crate::record::Example;
use crate::sampler::{Position, Sampler};

/// Examples of a row group, and steps of one.
const GROUP: usize = 4096;

/// `input_ids` and `labels` as in the format `tokens` (labels not shifted, -100 where nothing is learned); the file's name,
/// the row in it from 1 on, and which piece of the row this is, from 0 on.
const EXAMPLES: &str = "message examples {
    required group input_ids (LIST) { repeated group list { required int32 element; } }
    required group labels (LIST) { repeated group list { required int32 element; } }
    required binary file (STRING);
    required int64 row;
    required int32 piece;
}";

/// `rows`: positions in the file of examples, in the order of the micro-batches; `texts`: how many of them share each row,
/// empty where each has its own; `epoch` after the step,
/// and the micro-batch that comes then; `learning_rate` of that many updates.
const STEPS: &str = "message steps {
    required group rows (LIST) { repeated group list { required int32 element; } }
    required group texts (LIST) { repeated group list { required int32 element; } }
    required double epoch;
    required int64 next_epoch;
    required int64 next_batch;
    required double learning_rate;
}";

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    pub examples: u64,
    pub tokens: u64,
    /// Tokens that bear loss.
    pub learned: u64,
}

/// Writes examples of a dataset, given by their numbers, in this order.
///
/// # Errors
/// When a row cannot be read or holds more than ids and labels, the disk is full, or the user stopped.
pub fn write_examples(
    dataset: &Dataset,
    examples: &[u32],
    path: &Path,
    progress: &dyn Progress,
) -> Result<Prepared> {
    let pool = DeepPool::new()?;
    let stage = Text::fixed("writing tokens", "写入词元");
    let mut table = Table::create(path, EXAMPLES)?;
    let mut prepared = Prepared::default();
    for (number, numbers) in examples.chunks(GROUP).enumerate() {
        check_cancelled(progress)?;
        progress.report(&stage, (number * GROUP) as u64, examples.len() as u64);
        let read = |example: &u32| Row::read(dataset, *example);
        let rows: Vec<Row> = pool.run(|| numbers.par_iter().map(read).collect::<Result<_>>())?;
        prepared.add(&rows);
        table.group(&mut [
            Column::Lists(rows.iter().map(|row| row.ids.as_slice()).collect()),
            Column::Lists(rows.iter().map(|row| row.labels.as_slice()).collect()),
            Column::Texts(rows.iter().map(|row| row.file.as_str()).collect()),
            Column::Longs(rows.iter().map(|row| row.row).collect()),
            Column::Ints(rows.iter().map(|row| row.piece).collect()),
        ])?;
    }
    progress.report(&stage, examples.len() as u64, examples.len() as u64);
    table.close()?;
    Ok(prepared)
}

/// Writes the rows of each of so many steps, from where the sampler stands. `examples` are those of the file that
/// [`write_examples`] wrote, ascending; `epoch` tells how far a place in the data is, `rate` the rate of an update.
///
/// # Errors
/// When the sampler draws an example that is not among them, or the disk is full.
pub fn write_steps(
    sampler: &mut Sampler,
    steps: u64,
    examples: &[u32],
    (epoch, rate): (&dyn Fn(Position) -> f64, &dyn Fn(u64) -> f64),
    path: &Path,
) -> Result<()> {
    let mut table = Table::create(path, STEPS)?;
    let mut done = 0;
    while done < steps {
        let group = (GROUP as u64).min(steps - done);
        let (mut rows, mut texts, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..group {
            let (drawn, shared) = step(sampler, examples)?;
            rows.push(drawn);
            texts.push(shared);
            after.push(sampler.position());
        }
        table.group(&mut [
            Column::Lists(rows.iter().map(Vec::as_slice).collect()),
            Column::Lists(texts.iter().map(Vec::as_slice).collect()),
            Column::Doubles(after.iter().map(|at| epoch(*at)).collect()),
            Column::Longs(after.iter().map(|at| at.epoch as i64).collect()),
            Column::Longs(after.iter().map(|at| at.batch as i64).collect()),
            Column::Doubles((done..done + group).map(rate).collect()),
        ])?;
        done += group;
    }
    table.close()
}

/// The examples of the next step, and how many share each row.
fn step(sampler: &mut Sampler, examples: &[u32]) -> Result<(Vec<i32>, Vec<i32>)> {
    let (mut rows, mut texts) = (Vec::new(), Vec::new());
    for batch in sampler.next_step() {
        for example in batch.rows {
            let place = examples.binary_search(&example).ok().and_then(|place| i32::try_from(place).ok());
            rows.push(place.ok_or_else(|| {
                UserError::failure(text!(
                    "Example {example} is not among those that were written",
                    "样本 {example} 不在已写出的样本之中"
                ))
            })?);
        }
        texts.extend(batch.packed.into_iter().flatten().map(|count| count as i32));
    }
    Ok((rows, texts))
}

/// An example with where it comes from.
struct Row {
    ids: Vec<i32>,
    labels: Vec<i32>,
    file: String,
    row: i64,
    piece: i32,
}

impl Row {
    fn read(dataset: &Dataset, number: u32) -> Result<Self> {
        let Example { ids, labels, side, .. } = dataset.example(number as usize)?;
        let (file, row) = dataset.place_of_example(number as usize)?;
        if side.is_some() {
            return Err(UserError::bad_input(Text::fixed(
                "Rows of dicts are more than token ids and labels",
                "字典格式的行不只有词元编号与标签",
            ))
            .in_file(&*file));
        }
        Ok(Self {
            // A vocabulary is far smaller than 2³¹.
            ids: ids.into_iter().map(|id| i32::try_from(id).unwrap_or(i32::MAX)).collect(),
            labels,
            file: file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            row: row as i64,
            piece: dataset.piece_of_example(number as usize)? as i32,
        })
    }
}

impl Prepared {
    fn add(&mut self, rows: &[Row]) {
        self.examples += rows.len() as u64;
        self.tokens += rows.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        self.learned += rows.iter().map(|row| crate::record::count_learned(&row.labels) as u64).sum::<u64>();
    }
}

/// Values of a column, a row group's worth.
enum Column<'a> {
    Lists(Vec<&'a [i32]>),
    Texts(Vec<&'a str>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Doubles(Vec<f64>),
}

/// A Parquet file in the making.
struct Table<'a> {
    path: &'a Path,
    writer: SerializedFileWriter<File>,
}

impl<'a> Table<'a> {
    fn create(path: &'a Path, schema: &str) -> Result<Self> {
        let file = File::create(path).map_err(|err| crate::space::write_error(path, 0, &err))?;
        let schema = parse_message_type(schema).map_err(|err| failed(path, &err))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(format!("emberwright {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        writer.map(|writer| Self { path, writer }).map_err(|err| failed(path, &err))
    }

    fn group(&mut self, columns: &mut [Column<'_>]) -> Result<()> {
        let mut write = || {
            let mut group = self.writer.next_row_group()?;
            for column in columns.iter_mut() {
                put(&mut group, column)?;
            }
            group.close().map(drop)
        };
        write().map_err(|err| failed(self.path, &err))
    }

    fn close(self) -> Result<()> {
        self.writer.close().map(drop).map_err(|err| failed(self.path, &err))
    }
}

/// Writes the next column of a row group.
fn put<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column<'_>,
) -> Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns".into()));
    };
    let written = match (writer.untyped(), column) {
        (ColumnWriter::Int32ColumnWriter(writer), Column::Lists(lists)) => {
            let (values, defined, repeated) = levels(lists);
            writer.write_batch(&values, Some(&defined), Some(&repeated))
        }
        (ColumnWriter::Int32ColumnWriter(writer), Column::Ints(values)) => {
            writer.write_batch(values, None, None)
        }
        (ColumnWriter::Int64ColumnWriter(writer), Column::Longs(values)) => {
            writer.write_batch(values, None, None)
        }
        (ColumnWriter::DoubleColumnWriter(writer), Column::Doubles(values)) => {
            writer.write_batch(values, None, None)
        }
        (ColumnWriter::ByteArrayColumnWriter(writer), Column::Texts(texts)) => {
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
            writer.write_batch(&values, None, None)
        }
        _ => Err(ParquetError::General("the schema has columns of other types".into())),
    };
    written.and_then(|_| writer.close())
}

/// Values, definition levels and repetition levels of lists that are required and hold what is required
/// (<https://parquet.apache.org/docs/file-format/nestedencoding>).
fn levels(lists: &[&[i32]]) -> (Vec<i32>, Vec<i16>, Vec<i16>) {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        values.extend_from_slice(list);
        let slots = list.len().max(1);
        defined.extend(std::iter::repeat_n(i16::from(!list.is_empty()), slots));
        repeated.extend((0..slots).map(|slot| i16::from(slot > 0)));
    }
    (values, defined, repeated)
}

fn failed(path: &Path, err: &ParquetError) -> UserError {
    let io = std::error::Error::source(err).and_then(|source| source.downcast_ref::<std::io::Error>());
    match io {
        Some(io) => crate::space::write_error(path, 0, io),
        None => UserError::failure(text!("The file cannot be written: {err}", "无法写入文件：{err}"))
            .in_file(path),
    }
}

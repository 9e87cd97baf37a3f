//! Parquet. A row group can only be decoded from its beginning, and training reads rows in any order: so a file is
//! decoded once, row by row, into JSON lines in a [`Spool`], and read from there. The `parquet` crate decodes pages;
//! its own reader of rows would build lists as long as a file says, and copy each text that a dictionary repeats.

mod column;
mod footer;
mod leaf;
mod pages;
mod shape;
mod thrift;

use std::fs::File;
use std::sync::Arc;

use parquet::column::reader::get_column_reader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use protocol::{Result, Text, UserError, text};

use super::spool::{Layer, Spool};
use super::{Container, DataFile, RowSource, jsonl};
use crate::deep::on_deep_stack;
use crate::progress::{Progress, check_cancelled};
use column::Column;
use pages::{Held, Pages};
use shape::{Line, Node};
use thrift::nonsense;

pub(super) const CONTAINER: Container = Container { id: "parquet", extensions: &["parquet"], open };
pub(super) const MAGIC: &[u8] = b"PAR1";

/// Rows between two looks at whether to go on.
const LOOK_EVERY: u64 = 512;

/// A dictionary may repeat one text a million times: no proportion tells anything.
const LAYER: Layer = Layer { id: "parquet", doing: decoding, bounded: false };

fn decoding() -> Text {
    Text::fixed("decoding Parquet", "解码 Parquet")
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let path = file.path().clone();
    let decoded = || -> Result<DataFile> {
        if let Some(layer) = file.layers().first() {
            return Err(packed_twice(layer));
        }
        footer::check(&file)?;
        let limit = file.is_head().then(|| file.end());
        let file = Arc::new(file);
        // What the crate asserts of hostile files is caught there.
        let spool =
            on_deep_stack(|| decode(&file, limit, progress)).map_err(|why| nonsense().detail(why))??;
        file.check_unchanged()?;
        let Some(file) = Arc::into_inner(file) else { return Err(nonsense()) };
        let (spool, more) = spool;
        spool.finish(file, more)
    };
    jsonl::open_as(decoded().map_err(|err| err.in_file(&*path))?, CONTAINER.id, progress)
}

fn packed_twice(layer: &str) -> UserError {
    UserError::bad_input(text!(
        "A Parquet file within {layer} is not read",
        "不支持读取 {layer} 压缩的 Parquet 文件"
    ))
    .mend(Text::fixed("unpack it; Parquet packs its columns itself", "请先解压；Parquet 自身已压缩各列"))
}

/// All rows, or the first ones that have `limit` bytes; and whether there are more.
fn decode(file: &Arc<DataFile>, limit: Option<u64>, progress: &dyn Progress) -> Result<(Spool, bool)> {
    let reader = SerializedFileReader::new(file.reader()?).map_err(|err| unreadable(&err))?;
    let root = Node::of_schema(reader.metadata().file_metadata().schema())?;
    let mut decoder = Decoder {
        file,
        spool: Spool::new(file, LAYER, limit)?,
        root,
        line: Line::default(),
        rows: 0,
        progress,
    };
    for group in 0..reader.num_row_groups() {
        if decoder.group(&reader, group)? {
            return Ok((decoder.spool, true));
        }
    }
    progress.report(&decoding(), file.size(), file.size());
    Ok((decoder.spool, false))
}

struct Decoder<'a> {
    file: &'a Arc<DataFile>,
    spool: Spool,
    root: Node,
    line: Line,
    rows: u64,
    progress: &'a dyn Progress,
}

impl Decoder<'_> {
    /// Decodes a row group; true where there is as much as is wanted.
    fn group(&mut self, reader: &SerializedFileReader<File>, number: usize) -> Result<bool> {
        let group = reader.get_row_group(number).map_err(|err| unreadable(&err))?;
        let rows = u64::try_from(group.metadata().num_rows()).map_err(|_| nonsense())?;
        let mut columns = columns(self.file, group.as_ref())?;
        for row in 0..rows {
            if self.rows.is_multiple_of(LOOK_EVERY) {
                self.look(group.as_ref(), row, rows)?;
            }
            self.row(&mut columns).map_err(|err| err.at_row(self.rows + 1))?;
            self.rows += 1;
            if self.spool.is_full() {
                return Ok(true);
            }
        }
        for column in &mut columns {
            if column.begin_row()? {
                return Err(nonsense().detail(format!("row group {number} has more than its {rows} rows")));
            }
        }
        Ok(false)
    }

    fn row(&mut self, columns: &mut [Column]) -> Result<()> {
        for column in columns.iter_mut() {
            if !column.begin_row()? {
                return Err(nonsense().detail("a column ends before its row group"));
            }
        }
        self.line.clear();
        self.root.write(columns, &mut self.line)?;
        self.spool.push(self.line.finish(), self.file.size())
    }

    /// Progress in bytes of the file, as far as one can tell from the rows.
    fn look(&self, group: &dyn RowGroupReader, row: u64, rows: u64) -> Result<()> {
        check_cancelled(self.progress)?;
        let start = group.metadata().columns().first().map_or(0, |column| column.data_page_offset());
        let bytes = group.metadata().compressed_size().max(0) as f64;
        let within = bytes * row as f64 / rows.max(1) as f64;
        let done = (start.max(0) as u64).saturating_add(within as u64).min(self.file.size());
        self.progress.report(&decoding(), done, self.file.size());
        Ok(())
    }
}

fn columns(file: &Arc<DataFile>, group: &dyn RowGroupReader) -> Result<Vec<Column>> {
    let held = Held::default();
    let metadata = group.metadata();
    let column = |number: usize| {
        let chunk = metadata.column(number);
        let descriptor = chunk.column_descr_ptr();
        let pages = group.get_column_page_reader(number).map_err(|err| unreadable(&err))?;
        let pages = Pages::new(pages, file.clone(), chunk.byte_range().0, held.clone());
        Ok(Column::new(get_column_reader(descriptor.clone(), Box::new(pages)), &descriptor))
    };
    (0..metadata.num_columns()).map(column).collect()
}

/// What the crate says, or what ours said within it.
fn unreadable(err: &ParquetError) -> UserError {
    if let ParquetError::External(inner) = err
        && let Some(own) = inner.downcast_ref::<UserError>()
    {
        return own.clone();
    }
    nonsense().detail(err.to_string())
}

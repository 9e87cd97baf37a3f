//! A column of a row group, walked value by value with the two levels that place each one (Dremel's: how deep it
//! repeats, and how deep it is defined).

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::ColumnDescriptor;
use protocol::Result;

use super::leaf::{self, Leaf};
use super::thrift::nonsense;
use super::unreadable;

/// Rows that are decoded at once.
const BATCH: usize = 256;
/// A row with more values than this has more than a row may have bytes.
const MAX_ROW_VALUES: usize = super::super::MAX_ROW_BYTES as usize / 2;

pub struct Column {
    reader: ColumnReader,
    leaf: Leaf,
    max_def: i16,
    defs: Vec<i16>,
    reps: Vec<i16>,
    values: Values,
    /// Entries that were decoded, and the current one.
    count: usize,
    at: usize,
    /// The next value: entries that are null have none.
    value: usize,
}

/// What the reader decodes into.
enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Column {
    pub fn new(reader: ColumnReader, descriptor: &ColumnDescriptor) -> Self {
        let values = match descriptor.physical_type() {
            Type::BOOLEAN => Values::Bool(Vec::new()),
            Type::INT32 => Values::Int32(Vec::new()),
            Type::INT64 => Values::Int64(Vec::new()),
            Type::INT96 => Values::Int96(Vec::new()),
            Type::FLOAT => Values::Float(Vec::new()),
            Type::DOUBLE => Values::Double(Vec::new()),
            Type::BYTE_ARRAY => Values::Bytes(Vec::new()),
            Type::FIXED_LEN_BYTE_ARRAY => Values::Fixed(Vec::new()),
        };
        Self {
            reader,
            leaf: Leaf::of(descriptor),
            max_def: descriptor.max_def_level(),
            defs: Vec::new(),
            reps: Vec::new(),
            values,
            count: 0,
            at: 0,
            value: 0,
        }
    }

    /// Goes to the next row, decoding more where it must; false at the end.
    ///
    /// # Errors
    /// When what is there cannot be decoded, or does not begin with a row.
    pub fn begin_row(&mut self) -> Result<bool> {
        if self.at >= self.count {
            self.decode()?;
        }
        match self.repetition() {
            _ if self.at >= self.count => Ok(false),
            0 => Ok(true),
            _ => Err(nonsense().detail("the columns of a row do not agree")),
        }
    }

    fn decode(&mut self) -> Result<()> {
        self.defs.clear();
        self.reps.clear();
        (self.at, self.value) = (0, 0);
        // Rows of many values come one by one.
        let rows = if self.count > BATCH * 1024 { 1 } else { BATCH };
        let (defs, reps) = (Some(&mut self.defs), Some(&mut self.reps));
        macro_rules! decode {
            ($($physical:ident, $reader:ident;)*) => {
                match (&mut self.values, &mut self.reader) {
                    $((Values::$physical(values), ColumnReader::$reader(reader)) => {
                        values.clear();
                        reader.read_records(rows, defs, reps, values)
                    })*
                    _ => return Err(nonsense()),
                }
            };
        }
        let read = decode! {
            Bool, BoolColumnReader;
            Int32, Int32ColumnReader;
            Int64, Int64ColumnReader;
            Int96, Int96ColumnReader;
            Float, FloatColumnReader;
            Double, DoubleColumnReader;
            Bytes, ByteArrayColumnReader;
            Fixed, FixedLenByteArrayColumnReader;
        };
        let (records, _, count) = read.map_err(|err| unreadable(&err))?;
        self.count = count;
        if count > MAX_ROW_VALUES.saturating_mul(records.max(1)) {
            return Err(nonsense().detail(format!("{records} rows hold {count} values")));
        }
        Ok(())
    }

    /// How deep the current entry is defined.
    ///
    /// # Errors
    /// When there is none: the row ended early in this column.
    pub fn definition(&self) -> Result<i16> {
        if self.at >= self.count {
            return Err(nonsense().detail("the columns of a row do not agree"));
        }
        Ok(if self.max_def == 0 { 0 } else { self.defs.get(self.at).copied().unwrap_or(0) })
    }

    /// At which level the current entry goes on; 0 where a row begins, or all are taken.
    pub fn repetition(&self) -> i16 {
        self.reps.get(self.at).copied().unwrap_or(0)
    }

    /// Passes over the current entry, which has no value.
    pub fn pass(&mut self) -> Result<()> {
        if self.definition()? == self.max_def {
            self.value += 1;
        }
        self.at += 1;
        Ok(())
    }

    /// Writes the current entry and goes behind it.
    ///
    /// # Errors
    /// When there is none.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.definition()? < self.max_def {
            out.extend_from_slice(b"null");
        } else {
            self.write_value(out).ok_or_else(nonsense)?;
        }
        self.pass()
    }

    fn write_value(&self, out: &mut Vec<u8>) -> Option<()> {
        let at = self.value;
        match &self.values {
            Values::Bool(values) => {
                out.extend_from_slice(if *values.get(at)? { b"true" } else { b"false" });
            }
            Values::Int32(values) => self.leaf.integer((*values.get(at)?).into(), 32, out),
            Values::Int64(values) => self.leaf.integer(*values.get(at)?, 64, out),
            Values::Int96(values) => leaf::int96(values.get(at)?.to_nanos(), out),
            Values::Float(values) => leaf::float((*values.get(at)?).into(), out),
            Values::Double(values) => leaf::float(*values.get(at)?, out),
            Values::Bytes(values) => self.leaf.bytes(values.get(at)?.data(), out),
            Values::Fixed(values) => self.leaf.bytes(values.get(at)?.data(), out),
        }
        Some(())
    }
}

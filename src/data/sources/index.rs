//! Where rows begin in a file: eight bytes a row, nothing else is held.

use protocol::{Result, UserError, text};

use super::file::{DataFile, MAX_ROW_BYTES};

/// Starts of all rows in ascending order, and the end of the last one.
#[derive(Default)]
pub struct RowIndex {
    starts: Vec<u64>,
    end: u64,
}

impl RowIndex {
    pub fn new(mut starts: Vec<u64>, end: u64) -> Self {
        starts.shrink_to_fit();
        Self { starts, end }
    }

    /// Rows of a file that was scanned up to `file.end()`. Where that is before the file's end, the last row may
    /// be cut, and is left out.
    pub fn of(file: &DataFile, mut starts: Vec<u64>) -> Self {
        let cut = if file.is_head() { starts.pop() } else { None };
        Self::new(starts, cut.unwrap_or(file.end()))
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Bytes from row `index` to the next row (or the end): at least the row, and what separates them.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn span(&self, file: &DataFile, index: usize) -> Result<(u64, u64)> {
        let Some(start) = self.starts.get(index) else {
            let rows = self.starts.len();
            let row = index.saturating_add(1);
            return Err(UserError::failure(text!(
                "Row {row} was asked for, and there are {rows}",
                "请求了第 {row} 行，但只有 {rows} 行"
            ))
            .in_file(&**file.path()));
        };
        Ok((*start, self.starts.get(index + 1).copied().unwrap_or(self.end)))
    }

    /// The bytes of row `index` and what follows it up to the next row, cut after [`MAX_ROW_BYTES`] and
    /// one more: a longer answer means that the row, or the gap behind it, is too long.
    pub fn read(&self, file: &DataFile, index: usize) -> Result<Vec<u8>> {
        let (start, end) = self.span(file, index)?;
        let len = end.saturating_sub(start).min(MAX_ROW_BYTES + 1);
        // Fits: at most MAX_ROW_BYTES + 1.
        file.read(start, len as usize).map_err(|err| err.at_row(index as u64 + 1))
    }

    /// Ends `bytes`, as [`RowIndex::read`] gave them, before the first line break, if any.
    ///
    /// # Errors
    /// When the line is longer than [`MAX_ROW_BYTES`].
    pub fn cut_line<'a>(&self, file: &DataFile, index: usize, bytes: &'a [u8]) -> Result<&'a [u8]> {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => Ok(&bytes[..end]),
            None if bytes.len() as u64 > MAX_ROW_BYTES => Err(self.too_long(file, index)),
            None => Ok(bytes),
        }
    }

    pub fn too_long(&self, file: &DataFile, index: usize) -> UserError {
        let (start, end) = self.span(file, index).unwrap_or_default();
        let bytes = end.saturating_sub(start);
        let mib = MAX_ROW_BYTES >> 20;
        UserError::bad_input(text!(
            "The row is {bytes} bytes long; at most {mib} MiB are allowed",
            "该行长 {bytes} 字节，超过上限 {mib} MiB"
        ))
        .mend(text!(
            "split it into shorter rows, or check that its line breaks were not lost",
            "请拆分为较短的行，或检查换行符是否丢失"
        ))
        .detail(format!("byte {start} of the file"))
        .at_row(index as u64 + 1)
        .in_file(&**file.path())
    }
}

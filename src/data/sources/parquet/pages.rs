//! The pages of a column, each header looked at before the page is read: the crate's reader reserves memory by what
//! a header promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use protocol::Result;

use super::super::DataFile;
use super::thrift::{Compact, I32, STRUCT, nonsense};

/// Of one page, unpacked. Writers aim at one megabyte; a page holds one value at least.
const MAX_PAGE_BYTES: u64 = 128 << 20;
/// Values in one page: a column of one and the same value packs millions into some bytes.
const MAX_PAGE_VALUES: u64 = 32 << 20;
/// Of all pages that are held at once.
const MAX_HELD_BYTES: u64 = 512 << 20;
/// Where most headers end, and where all of them do: they hold the least and largest value.
const HEADER_BYTES: [u64; 2] = [16 << 10, 16 << 20];

/// Bytes of pages that all columns hold together.
pub type Held = Arc<AtomicU64>;

pub struct Pages {
    inner: Box<dyn PageReader>,
    file: Arc<DataFile>,
    /// Where the next page's header begins.
    at: u64,
    /// Of the dictionary, and of the page that is being read.
    holds: [u64; 2],
    held: Held,
}

impl Pages {
    pub fn new(inner: Box<dyn PageReader>, file: Arc<DataFile>, at: u64, held: Held) -> Self {
        Self { inner, file, at, holds: [0; 2], held }
    }

    /// Looks at the header of the next page that holds values, and goes behind it.
    fn look(&mut self) -> Result<()> {
        loop {
            let header = self.header()?;
            if header.unpacked.max(header.packed) > MAX_PAGE_BYTES || header.values > MAX_PAGE_VALUES {
                return Err(too_large(&header));
            }
            self.at = self.at.saturating_add(header.length + header.packed);
            if self.at > self.file.bytes() {
                return Err(nonsense().detail("a page ends behind the file"));
            }
            if header.kind == Header::INDEX {
                continue;
            }
            let slot = usize::from(header.kind != Header::DICTIONARY);
            let more = header.unpacked.max(header.packed);
            let before = std::mem::replace(&mut self.holds[slot], more);
            let held = self.held.fetch_add(more, Ordering::Relaxed) + more;
            self.held.fetch_sub(before, Ordering::Relaxed);
            return if held - before > MAX_HELD_BYTES { Err(too_large(&header)) } else { Ok(()) };
        }
    }

    fn header(&self) -> Result<Header> {
        let left = self.file.bytes().saturating_sub(self.at);
        let mut said = nonsense();
        for most in HEADER_BYTES {
            match Header::read(&self.file.read(self.at, left.min(most) as usize)?) {
                Ok(header) => return Ok(header),
                Err(err) => said = err,
            }
            if left <= most {
                break;
            }
        }
        Err(said)
    }
}

fn too_large(header: &Header) -> protocol::UserError {
    let Header { unpacked, values, .. } = header;
    nonsense().detail(format!("a page would hold {unpacked} bytes and {values} values"))
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.held.fetch_sub(self.holds.iter().sum(), Ordering::Relaxed);
    }
}

impl Iterator for Pages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        // The inner reader knows where the column ends.
        if self.inner.peek_next_page()?.is_none() {
            return Ok(None);
        }
        self.look().map_err(|err| ParquetError::External(Box::new(err)))?;
        self.inner.get_next_page()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.look().map_err(|err| ParquetError::External(Box::new(err)))?;
        self.inner.skip_next_page()
    }
}

/// What is believed of a page's header only after a look.
#[derive(Default)]
struct Header {
    kind: i64,
    unpacked: u64,
    packed: u64,
    values: u64,
    /// Of the header itself.
    length: u64,
}

impl Header {
    const INDEX: i64 = 1;
    const DICTIONARY: i64 = 2;

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut compact = Compact::new(bytes);
        let mut header = Self::default();
        let mut last = 0;
        while let Some(kind) = compact.field(&mut last)? {
            match (last, kind) {
                (1, I32) => header.kind = compact.number()?,
                (2, I32) => header.unpacked = size(compact.number()?)?,
                (3, I32) => header.packed = size(compact.number()?)?,
                // Of data pages, dictionaries and data pages of the second version.
                (5 | 7 | 8, STRUCT) => header.values = header.values.max(values(&mut compact)?),
                _ => compact.skip(kind)?,
            }
        }
        header.length = compact.position() as u64;
        Ok(header)
    }
}

/// The first field of each kind of page.
fn values(compact: &mut Compact<'_>) -> Result<u64> {
    let (mut last, mut values) = (0, 0);
    while let Some(kind) = compact.field(&mut last)? {
        match (last, kind) {
            (1, I32) => values = size(compact.number()?)?,
            _ => compact.skip(kind)?,
        }
    }
    Ok(values)
}

fn size(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| nonsense())
}

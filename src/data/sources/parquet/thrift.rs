//! As much of Thrift's compact protocol as is needed to look at a Parquet file's footer and page headers before they
//! are believed: the reader of the `parquet` crate reserves what they promise, and follows a schema however deep.

use protocol::{Result, Text, UserError};

/// Structs and lists within each other; Parquet's own are six deep.
const MAX_NESTING: usize = 32;

/// A cursor over encoded bytes.
pub struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The type of a field, as the protocol numbers them.
pub type Kind = u8;
pub const I32: Kind = 5;
pub const BINARY: Kind = 8;
pub const LIST: Kind = 9;
pub const STRUCT: Kind = 12;

impl<'a> Compact<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes taken.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Number and type of the struct's next field, `last` being the one before; none at its end.
    ///
    /// # Errors
    /// As all of these: when the bytes end, or make no sense.
    pub fn field(&mut self, last: &mut i64) -> Result<Option<Kind>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => self.number()?,
            delta => last.saturating_add(delta.into()),
        };
        Ok(Some(head & 15))
    }

    /// A whole number of up to 64 bits.
    pub fn number(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Length and type of a list's elements.
    pub fn list(&mut self) -> Result<(u64, Kind)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((count, head & 15))
    }

    /// Passes over a value.
    pub fn skip(&mut self, kind: Kind) -> Result<()> {
        self.skip_nested(kind, MAX_NESTING)
    }

    fn skip_nested(&mut self, kind: Kind, depth: usize) -> Result<()> {
        let deeper = || depth.checked_sub(1).ok_or_else(nonsense);
        match kind {
            // True and false as fields are their types.
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                let depth = deeper()?;
                // As elements they are a byte each.
                let kind = if matches!(kind, 1 | 2) { 3 } else { kind };
                (0..count).try_for_each(|_| self.skip_nested(kind, depth))
            }
            STRUCT => {
                let (mut last, depth) = (0, deeper()?);
                while let Some(kind) = self.field(&mut last)? {
                    self.skip_nested(kind, depth)?;
                }
                Ok(())
            }
            _ => Err(nonsense()),
        }
    }

    fn pass(&mut self, count: u64) -> Result<()> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or_else(ended)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(nonsense())
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }
}

/// The file's own description of itself makes no sense.
pub fn nonsense() -> UserError {
    UserError::bad_input(Text::fixed("The Parquet file is damaged", "Parquet 文件已损坏"))
        .mend(Text::fixed("fetch or write it again", "请重新下载或生成"))
}

/// Says so where more bytes could help.
fn ended() -> UserError {
    nonsense().detail("a header ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_passed_over() {
        // {1: i32 -3, 2: "ab", 4: [1, 2] of i32, 5: {1: true}, 20: i64 300}
        let bytes = [0x15, 5, 0x18, 2, b'a', b'b', 0x29, 0x25, 2, 4, 0x1c, 0x11, 0, 0x06, 40, 0xd8, 4, 0];
        let mut compact = Compact::new(&bytes);
        let mut last = 0;
        assert_eq!((compact.field(&mut last).unwrap(), last), (Some(I32), 1));
        assert_eq!(compact.number().unwrap(), -3);
        for (id, kind) in [(2, BINARY), (4, LIST), (5, STRUCT)] {
            assert_eq!((compact.field(&mut last).unwrap(), last), (Some(kind), id));
            compact.skip(kind).unwrap();
        }
        assert_eq!((compact.field(&mut last).unwrap(), last), (Some(6), 20));
        assert_eq!(compact.number().unwrap(), 300);
        assert_eq!((compact.field(&mut last).unwrap(), compact.position()), (None, bytes.len()));
    }

    #[test]
    fn hostile_lengths_and_depths_are_errors() {
        assert!(Compact::new(&[0xff; 12]).number().is_err());
        assert!(Compact::new(&[0xff, 0xff, 0xff, 0xff, 15]).skip(BINARY).is_err());
        assert!(Compact::new(&[0xfc, 0xff, 0xff, 0xff, 0xff, 15]).skip(LIST).is_err());
        assert!(Compact::new(&[0x1c; 4096]).skip(STRUCT).is_err());
    }
}

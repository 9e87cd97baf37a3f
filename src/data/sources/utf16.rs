//! UTF-16, as spreadsheets save "Unicode text", told by its byte order mark.

use protocol::{Result, Text, UserError, text};

/// Turns UTF-16 into UTF-8, chunk by chunk.
pub struct Utf16 {
    big_endian: bool,
    /// Half a unit at the end of the last chunk.
    byte: Option<u8>,
    /// The first of two units that are one character.
    high: Option<u16>,
    /// Bytes taken.
    at: u64,
}

impl Utf16 {
    /// Whether the first bytes of a file are those of UTF-16 (and not of UTF-32).
    pub fn told_by(head: &[u8]) -> Option<Self> {
        let big_endian = match head {
            [0xff, 0xfe, 0, 0, ..] => return None,
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ => return None,
        };
        Some(Self { big_endian, byte: None, high: None, at: 0 })
    }

    /// Adds to `out` what `chunk` says, without the byte order mark.
    ///
    /// # Errors
    /// At half a pair of units.
    pub fn feed(&mut self, chunk: &[u8], out: &mut String) -> Result<()> {
        for byte in chunk {
            self.at += 1;
            let Some(first) = self.byte.take() else {
                self.byte = Some(*byte);
                continue;
            };
            let pair = [first, *byte];
            let unit = if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
            if self.at > 2 || unit != 0xfeff {
                self.unit(unit, out)?;
            }
        }
        Ok(())
    }

    fn unit(&mut self, unit: u16, out: &mut String) -> Result<()> {
        if self.high.is_none() && matches!(unit, 0xd800..=0xdbff) {
            self.high = Some(unit);
            return Ok(());
        }
        let units = self.high.take().into_iter().chain([unit]);
        for read in char::decode_utf16(units) {
            out.push(read.map_err(|_| self.broken())?);
        }
        Ok(())
    }

    /// # Errors
    /// When the text ends within a character.
    pub fn finish(&self) -> Result<()> {
        if self.byte.is_some() || self.high.is_some() { Err(self.broken()) } else { Ok(()) }
    }

    fn broken(&self) -> UserError {
        let byte = self.at;
        UserError::bad_input(text!(
            "Not UTF-16 text at byte {byte}, although the file begins as such",
            "文件以 UTF-16 标记开头，但第 {byte} 字节处不是有效的 UTF-16"
        ))
        .mend(Text::fixed("save the file as UTF-8", "请将文件另存为 UTF-8 编码"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_may_cut_anywhere() {
        let text = "a,标题\n😀";
        for big in [false, true] {
            let order = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let bytes: Vec<u8> =
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(order).collect();
            for size in 1..bytes.len() {
                let mut reader = Utf16::told_by(&bytes).unwrap();
                let mut out = String::new();
                bytes.chunks(size).for_each(|chunk| reader.feed(chunk, &mut out).unwrap());
                reader.finish().unwrap();
                assert_eq!(out, text, "chunks of {size}");
            }
            let mut cut = Utf16::told_by(&bytes).unwrap();
            cut.feed(&bytes[..bytes.len() - 2], &mut String::new()).unwrap();
            assert!(cut.finish().is_err());
        }
        assert!(Utf16::told_by(b"\xff\xfe\0\0a\0\0\0").is_none());
        let mut lone = Utf16::told_by(b"\xff\xfe").unwrap();
        assert!(lone.feed(b"\xff\xfe\x00\xdca\0", &mut String::new()).is_err());
    }
}

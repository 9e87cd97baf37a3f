//! Lines of a file that nobody vouches for.

use std::io::{self, BufRead, Read};

/// A line that is longer than this holds nothing of ours.
const LONGEST: u64 = 4 << 20;

/// Reads line by line in bounded memory.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Where the next line begins.
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), offset: 0 }
    }

    /// The next line and the byte it begins at; a line that is too long comes back empty.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let start = self.offset;
        let mut pieces = 0;
        loop {
            self.line.clear();
            let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut self.line)?;
            self.offset += read as u64;
            pieces += 1;
            if read == 0 || self.line.last() == Some(&b'\n') || (read as u64) < LONGEST {
                break;
            }
        }
        if self.offset == start {
            return Ok(None);
        }
        if pieces > 1 {
            self.line.clear();
        }
        Ok(Some((start, self.line.trim_ascii_end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_left_out_and_the_rest_is_read() {
        let long = vec![b'x'; LONGEST as usize * 2 + 5];
        for middle in [long.as_slice(), &long[..LONGEST as usize]] {
            let text = [b"one\r\n".as_slice(), middle, b"\n\nlast"].concat();
            let mut lines = Lines::new(text.as_slice());
            assert_eq!(lines.next_line().unwrap(), Some((0, b"one".as_slice())));
            assert_eq!(lines.next_line().unwrap(), Some((5, b"".as_slice())));
            let after = 5 + middle.len() as u64 + 1;
            assert_eq!(lines.next_line().unwrap(), Some((after, b"".as_slice())));
            assert_eq!(lines.next_line().unwrap(), Some((after + 1, b"last".as_slice())));
            assert_eq!(lines.next_line().unwrap(), None);
        }
    }
}

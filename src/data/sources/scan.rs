//! A byte reader over a file that walks JSON without building it: strings and nesting are followed,
//! nothing is kept. Used to find where the elements of an array begin.

use protocol::{Result, Text, UserError, text};

use super::broken;
use super::file::DataFile;
use super::indexing;
use crate::progress::{Progress, check_cancelled};

const BUFFER: usize = 1 << 20;

pub struct Scanner<'a> {
    file: &'a DataFile,
    progress: &'a dyn Progress,
    buffer: Vec<u8>,
    filled: usize,
    /// Next byte in `buffer`.
    here: usize,
    /// Position of `buffer[0]` in the file.
    base: u64,
}

impl<'a> Scanner<'a> {
    pub fn new(file: &'a DataFile, start: u64, progress: &'a dyn Progress) -> Self {
        Self { file, progress, buffer: vec![0; BUFFER], filled: 0, here: 0, base: start }
    }

    /// Position of the next byte in the file.
    pub fn position(&self) -> u64 {
        self.base + self.here as u64
    }

    /// The next byte, not taken; none at the end of the file.
    pub fn peek(&mut self) -> Result<Option<u8>> {
        Ok(self.rest()?.first().copied())
    }

    pub fn take(&mut self) {
        self.here += 1;
    }

    /// Skips white space and gives the next byte, not taken.
    pub fn next_token(&mut self) -> Result<Option<u8>> {
        loop {
            let rest = self.rest()?;
            if rest.is_empty() {
                return Ok(None);
            }
            match rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                Some(skip) => {
                    let byte = rest[skip];
                    self.here += skip;
                    return Ok(Some(byte));
                }
                None => self.here = self.filled,
            }
        }
    }

    /// Skips a whole value, which begins at the next byte.
    ///
    /// # Errors
    /// When the file ends inside it. What the value is made of is not checked here.
    pub fn skip_value(&mut self) -> Result<()> {
        match self.peek()? {
            Some(b'"') => self.skip_string(),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    /// Reads a short string without escapes, such as a key; longer ones come out cut.
    pub fn short_string(&mut self, limit: usize) -> Result<String> {
        let start = self.position();
        self.skip_string()?;
        let len = (self.position() - start).min(limit as u64);
        let bytes = self.file.read(start, len as usize)?;
        Ok(String::from_utf8_lossy(&bytes).trim_matches('"').to_owned())
    }

    fn skip_string(&mut self) -> Result<()> {
        self.take();
        loop {
            let rest = self.rest()?;
            if rest.is_empty() {
                return Err(self.cut_off(Text::fixed("a string without closing quote", "字符串缺少结束引号")));
            }
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(at) if rest[at] == b'"' => {
                    self.here += at + 1;
                    return Ok(());
                }
                Some(at) => {
                    self.here += at + 1;
                    self.peek()?;
                    self.take();
                }
                None => self.here = self.filled,
            }
        }
    }

    fn skip_nested(&mut self) -> Result<()> {
        let mut depth = 0u64;
        loop {
            let rest = self.rest()?;
            if rest.is_empty() {
                return Err(self.cut_off(Text::fixed("an open bracket", "括号未闭合")));
            }
            let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
            else {
                self.here = self.filled;
                continue;
            };
            let byte = rest[at];
            self.here += at;
            match byte {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.take();
                }
                _ => {
                    depth -= 1;
                    self.take();
                    if depth == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<()> {
        loop {
            let rest = self.rest()?;
            let end =
                rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace());
            match end {
                Some(at) => {
                    self.here += at;
                    return Ok(());
                }
                None if rest.is_empty() => return Ok(()),
                None => self.here = self.filled,
            }
        }
    }

    /// The buffered bytes that were not taken, refilled when there are none; empty at the end of the file.
    fn rest(&mut self) -> Result<&[u8]> {
        if self.here >= self.filled {
            check_cancelled(self.progress)?;
            self.base += self.here as u64;
            self.here = 0;
            let left =
                usize::try_from(self.file.end().saturating_sub(self.base)).unwrap_or(BUFFER).min(BUFFER);
            self.filled = self.file.read_some(&mut self.buffer[..left], self.base)?;
            self.progress.report(&indexing(), self.base, self.file.end());
        }
        Ok(&self.buffer[self.here..self.filled])
    }

    /// Whether the head that is looked at was read to its end, and the file goes on behind it.
    pub fn is_cut(&self) -> bool {
        self.file.is_head() && self.position() >= self.file.end()
    }

    /// The file ends too early, in the middle of `what`.
    pub fn cut_off(&self, what: Text) -> UserError {
        let Text { en, zh } = what;
        UserError::bad_input(text!("The file ends in the middle of {en}", "文件意外结束：{zh}"))
            .mend(Text::fixed(
                "the file is cut off or a bracket or quote is missing; fetch or write it again",
                "文件被截断，或缺少括号、引号；请重新下载或生成",
            ))
            .in_file(&**self.file.path())
    }

    /// Something else than JSON allows stands at the next byte.
    pub fn unexpected(&self, wanted: Text) -> UserError {
        let byte = self.position();
        let (line, column) = match broken::line_and_column(self.file, byte) {
            Ok(place) => place,
            Err(err) => return err,
        };
        let Text { en, zh } = wanted;
        UserError::bad_input(text!(
            "Not valid JSON at byte {byte} of the file (line {line}, column {column}): {en} was expected",
            "文件第 {byte} 字节处（第 {line} 行、第 {column} 列）不是有效的 JSON：此处应为 {zh}"
        ))
        .mend(Text::fixed(
            "a comma, a bracket or a quote is missing or too many there, or just before",
            "此处或之前缺少或多了逗号、括号或引号",
        ))
        .in_file(&**self.file.path())
    }
}

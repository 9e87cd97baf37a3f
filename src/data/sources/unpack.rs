//! What lies around the rows: gzip, zstd, UTF-16. Told by the first bytes, never by the name. The content goes into
//! a [`Spool`], once; of a head only as much is unpacked as is looked at.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use protocol::{Result, Text, UserError, text};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::spool::{Layer, Spool};
use super::utf16::Utf16;
use super::{DataFile, bee};
use crate::progress::{Progress, check_cancelled};

const CHUNK: usize = 256 << 10;
/// Chunks between two reports of progress.
const REPORT_EVERY: u64 = 64;

fn unpacking() -> Text {
    Text::fixed("unpacking", "解压")
}

fn converting() -> Text {
    Text::fixed("converting to UTF-8", "转换为 UTF-8")
}

const GZIP: Layer = Layer { id: "gzip", doing: unpacking, bounded: true };
const ZSTD: Layer = Layer { id: "zstd", doing: unpacking, bounded: true };
const UTF16: Layer = Layer { id: "utf-16", doing: converting, bounded: true };

/// The file with what lies around its content taken off; with a `limit`, at least as much of its beginning.
///
/// # Errors
/// When the packed data is broken or ends too early, there is no room for its content, or it was cancelled.
pub fn unpack(file: DataFile, limit: Option<u64>, progress: &dyn Progress) -> Result<DataFile> {
    let head = file.head(4)?;
    let source = BufReader::with_capacity(CHUNK, Counted { file: file.reader()?, read: 0 });
    match head.as_slice() {
        [0x1f, ..] if bee::is_one(&file)? => Ok(file.cut(limit)),
        [0x1f, 0x8b, ..] => pump(file, GZIP, &mut Gzip(MultiGzDecoder::new(source)), limit, progress),
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let decoder = ZstdDecoder::with_buffer(source).map_err(|err| file.unreadable(&err))?;
            pump(file, ZSTD, &mut Zstd(decoder), limit, progress)
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => pump(file, UTF16, &mut Plain(source), limit, progress),
        _ => Ok(file.cut(limit)),
    }
}

type Source = BufReader<Counted>;

/// Knows how far it is.
struct Counted {
    file: File,
    read: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// A reader of content that tells how much of the file it took.
trait Content: Read {
    fn taken(&self) -> u64;
}

struct Gzip(MultiGzDecoder<Source>);
struct Zstd<'a>(ZstdDecoder<'a, Source>);
struct Plain(Source);

macro_rules! content {
    ($($kind:ty => $source:expr;)*) => {$(
        impl Read for $kind {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Content for $kind {
            fn taken(&self) -> u64 {
                let source: fn(&Self) -> &Source = $source;
                source(self).get_ref().read
            }
        }
    )*};
}

content! {
    Gzip => |it| it.0.get_ref();
    Zstd<'_> => |it| it.0.get_ref();
    Plain => |it| &it.0;
}

/// From the source into a spool, UTF-16 on the way into UTF-8.
fn pump(
    file: DataFile,
    layer: Layer,
    content: &mut dyn Content,
    limit: Option<u64>,
    progress: &dyn Progress,
) -> Result<DataFile> {
    let mut spool = Spool::new(&file, layer, limit)?;
    let mut chunk = vec![0; CHUNK];
    let mut wide = None;
    let mut text = String::new();
    for turn in 0u64.. {
        if turn.is_multiple_of(REPORT_EVERY) {
            check_cancelled(progress)?;
            progress.report(&(layer.doing)(), content.taken(), file.size());
        }
        let count = fill(content, &mut chunk).map_err(|err| broken(&file, &err))?;
        let bytes = &chunk[..count];
        if turn == 0 {
            wide = Utf16::told_by(bytes);
        }
        match &mut wide {
            Some(wide) => {
                text.clear();
                wide.feed(bytes, &mut text).map_err(|err| err.in_file(&**file.path()))?;
                spool.push(text.as_bytes(), content.taken())?;
            }
            None => spool.push(bytes, content.taken())?,
        }
        let ended = count < chunk.len();
        if ended && let Some(wide) = &wide {
            wide.finish().map_err(|err| err.in_file(&**file.path()))?;
        }
        if ended || spool.is_full() {
            file.check_unchanged()?;
            progress.report(&(layer.doing)(), content.taken(), file.size());
            return spool.finish(file, !ended);
        }
    }
    spool.finish(file, false)
}

/// Fills the buffer; less only at the end.
fn fill(content: &mut dyn Content, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match content.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(done)
}

fn broken(file: &DataFile, err: &io::Error) -> UserError {
    let what = if err.kind() == ErrorKind::UnexpectedEof {
        Text::fixed("The packed data ends too early", "压缩数据不完整")
    } else {
        text!("The packed data cannot be unpacked: {err}", "无法解压数据：{err}")
    };
    UserError::bad_input(what)
        .mend(Text::fixed("the file is damaged; fetch it again", "文件已损坏，请重新下载"))
        .in_file(&**file.path())
}

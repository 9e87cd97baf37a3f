//! Which container a file is. Content decides where it speaks (JSON lines are often named `.json`),
//! the name where it does not.

use protocol::{Result, Text, UserError, text};
use serde_json::Value;

use super::{CONTAINERS, Container, DataFile, bee, json, jsonl, parquet, skip_bom, txt};

/// Enough for the first row of nearly every file.
const HEAD: usize = 256 << 10;

/// Beginnings of files that are not text, and what they are.
const FOREIGN: &[(&[u8], Text)] = &[
    (b"\x1f\x8b", Text::fixed("packed twice", "重复压缩的文件")),
    (b"\x28\xb5\x2f\xfd", Text::fixed("packed twice", "重复压缩的文件")),
    (b"BZh", Text::fixed("packed with bzip2", "bzip2 压缩文件")),
    (b"\xfd7zXZ", Text::fixed("packed with xz", "xz 压缩文件")),
    (b"PK\x03\x04", Text::fixed("a zip archive (or a spreadsheet)", "zip 压缩包（或电子表格）")),
    (b"ARROW1", Text::fixed("an Arrow file", "Arrow 文件")),
    (b"\xff\xfe\0\0", Text::fixed("UTF-32 text", "UTF-32 文本")),
    (b"SQLite format 3", Text::fixed("an SQLite database", "SQLite 数据库")),
];

/// What a tar archive has in its first header.
const TAR: (usize, &[u8]) = (257, b"ustar");
/// Fewer may be a slip in another encoding.
const GB18030_PAIRS: usize = 4;
/// Endings of packed files, behind the container's own.
const PACKED: [&str; 4] = ["gz", "gzip", "zst", "zstd"];

pub fn container(file: &DataFile) -> Result<&'static Container> {
    if bee::is_one(file)? {
        return Ok(&bee::CONTAINER);
    }
    let head = file.head(HEAD)?;
    if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(foreign(file, kind));
    }
    if head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        return Err(foreign(file, &Text::fixed("a tar archive", "tar 归档文件")));
    }
    if head.starts_with(parquet::MAGIC) {
        return Ok(&parquet::CONTAINER);
    }
    if is_gb18030(&head) {
        return Err(gb18030(file));
    }
    let named = by_name(file);
    if named.is_some_and(|container| !matches!(container.id, "json" | "jsonl")) {
        return Ok(named.unwrap_or(&txt::CONTAINER));
    }
    let content = skip_bom(&head).trim_ascii_start();
    match (content.first(), named) {
        (Some(b'['), _) => Ok(&json::CONTAINER),
        (Some(b'{'), _) => Ok(json_or_lines(content, named)),
        (_, Some(container)) => Ok(container),
        (Some(_), None) if head.contains(&0) => Err(foreign(file, &Text::fixed("binary", "二进制文件"))),
        (_, None) => Err(unnamed(file)),
    }
}

/// A first line that is a whole object tells JSON lines, unless nothing follows it in a `.json` file.
fn json_or_lines(content: &[u8], named: Option<&'static Container>) -> &'static Container {
    let (line, more) = match memchr::memchr(b'\n', content) {
        Some(end) => (&content[..end], !content[end..].trim_ascii().is_empty()),
        None => (content, false),
    };
    let is_lines_by_name = named.is_some_and(|container| container.id == jsonl::CONTAINER.id);
    // Broken first rows in a file named .jsonl are the row's fault, not the container's.
    let whole_line = serde_json::from_slice::<Value>(line).is_ok();
    if is_lines_by_name || (whole_line && more) { &jsonl::CONTAINER } else { &json::CONTAINER }
}

fn by_name(file: &DataFile) -> Option<&'static Container> {
    let name = file.path().file_name()?.to_str()?.to_ascii_lowercase();
    by_file_name(&name)
}

/// The container that a file's name (in lower case) tells, whatever it is packed in.
pub fn by_file_name(name: &str) -> Option<&'static Container> {
    let (stem, extension) = name.rsplit_once('.')?;
    let extension = if PACKED.contains(&extension) { stem.rsplit_once('.')?.1 } else { extension };
    CONTAINERS.iter().copied().find(|container| container.extensions.contains(&extension))
}

fn foreign(file: &DataFile, kind: &Text) -> UserError {
    let Text { en, zh } = kind;
    let read = ".jsonl, .json, .csv, .tsv, .txt, .parquet";
    UserError::bad_input(text!("The file is {en}, which is not read", "该文件是{zh}，暂不支持读取"))
        .mend(text!("give it as one of {read}, in UTF-8", "请提供 UTF-8 编码的文件：{read}"))
        .in_file(&**file.path())
}

/// Whether everything beyond ASCII is in pairs as GB18030 (and GBK, GB2312) has them, and is no UTF-8.
fn is_gb18030(head: &[u8]) -> bool {
    let Err(err) = std::str::from_utf8(head) else { return false };
    // A character that the head's end cuts.
    if err.error_len().is_none() {
        return false;
    }
    let (mut pairs, mut han, mut at) = (0, 0, 0);
    while let Some(skip) = head.get(at..).and_then(|rest| rest.iter().position(|byte| *byte >= 128)) {
        at += skip;
        match head.get(at..) {
            Some([0x81..=0xfe, second @ (0x40..=0x7e | 0x80..=0xfe), ..]) => {
                han += usize::from(*second >= 0xa1);
                at += 2;
            }
            Some([0x81..=0xfe, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, ..]) => at += 4,
            Some(rest) if rest.len() < 4 && head.len() == HEAD => break,
            _ => return false,
        }
        pairs += 1;
    }
    // Where most are followed by ASCII, they are accented letters of another encoding.
    pairs >= GB18030_PAIRS && han * 2 >= pairs
}

fn gb18030(file: &DataFile) -> UserError {
    UserError::bad_input(Text::fixed(
        "The file is not UTF-8; it looks like GB18030 (GBK), as spreadsheets write it in China",
        "文件不是 UTF-8 编码，看起来是 GB18030（GBK），电子表格常默认使用该编码",
    ))
    .mend(Text::fixed(
        "save it as \"CSV UTF-8\", or convert it: iconv -f GB18030 -t UTF-8 FILE > NEW",
        "请另存为“CSV UTF-8”，或转换编码：iconv -f GB18030 -t UTF-8 原文件 > 新文件",
    ))
    .in_file(&**file.path())
}

fn unnamed(file: &DataFile) -> UserError {
    UserError::bad_input(Text::fixed(
        "What the file holds can be told neither from its name nor from its content",
        "无法从文件名或内容判断文件类型",
    ))
    .in_file(&**file.path())
}

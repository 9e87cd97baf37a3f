//! Which container a file is. Content decides where it speaks (JSON lines are often named `.json`),
//! the name where it does not.

use protocol::{Result, Text, UserError, text};
use serde_json::Value;

use super::{CONTAINERS, Container, DataFile, json, jsonl, skip_bom, txt};

/// Enough for the first row of nearly every file.
const HEAD: usize = 256 << 10;

/// Beginnings of files that are not text, and what they are.
const FOREIGN: &[(&[u8], Text)] = &[
    (b"PAR1", Text::fixed("a Parquet file", "Parquet 文件")),
    (b"\x1f\x8b", Text::fixed("gzip-compressed", "gzip 压缩文件")),
    (b"\x28\xb5\x2f\xfd", Text::fixed("zstd-compressed", "zstd 压缩文件")),
    (b"PK\x03\x04", Text::fixed("a zip archive (or a spreadsheet)", "zip 压缩包（或电子表格）")),
    (b"ARROW1", Text::fixed("an Arrow file", "Arrow 文件")),
    (b"\xff\xfe", Text::fixed("UTF-16 text", "UTF-16 文本")),
    (b"\xfe\xff", Text::fixed("UTF-16 text", "UTF-16 文本")),
    (b"SQLite format 3", Text::fixed("an SQLite database", "SQLite 数据库")),
];

pub fn container(file: &DataFile) -> Result<&'static Container> {
    let head = file.head(HEAD)?;
    if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(foreign(file, kind));
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
    let extension = file.path().extension()?.to_str()?.to_ascii_lowercase();
    CONTAINERS.iter().copied().find(|container| container.extensions.contains(&extension.as_str()))
}

fn foreign(file: &DataFile, kind: &Text) -> UserError {
    let Text { en, zh } = kind;
    let read = ".jsonl, .json, .csv, .tsv, .txt";
    UserError::bad_input(text!("The file is {en}, which is not read", "该文件是{zh}，暂不支持读取"))
        .mend(text!("give it as one of {read}, in UTF-8", "请提供 UTF-8 编码的文件：{read}"))
        .in_file(&**file.path())
}

fn unnamed(file: &DataFile) -> UserError {
    UserError::bad_input(Text::fixed(
        "What the file holds can be told neither from its name nor from its content",
        "无法从文件名或内容判断文件类型",
    ))
    .in_file(&**file.path())
}

//! One JSON document: an array of objects, or an object with such an array in one of its fields
//! (`{"data": […]}`), or a single object, which is then the only row.

use protocol::{Result, Text, UserError, text};

use super::index::RowIndex;
use super::scan::Scanner;
use super::{Container, DataFile, MAX_ROW_BYTES, Row, RowSource, RowValue, content_start, json_object};
use crate::progress::Progress;

pub(super) const CONTAINER: Container = Container { id: "json", extensions: &["json"], open };

/// Fields that hold the parts of one row, not rows.
const PARTS_OF_A_ROW: &[&str] = &[
    "messages",
    "conversation",
    "conversations",
    "tools",
    "history",
    "chosen",
    "rejected",
    "prompt",
    "completion",
];

/// Longest key that is compared with others.
const KEY_LIMIT: usize = 256;

struct Json {
    file: DataFile,
    index: RowIndex,
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let start = content_start(&file)?;
    let index = {
        let mut scanner = Scanner::new(&file, start, progress);
        let index = match scanner.next_token()? {
            Some(b'[') => array(&mut scanner)?.0,
            Some(b'{') => object(&mut scanner, file.bytes()).map_err(|err| err.in_file(&**file.path()))?,
            Some(_) => return Err(scanner.unexpected(Text::fixed("`[` or `{`", "`[` 或 `{`"))),
            None => RowIndex::default(),
        };
        if !scanner.is_cut() && scanner.next_token()?.is_some() {
            return Err(scanner.unexpected(Text::fixed("the end of the file", "文件结尾")).mend(
                Text::fixed(
                    "a .json file holds one array; give JSON lines the ending .jsonl",
                    ".json 文件只能包含一个数组；JSON 行格式请使用 .jsonl 扩展名",
                ),
            ));
        }
        index
    };
    Ok(Box::new(Json { file, index }))
}

/// Walks an array from its bracket; gives its elements and whether the first is an object.
fn array(scanner: &mut Scanner<'_>) -> Result<(RowIndex, bool)> {
    scanner.take();
    let mut starts = Vec::new();
    let mut first = None;
    if scanner.next_token()? == Some(b']') {
        let end = scanner.position();
        scanner.take();
        return Ok((RowIndex::new(starts, end), true));
    }
    loop {
        let at_row = |err: UserError, rows: usize| err.at_row(rows as u64 + 1);
        let row = starts.len();
        let kind = scanner.next_token()?;
        first = first.or(kind);
        match kind {
            None if scanner.is_cut() => return Ok((cut_index(starts), first == Some(b'{'))),
            None => return Err(at_row(scanner.cut_off(Text::fixed("the array", "数组未结束")), row)),
            Some(b',' | b']' | b'}') => {
                return Err(at_row(scanner.unexpected(Text::fixed("a row", "一行数据")), row)
                    .mend(Text::fixed("there is a comma too many", "多了一个逗号")));
            }
            Some(_) => starts.push(scanner.position()),
        }
        let skipped = scanner.skip_value();
        if scanner.is_cut() {
            return Ok((cut_index(starts), first == Some(b'{')));
        }
        skipped.map_err(|err| at_row(err, row))?;
        match scanner.next_token()? {
            Some(b',') => scanner.take(),
            None if scanner.is_cut() => return Ok((cut_index(starts), first == Some(b'{'))),
            Some(b']') => {
                let end = scanner.position();
                scanner.take();
                return Ok((RowIndex::new(starts, end), first == Some(b'{')));
            }
            Some(_) => return Err(at_row(scanner.unexpected(Text::fixed("`,` or `]`", "`,` 或 `]`")), row)),
            None => return Err(at_row(scanner.cut_off(Text::fixed("the array", "数组未结束")), row)),
        }
    }
}

/// The rows that lie in a file's head whole: all but the last that begins there.
fn cut_index(mut starts: Vec<u64>) -> RowIndex {
    let end = starts.pop().unwrap_or_default();
    RowIndex::new(starts, end)
}

/// Walks an object from its brace; its rows are those of its one array of objects, if it has one.
fn object(scanner: &mut Scanner<'_>, bytes: u64) -> Result<RowIndex> {
    let start = scanner.position();
    let mut found: Vec<(String, RowIndex)> = Vec::new();
    scanner.take();
    if scanner.next_token()? == Some(b'}') {
        scanner.take();
        return Ok(RowIndex::new(vec![start], bytes));
    }
    loop {
        let key = scanner.next_token()?;
        if scanner.is_cut() {
            break;
        }
        if key != Some(b'"') {
            return Err(scanner.unexpected(Text::fixed("a key in quotes", "带引号的键")));
        }
        let key = scanner.short_string(KEY_LIMIT);
        let colon = scanner.next_token()?;
        if scanner.is_cut() {
            break;
        }
        let key = key?;
        if colon != Some(b':') {
            return Err(scanner.unexpected(Text::fixed("`:`", "`:`")));
        }
        scanner.take();
        if scanner.next_token()? == Some(b'[') && !PARTS_OF_A_ROW.contains(&key.as_str()) {
            let (index, of_objects) = array(scanner).map_err(|err| err.at_item(key.clone()))?;
            if of_objects && index.len() > 0 {
                found.push((key, index));
            }
        } else {
            let skipped = scanner.skip_value();
            if scanner.is_cut() {
                break;
            }
            skipped?;
        }
        match scanner.next_token()? {
            Some(b',') => scanner.take(),
            Some(b'}') => break,
            None if scanner.is_cut() => break,
            Some(_) => return Err(scanner.unexpected(Text::fixed("`,` or `}`", "`,` 或 `}`"))),
            None => return Err(scanner.cut_off(Text::fixed("the object", "对象未结束"))),
        }
    }
    if scanner.is_cut() {
        // Which field holds the rows is not known yet, unless one does already.
        return Ok(found.into_iter().next().map_or_else(RowIndex::default, |(_, index)| index));
    }
    scanner.take();
    let end = scanner.position();
    match found.len() {
        0 => Ok(RowIndex::new(vec![start], end)),
        1 => Ok(found.swap_remove(0).1),
        _ => Err(several_arrays(&found)),
    }
}

fn several_arrays(found: &[(String, RowIndex)]) -> UserError {
    let names: Vec<_> = found.iter().map(|(key, _)| format!("`{key}`")).collect();
    let names = names.join(", ");
    UserError::bad_input(text!("The file has several lists of rows: {names}", "文件含有多个行列表：{names}"))
        .mend(Text::fixed(
            "keep one of them, or save each as a file of its own",
            "请只保留一个，或分别另存为文件",
        ))
}

impl RowSource for Json {
    fn file(&self) -> &DataFile {
        &self.file
    }

    fn container(&self) -> &'static str {
        CONTAINER.id
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn get(&self, index: usize) -> Result<Row> {
        let (offset, end) = self.index.span(&self.file, index)?;
        if end.saturating_sub(offset) > MAX_ROW_BYTES {
            return Err(self.index.too_long(&self.file, index));
        }
        let bytes = self.index.read(&self.file, index)?;
        let row = index as u64 + 1;
        let fields =
            json_object(&bytes, offset, true).map_err(|err| err.at_row(row).in_file(&**self.file.path()))?;
        Ok(Row { value: RowValue::Object(fields), file: self.file.path().clone(), row, offset })
    }
}

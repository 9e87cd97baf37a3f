//! What is looked at before the `parquet` crate opens a file: that its footer has a bearable size, and its schema a
//! bearable depth (the crate walks it by recursion).

use protocol::{Result, Text, UserError, text};

use super::super::DataFile;
use super::thrift::{BINARY, Compact, I32, LIST, STRUCT, nonsense};

/// A footer's last bytes: its length, and `PAR1`.
const TAIL: u64 = 8;
/// A thousand row groups of a hundred columns take some 20 MB.
const MAX_FOOTER: u64 = 64 << 20;
/// Structs and lists within each other; each list takes two.
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: u64 = 8192;

/// # Errors
/// When the file is cut off, encrypted, or described in a way that no program wrote.
pub fn check(file: &DataFile) -> Result<()> {
    let bytes = file.bytes();
    let start = bytes.checked_sub(TAIL).ok_or_else(cut_off)?;
    let tail = file.read(start, TAIL as usize)?;
    match tail.get(4..) {
        Some(b"PAR1") => {}
        Some(b"PARE") => {
            return Err(UserError::bad_input(Text::fixed(
                "The Parquet file is encrypted, which is not read",
                "不支持读取加密的 Parquet 文件",
            )));
        }
        _ => return Err(cut_off()),
    }
    let length = tail.iter().take(4).rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    if length > MAX_FOOTER {
        return Err(nonsense().detail(format!("its footer is {length} bytes long")));
    }
    let begin = start.checked_sub(length).ok_or_else(nonsense)?;
    check_schema(&file.read(begin, length as usize)?)
}

fn cut_off() -> UserError {
    UserError::bad_input(Text::fixed("The Parquet file is cut off", "Parquet 文件不完整"))
        .mend(Text::fixed("fetch it again", "请重新下载"))
}

fn check_schema(footer: &[u8]) -> Result<()> {
    let mut compact = Compact::new(footer);
    let mut last = 0;
    while let Some(kind) = compact.field(&mut last)? {
        if (last, kind) != (2, LIST) {
            compact.skip(kind)?;
            continue;
        }
        let (count, kind) = compact.list()?;
        if kind != STRUCT || count > MAX_ELEMENTS {
            let count = text!("its schema has {count} elements", "其模式有 {count} 个元素");
            return Err(nonsense().detail(count.en));
        }
        return check_depth((0..count).map(|_| children(&mut compact)));
    }
    Err(nonsense().detail("it has no schema"))
}

/// Children of a schema element.
fn children(compact: &mut Compact<'_>) -> Result<u64> {
    let (mut last, mut children) = (0, 0);
    while let Some(kind) = compact.field(&mut last)? {
        match (last, kind) {
            (5, I32) => children = compact.number()?,
            (_, BINARY | 1..) => compact.skip(kind)?,
            _ => return Err(nonsense()),
        }
    }
    u64::try_from(children).map_err(|_| nonsense())
}

/// `elements`: how many children each has, parents before their children.
fn check_depth(elements: impl Iterator<Item = Result<u64>>) -> Result<()> {
    // Of each group that is open, children that are still to come.
    let mut open: Vec<u64> = Vec::new();
    for children in elements {
        let children = children?;
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_DEPTH {
            return Err(UserError::bad_input(text!(
                "The columns of the Parquet file are nested more than {MAX_DEPTH} deep",
                "Parquet 文件的列嵌套超过 {MAX_DEPTH} 层"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_open_groups() {
        let check = |children: &[u64]| check_depth(children.iter().map(|count| Ok(*count)));
        assert!(check(&[2, 1, 0, 0]).is_ok());
        assert!(check(&[1; MAX_DEPTH]).is_ok());
        assert!(check(&[1; MAX_DEPTH + 1]).is_err());
        // Wide and flat.
        assert!(check(&[&[200u64][..], &[0; 200]].concat()).is_ok());
        assert!(check(&[u64::MAX, 0, 0]).is_ok());
        assert!(check(&[]).is_ok());
    }
}

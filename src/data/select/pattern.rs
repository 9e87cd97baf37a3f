//! Patterns of paths: `*` stands for any characters of a name, `?` for one, `**` for any folders.

use std::path::{Component, Path, PathBuf};

use protocol::{Result, Text, UserError};

use super::folder::{MAX_DEPTH, MAX_FILES, entries};

/// Whether a path has characters that stand for others.
pub(super) fn is_one(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(['*', '?']))
}

/// The files that a pattern fits, by name.
///
/// # Errors
/// When there are none or far too many, or a folder cannot be read.
pub(super) fn files(pattern: &Path) -> Result<Vec<PathBuf>> {
    let parts: Vec<Component<'_>> = pattern.components().collect();
    let fixed = parts.iter().position(|part| is_one(Path::new(part.as_os_str()))).unwrap_or(parts.len());
    let (start, rest) = parts.split_at(fixed);
    let rest: Vec<&str> = rest.iter().filter_map(|part| part.as_os_str().to_str()).collect();
    let mut found = Vec::new();
    let start: PathBuf = start.iter().collect();
    walk(if start.as_os_str().is_empty() { Path::new(".") } else { &start }, &rest, MAX_DEPTH, &mut found)?;
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(UserError::bad_input(Text::fixed("No file fits the pattern", "没有文件匹配该模式"))
            .mend(Text::fixed(
                "`*` stands for any part of a name, `**` for any folders",
                "`*` 匹配名称的任意部分，`**` 匹配任意层文件夹",
            ))
            .in_file(pattern));
    }
    Ok(found)
}

fn walk(folder: &Path, parts: &[&str], depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if depth == 0 || !folder.is_dir() {
        return Ok(());
    }
    if *part == "**" {
        walk(folder, rest, depth, found)?;
    }
    for path in entries(folder)? {
        let is_dir = path.is_dir();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if *part == "**" {
            if is_dir {
                walk(&path, parts, depth - 1, found)?;
            }
        } else if fits(part.as_bytes(), name.as_bytes()) {
            match (is_dir, rest.is_empty()) {
                (true, false) => walk(&path, rest, depth - 1, found)?,
                (false, true) => found.push(path),
                _ => {}
            }
        }
        if found.len() > MAX_FILES {
            return Err(UserError::bad_input(Text::fixed(
                "The pattern fits far too many files",
                "匹配该模式的文件过多",
            ))
            .in_file(folder));
        }
    }
    Ok(())
}

/// Whether a name fits a pattern of `*` and `?`; a `*` is tried again one byte further when what follows it fails.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let fits = |pattern: &str, name: &str| super::fits(pattern.as_bytes(), name.as_bytes());
        assert!(fits("*.jsonl", "a.jsonl") && fits("*", "") && fits("a*b*c", "axxbyyc") && fits("?b", "ab"));
        assert!(fits("*ab", "aab") && fits("train-*", "train-") && fits("**", "x"));
        assert!(!fits("*.jsonl", "a.json") && !fits("?", "") && !fits("a*b", "ac") && !fits("a", "ab"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let name = "a".repeat(2000);
        assert!(!fits("*a".repeat(200).as_bytes(), format!("{name}b").as_bytes()));
    }
}

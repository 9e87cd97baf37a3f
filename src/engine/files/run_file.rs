//! The text of a run file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use protocol::{Result, Text, UserError, text};

/// A run file is written by hand; anything larger is another file by mistake.
pub const MAX_RUN_FILE_BYTES: u64 = 4 << 20;

/// Stands for stdin in place of a path.
pub const STDIN: &str = "-";

/// # Errors
/// When the file cannot be read, is too large, or is not UTF-8.
pub fn read_run_file(path: &Path) -> Result<String> {
    let reading = Text::fixed("read the run file", "读取运行文件");
    let from: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|err| UserError::io(reading.clone(), path, &err))?)
    };
    let mut bytes = Vec::new();
    from.take(MAX_RUN_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|err| UserError::io(reading, path, &err))?;
    if bytes.len() as u64 > MAX_RUN_FILE_BYTES {
        return Err(UserError::bad_input(text!(
            "This is too large for a run file (over 4 MiB)",
            "文件过大，不是运行文件（超过 4 MiB）"
        ))
        .in_file(path)
        .mend(Text::fixed(
            "name a run file: a short text as in presets/recipes",
            "请指定运行文件：如 presets/recipes 中的简短文本",
        )));
    }
    String::from_utf8(bytes).map_err(|err| {
        let line =
            err.as_bytes()[..err.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        UserError::bad_input(Text::fixed("The run file is not UTF-8 text", "运行文件不是 UTF-8 文本"))
            .at_row(line as u64 + 1)
            .in_file(path)
            .mend(Text::fixed("save it as UTF-8", "请另存为 UTF-8 编码"))
    })
}

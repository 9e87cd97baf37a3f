//! What is wrong with JSON that cannot be read: what stands where, and how to mend it.

use protocol::{Result, Text, UserError, text};

use super::DataFile;

/// Read at once while lines are counted.
const BLOCK: usize = 1 << 20;
/// Words of Python and JavaScript for what JSON writes otherwise.
const OTHER_WORDS: [&str; 5] = ["None", "True", "False", "undefined", "nil"];
const NO_NUMBERS: [&str; 6] = ["NaN", "nan", "Infinity", "inf", "Inf", "INF"];
/// Quotes that JSON does not take.
const OTHER_QUOTES: [char; 6] = ['\'', '‘', '’', '“', '”', '`'];

/// Why a row is no JSON. `offset` is where its text begins in the file; `is_line`: it must be one line by itself.
pub(super) fn not_json(err: &serde_json::Error, text: &str, offset: u64, is_line: bool) -> UserError {
    let spot = Spot::of(err, text);
    let byte = offset + spot.at as u64;
    // serde_json says the place in its own terms; ours is the file's.
    let said = err.to_string();
    let reason = said.split(" at line ").next().unwrap_or(&said);
    let zh = in_chinese(reason);
    let (line, column) = (spot.line, spot.column);
    let what = match line {
        1 => text!(
            "Not valid JSON at byte {byte} of the file (column {column}): {reason}",
            "文件第 {byte} 字节处（第 {column} 列）不是有效的 JSON：{zh}"
        ),
        _ => text!(
            "Not valid JSON at byte {byte} of the file (line {line} of the row, column {column}): {reason}",
            "文件第 {byte} 字节处（该行数据的第 {line} 行、第 {column} 列）不是有效的 JSON：{zh}"
        ),
    };
    UserError::bad_input(what).mend(mend(reason, &spot, is_line))
}

/// Where reading stopped.
struct Spot<'a> {
    text: &'a str,
    /// Byte of the text.
    at: usize,
    /// 1-based, within the text.
    line: usize,
    /// 1-based, in characters.
    column: usize,
}

impl<'a> Spot<'a> {
    fn of(err: &serde_json::Error, text: &'a str) -> Self {
        let before: usize = text.split_inclusive('\n').take(err.line().saturating_sub(1)).map(str::len).sum();
        // Column 0 is the line break before.
        let mut at = (before + err.column()).saturating_sub(1).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[..at].matches('\n').count() + 1;
        Self { text, at, line, column: text[begin..at].chars().count() + 1 }
    }

    fn here(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn is_first_word(&self) -> bool {
        self.text[..self.at].bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// The word around it.
    fn word(&self) -> &'a str {
        let inside = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let length = |chars: &mut dyn Iterator<Item = char>| chars.take_while(inside).count();
        let before = length(&mut self.text[..self.at].chars().rev());
        let after = length(&mut self.text[self.at..].chars());
        &self.text[self.at - before..self.at + after]
    }
}

fn mend(reason: &str, spot: &Spot<'_>, is_line: bool) -> Text {
    let (here, word) = (spot.here(), spot.word());
    let quoted = here.is_some_and(|here| OTHER_QUOTES.contains(&here));
    match reason {
        "expected value" | "key must be a string" if quoted => Text::fixed(
            "put keys and texts in straight double quotes: \"…\"",
            "键和文本请使用英文双引号：\"…\"",
        ),
        "expected value" | "expected ident" if OTHER_WORDS.contains(&word) => {
            text!("write null, true or false in place of {word}", "请用 null、true 或 false 代替 {word}")
        }
        "expected value" | "expected ident" | "invalid number" if NO_NUMBERS.contains(&word) => {
            text!("JSON has no {word}: write null", "JSON 中没有 {word}：请写成 null")
        }
        "expected value" | "expected ident" if is_line && spot.is_first_word() => Text::fixed(
            "a row begins with {; perhaps a line break inside a text has split the row before: write it as \\n",
            "每行应以 { 开头；可能是上一行文本中的换行把数据拆开了：请写成 \\n",
        ),
        "expected value" if matches!(here, Some(',' | '}' | ']')) => {
            Text::fixed("a value is missing there, or a comma is too many", "此处缺少值，或多了一个逗号")
        }
        "expected value" | "expected ident" => Text::fixed(
            "put texts in double quotes; only numbers, true, false and null stand without",
            "文本请加双引号；只有数字、true、false 和 null 不加",
        ),
        "key must be a string" => {
            Text::fixed("put keys in double quotes: {\"key\": …}", "键请加双引号：{\"key\": …}")
        }
        "trailing comma" => {
            Text::fixed("take away the comma before the closing bracket", "请删除右括号前的逗号")
        }
        "trailing characters" if is_line && here == Some(',') => Text::fixed(
            "take away the comma behind the row: JSON lines have none (an array goes into a .json file)",
            "请删除行末的逗号：JSON 行之间没有逗号（数组请存为 .json 文件）",
        ),
        "trailing characters" if is_line && here == Some('{') => {
            Text::fixed("begin a new line there: one row a line", "请在此处换行：每行一条数据")
        }
        "trailing characters" => {
            Text::fixed("take away what follows the closing bracket", "请删除右括号之后的内容")
        }
        "EOF while parsing a string" if is_line => Text::fixed(
            "the closing quote is missing, or a line break stands inside a text: write it as \\n",
            "缺少右引号，或文本中有换行：换行请写成 \\n",
        ),
        "EOF while parsing a string" => Text::fixed("put in the closing quote", "请补上右引号"),
        _ if reason.starts_with("EOF") && is_line => Text::fixed(
            "a row is one line, up to its closing bracket; an array or object over several lines goes into a .json file",
            "每条数据占一行，并以右括号结束；跨多行的数组或对象请存为 .json 文件",
        ),
        _ if reason.starts_with("EOF") => Text::fixed("put in the closing bracket", "请补上右括号"),
        _ if reason.starts_with("control character") => control(here),
        "expected `,` or `}`" | "expected `,` or `]`" => Text::fixed(
            "put in the comma that is missing; a quote inside a text is written \\\"",
            "请补上缺少的逗号；文本中的引号请写成 \\\"",
        ),
        "expected `:`" => Text::fixed(
            "write a colon between a key and its value; a quote inside a text is written \\\"",
            "键与值之间请写冒号；文本中的引号请写成 \\\"",
        ),
        "invalid escape" => {
            Text::fixed("write a backslash inside a text twice: \\\\", "文本中的反斜杠请写两次：\\\\")
        }
        "invalid number" | "number out of range" => Text::fixed(
            "write numbers like 12, -0.5 or 1e-5, and anything else in double quotes",
            "数字请写成 12、-0.5 或 1e-5 的形式，其他内容请加双引号",
        ),
        "recursion limit exceeded" => Text::fixed(
            "lists and objects lie too deep in each other; make them flatter",
            "列表和对象嵌套过深，请减少层数",
        ),
        _ if reason.contains("unicode") || reason.contains("hex escape") => Text::fixed(
            "write the character itself in place of \\u…, or all of its digits",
            "请直接写字符，或写全 \\u 后的数字",
        ),
        _ => Text::fixed("write the row as the others are written", "请按其他行的写法更正"),
    }
}

fn control(here: Option<char>) -> Text {
    match here {
        Some('\t') => Text::fixed("write a tab inside a text as \\t", "文本中的制表符请写成 \\t"),
        Some('\n' | '\r') => Text::fixed("write a line break inside a text as \\n", "文本中的换行请写成 \\n"),
        _ => Text::fixed("take the control character out of the text", "请从文本中删除控制字符"),
    }
}

/// The words of serde_json.
fn in_chinese(reason: &str) -> &str {
    match reason {
        "EOF while parsing a list" => "列表未结束",
        "EOF while parsing an object" => "对象未结束",
        "EOF while parsing a string" => "字符串未结束",
        "EOF while parsing a value" => "值不完整",
        "expected `:`" => "此处应为 `:`",
        "expected `,` or `]`" => "此处应为 `,` 或 `]`",
        "expected `,` or `}`" => "此处应为 `,` 或 `}`",
        "expected value" | "expected ident" => "此处应为一个值",
        "invalid escape" => "无效的转义",
        "invalid number" => "无效的数字",
        "number out of range" => "数字超出范围",
        "invalid unicode code point" | "lone leading surrogate in hex escape" => "无效的 Unicode 编码",
        "unexpected end of hex escape" => "\\u 转义不完整",
        "key must be a string" => "键必须是字符串",
        "trailing comma" => "多余的逗号",
        "trailing characters" => "多余的内容",
        "recursion limit exceeded" => "嵌套过深",
        _ if reason.starts_with("control character") => "字符串中含有控制字符",
        _ => reason,
    }
}

/// Line and column (in characters) of a byte of a file, 1-based.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn line_and_column(file: &DataFile, byte: u64) -> Result<(u64, u64)> {
    let (mut line, mut column, mut at) = (1, 1, 0);
    let mut block = vec![0; BLOCK];
    while at < byte {
        let wanted = usize::try_from(byte - at).unwrap_or(BLOCK).min(BLOCK);
        let read = file.read_some(&mut block[..wanted], at)?;
        if read == 0 {
            break;
        }
        for byte in &block[..read] {
            match byte {
                b'\n' => (line, column) = (line + 1, 1),
                // The bytes behind a character's first.
                0x80..=0xBF => {}
                _ => column += 1,
            }
        }
        at += read as u64;
    }
    Ok((line, column))
}

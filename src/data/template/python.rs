//! What Python would print: `str`, `repr`, `json.dumps` and `strftime`, for values inside templates.

use std::fmt::Write as _;

use chrono::NaiveDateTime;
use chrono::format::{Item, StrftimeItems};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Nesting beyond this is refused, as Python's recursion limit does.
const MAX_DEPTH: usize = 200;

/// `str(value)`.
pub(super) fn str_of(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => {
            let mut out = String::new();
            repr(&mut out, value, 0)?;
            Ok(out)
        }
    }
}

fn repr(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    check_depth(depth)?;
    match value.kind() {
        ValueKind::Undefined => {}
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => out.push_str(&number(value, ["inf", "-inf", "nan"])),
        ValueKind::String => quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq if value.is_tuple() => {
            let single = value.len() == Some(1);
            items(out, value, depth, ["(", if single { ",)" } else { ")" }])?;
        }
        ValueKind::Seq | ValueKind::Iterable => items(out, value, depth, ["[", "]"])?,
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                repr(out, &key, depth + 1)?;
                out.push_str(": ");
                repr(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn items(out: &mut String, value: &Value, depth: usize, brackets: [&str; 2]) -> Result<(), Error> {
    out.push_str(brackets[0]);
    for (index, item) in value.try_iter()?.enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        repr(out, &item, depth + 1)?;
    }
    out.push_str(brackets[1]);
    Ok(())
}

/// A string literal as Python writes it: single quotes, unless only double ones need no escape.
fn quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => push_fmt(out, format_args!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

fn push_fmt(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    out.write_fmt(arguments).unwrap_or_default();
}

/// Integers, and floats as Python's `repr` gives them. `special` names infinity, its negative, and NaN.
fn number(value: &Value, special: [&str; 3]) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    match f64::try_from(value.clone()) {
        Ok(number) if number.is_nan() => special[2].to_owned(),
        Ok(number) if number.is_infinite() => special[usize::from(number < 0.0)].to_owned(),
        Ok(number) => float(number),
        Err(_) => value.to_string(),
    }
}

/// Rust and Python agree on the digits and on where exponents begin; Python writes the exponent with a
/// sign and at least two digits.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn check_depth(depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply"));
    }
    Ok(())
}

/// Jinja's filter `int`: what is no number gives the default instead of an error.
pub(super) fn int_of(value: &Value) -> Option<i64> {
    let whole = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => value.as_i64(),
    };
    let float = || float_of(value).filter(|number| number.is_finite()).map(|number| number.trunc() as i64);
    whole.or_else(float)
}

/// Jinja's filter `float`.
pub(super) fn float_of(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::String => value.as_str()?.trim().parse().ok(),
        _ => f64::try_from(value.clone()).ok(),
    }
}

/// The filter `tojson` as transformers defines it: `json.dumps` without HTML escapes, `ensure_ascii`
/// false unless asked for.
pub(super) fn tojson(value: &Value, positional: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let argument = |index: usize, name: &str| -> Result<Value, Error> {
        let named = kwargs.get::<Option<Value>>(name)?;
        Ok(named.or_else(|| positional.get(index).cloned()).unwrap_or(Value::from(())))
    };
    let ensure_ascii = argument(0, "ensure_ascii")?.is_true();
    let indent = indent(&argument(1, "indent")?)?;
    let separators = separators(&argument(2, "separators")?, indent.is_some())?;
    let sort_keys = argument(3, "sort_keys")?.is_true();
    kwargs.assert_all_used()?;
    let mut json = Json { out: String::new(), ensure_ascii, indent, separators, sort_keys };
    json.write(value, 0)?;
    Ok(Value::from_safe_string(json.out))
}

fn indent(value: &Value) -> Result<Option<String>, Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return Ok(Some(text.to_owned()));
    }
    match value.as_i64() {
        Some(width) => Ok(Some(" ".repeat(width.clamp(0, 64).unsigned_abs() as usize))),
        None => Err(Error::new(ErrorKind::InvalidOperation, "indent must be a number or a string")),
    }
}

fn separators(value: &Value, indented: bool) -> Result<[String; 2], Error> {
    if value.is_none() || value.is_undefined() {
        return Ok([if indented { "," } else { ", " }.to_owned(), ": ".to_owned()]);
    }
    let part = |index: usize| Ok::<_, Error>(value.get_item_by_index(index)?.to_string());
    Ok([part(0)?, part(1)?])
}

struct Json {
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    /// Between items, and between key and value.
    separators: [String; 2],
    sort_keys: bool,
}

impl Json {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value, ["Infinity", "-Infinity", "NaN"])),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.object(value, depth)?,
            kind => {
                return Err(Error::new(
                    ErrorKind::BadSerialization,
                    format!("Object of type {kind} is not JSON serializable"),
                ));
            }
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in value.try_iter()? {
            self.before_item(empty, depth + 1);
            self.write(&item, depth + 1)?;
            empty = false;
        }
        self.close(empty, depth, ']');
        Ok(())
    }

    fn object(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('{');
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        for (index, key) in keys.iter().enumerate() {
            self.before_item(index == 0, depth + 1);
            self.key(key)?;
            self.out.push_str(&self.separators[1]);
            self.write(&value.get_item(key)?, depth + 1)?;
        }
        self.close(keys.is_empty(), depth, '}');
        Ok(())
    }

    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match key.kind() {
            ValueKind::String => self.string(key.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                self.out.push('"');
                self.write(key, 0)?;
                self.out.push('"');
            }
            kind => {
                let why = format!("keys must be str, int, float, bool or None, not {kind}");
                return Err(Error::new(ErrorKind::BadSerialization, why));
            }
        }
        Ok(())
    }

    fn before_item(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push_str(&self.separators[0]);
        }
        self.new_line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            (0..depth).for_each(|_| self.out.push_str(indent));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ensure_ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        push_fmt(&mut self.out, format_args!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// `datetime.strftime`, for the codes that Python and chrono share.
pub(super) fn strftime(now: NaiveDateTime, format: &str) -> Result<String, Error> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    let mut out = String::new();
    let unknown = items.iter().any(|item| matches!(item, Item::Error));
    if unknown || write!(out, "{}", now.format_with_items(items.iter())).is_err() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now does not understand {format:?}"),
        ));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e-5, "1e-05"),
            (1e16, "1e+16"),
            (123_456_789.5, "123456789.5"),
            (2.5e-7, "2.5e-07"),
            (1e100, "1e+100"),
            (1e15, "1000000000000000.0"),
            (-0.0, "-0.0"),
            (0.0001, "0.0001"),
        ];
        for (number, text) in cases {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn values_are_printed_as_python_prints_them() {
        let value = Value::from(minijinja::value::Serde(
            serde_json::json!({"a": [1, 2.0, null, true, "it's", "\n"], "b": {}}),
        ));
        assert_eq!(str_of(&value).unwrap(), r#"{'a': [1, 2.0, None, True, "it's", '\n'], 'b': {}}"#);
        assert_eq!(str_of(&Value::UNDEFINED).unwrap(), "");
    }

    #[test]
    fn unknown_time_codes_are_refused() {
        let now = chrono::DateTime::from_timestamp(0, 0).unwrap().naive_utc();
        assert_eq!(strftime(now, "%d %b %Y %H:%M").unwrap(), "01 Jan 1970 00:00");
        assert!(strftime(now, "%Q").is_err());
        assert!(strftime(now, "%z").is_err());
    }
}

//! Parsers of flag values. Their errors become clap's, with exit code 2.

use protocol::OutputColumn;
use serde_json::Value;

/// `auto`, `cpu`, `cuda` (the first one), `cuda:N` or `cpu:N`; of the latter also several, with commas between them.
pub fn device(text: &str) -> Result<String, String> {
    let several = text.contains(',');
    let one = |name: &str| match name.trim() {
        "cuda" => Some("cuda:0".to_owned()),
        "cpu" => Some("cpu".to_owned()),
        "auto" if !several => Some("auto".to_owned()),
        name => {
            let (kind, index) = name.split_once(':')?;
            let known = matches!(kind, "cuda" | "cpu") || kind == "wgpu" && cfg!(feature = "wgpu");
            index.parse::<u32>().ok().filter(|_| known).map(|_| name.to_owned())
        }
    };
    let names: Option<Vec<String>> = text.split(',').map(one).collect();
    names.map(|names| names.join(",")).ok_or_else(|| "expected auto, cpu, cuda:N, or cuda:N,cuda:M".into())
}

/// `KEY=VALUE`, where the value is JSON if it parses as JSON, and text otherwise.
pub fn override_pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() {
        return Err("expected a key before `=`".into());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
    Ok((key.into(), value))
}

/// `PART=COLUMN`, as in `[data.columns]`.
pub fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((part, column)) if !part.is_empty() => Ok((part.into(), column.into())),
        _ => Err("expected PART=COLUMN".into()),
    }
}

/// Token ids, separated by commas or spaces.
pub fn token_ids(text: &str) -> Result<TokenIds, String> {
    text.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| format!("`{part}` is not a token id")))
        .collect::<Result<_, _>>()
        .map(TokenIds)
}

/// A list in one flag. Its own type, because clap takes a `Vec` for a flag that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIds(pub Vec<u32>);

/// Fields of dataset formats that a prompt is made of; see `data::formats`.
const PROMPT_FIELDS: [&str; 9] =
    ["prompt", "query", "instruction", "input", "history", "system", "tools", "text", "messages"];

/// `FIELD=TEMPLATE`, or the template of `prompt`.
pub fn field_of_prompt(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, template)) if PROMPT_FIELDS.contains(&field.trim()) => {
            Ok((field.trim().into(), template.into()))
        }
        _ if text.is_empty() => Err("expected a template".into()),
        _ => Ok(("prompt".into(), text.into())),
    }
}

/// The columns of an output. Its own type, because clap takes a `Vec` for a flag that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumns(pub Vec<OutputColumn>);

/// `NAME` or `NAME=VALUE`, separated by commas; those in `{{ }}` and `{% %}` are the expression's.
pub fn output_columns(text: &str) -> Result<OutputColumns, String> {
    let column = |piece: String| {
        let piece = piece.trim();
        let (name, value) = piece.split_once('=').unwrap_or((piece, piece));
        match (name.trim(), value.trim()) {
            ("", _) | (_, "") => Err(format!("`{piece}` has no name or no value")),
            (name, value) => Ok(OutputColumn { name: name.into(), value: value.into() }),
        }
    };
    pieces(text).into_iter().map(column).collect::<Result<_, _>>().map(OutputColumns)
}

/// The text cut at commas outside of expressions.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0_usize;
    let letters: Vec<char> = text.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let next = letters.get(at + 1);
        match (letter, next) {
            ('{', Some('{' | '%')) => depth += 1,
            ('}' | '%', Some('}')) => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (letter, pieces.last_mut()) {
            (',', _) if depth == 0 => pieces.push(String::new()),
            (_, Some(piece)) => piece.push(*letter),
            _ => {}
        }
    }
    pieces
}

pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "0 or more", |value| value >= 0.0)
}

pub fn positive(text: &str) -> Result<f64, String> {
    number(text, "more than 0", |value| value > 0.0)
}

pub fn probability(text: &str) -> Result<f64, String> {
    number(text, "more than 0 and at most 1", |value| value > 0.0 && value <= 1.0)
}

fn number(text: &str, wanted: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && fits(value) => Ok(value),
        _ => Err(format!("expected a number, {wanted}")),
    }
}

/// Units of sizes: decimal as in Hugging Face's `5GB`, binary with an `i`.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
];

/// A size such as `5GB` or `512MiB`, in bytes; at least one.
pub fn size(text: &str) -> Result<u64, String> {
    const WANTED: &str = "expected a size such as 5GB or 512MiB";
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let unit = unit.trim().to_ascii_uppercase();
    let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?.1;
    let bytes = digits.parse::<f64>().map_err(|_| WANTED)? * scale as f64;
    // Beyond 2^53 a float no longer counts single bytes; no file is that large.
    match (1.0..9e15).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(WANTED.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn devices_are_the_contracts() {
        assert_eq!(device("cuda:3").unwrap(), "cuda:3");
        assert_eq!(device("cuda").unwrap(), "cuda:0");
        assert_eq!(device("cuda, cuda:1").unwrap(), "cuda:0,cuda:1");
        assert_eq!(device("cpu:0,cpu:1").unwrap(), "cpu:0,cpu:1");
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "CPU", "cpu:0,", "auto,cpu:1"] {
            assert!(device(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn overrides_are_json_or_text() {
        assert_eq!(override_pair("a.b=[1, 2]").unwrap(), ("a.b".into(), json!([1, 2])));
        assert_eq!(override_pair("a=x=y").unwrap(), ("a".into(), json!("x=y")));
        assert!(override_pair("a").is_err());
        assert!(override_pair("=1").is_err());
    }

    #[test]
    fn ids_are_separated_by_commas_or_spaces() {
        assert_eq!(token_ids("1, 2,3").unwrap().0, [1, 2, 3]);
        assert!(token_ids("1,-2").is_err());
        assert!(token_ids("4294967296").is_err());
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert!(not_negative("nan").is_err());
        assert!(not_negative("0").is_ok());
        assert!(positive("0").is_err());
        assert!(probability("1.0").is_ok());
        assert!(probability("1.01").is_err());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("5GB").unwrap(), 5_000_000_000);
        assert_eq!(size("0.5 GiB").unwrap(), 1 << 29);
        assert_eq!(size("77").unwrap(), 77);
        for wrong in ["", "GB", "0", "-1", "5TB/s", "1e99", "99999999999GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

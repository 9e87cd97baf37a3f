//! What the values of a column mean, and how JSON writes them. Dates and times as ISO 8601 has them; decimals as
//! text, since a number of JSON would round them; bytes that are no text in base64.

use std::io::Write as _;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveTime};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leaf {
    /// As the physical type says.
    Plain,
    Unsigned,
    /// With this many digits behind the point.
    Decimal(i32),
    Date,
    /// Fractions of a second, and whether days begin in UTC.
    Time(i64),
    Timestamp(i64, bool),
    Text,
    Half,
    Uuid,
}

const NANOS: i64 = 1_000_000_000;

impl Leaf {
    pub fn of(column: &ColumnDescriptor) -> Self {
        match column.logical_type_ref() {
            Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Self::Text,
            Some(LogicalType::Decimal(_)) => Self::Decimal(column.type_scale()),
            Some(LogicalType::Date) => Self::Date,
            Some(LogicalType::Time(time)) => Self::Time(fraction(&time.unit)),
            Some(LogicalType::Timestamp(time)) => {
                Self::Timestamp(fraction(&time.unit), time.is_adjusted_to_u_t_c)
            }
            Some(LogicalType::Integer(int)) if !int.is_signed => Self::Unsigned,
            Some(LogicalType::Uuid) => Self::Uuid,
            Some(LogicalType::Float16) => Self::Half,
            Some(_) => Self::Plain,
            None => Self::converted(column),
        }
    }

    /// By the older annotation.
    fn converted(column: &ColumnDescriptor) -> Self {
        match column.converted_type() {
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Self::Text,
            ConvertedType::DECIMAL => Self::Decimal(column.type_scale()),
            ConvertedType::DATE => Self::Date,
            ConvertedType::TIME_MILLIS => Self::Time(1_000),
            ConvertedType::TIME_MICROS => Self::Time(1_000_000),
            ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp(1_000, true),
            ConvertedType::TIMESTAMP_MICROS => Self::Timestamp(1_000_000, true),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Self::Unsigned,
            _ => Self::Plain,
        }
    }

    /// `bits`: width of the physical type.
    pub fn integer(self, value: i64, bits: u32, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned if bits == 32 => print(out, value as u32),
            Self::Unsigned => print(out, value as u64),
            Self::Decimal(scale) => text(out, &decimal(value.into(), scale)),
            Self::Date => or_number(out, value, date(value)),
            Self::Time(fraction) => or_number(out, value, time(value, fraction)),
            Self::Timestamp(fraction, utc) => or_number(out, value, timestamp(value, fraction, utc)),
            Self::Plain | Self::Text | Self::Half | Self::Uuid => print(out, value),
        }
    }

    pub fn bytes(self, bytes: &[u8], out: &mut Vec<u8>) {
        match (self, bytes) {
            (Self::Decimal(scale), _) if (1..=16).contains(&bytes.len()) => {
                text(out, &decimal(big_endian(bytes), scale));
            }
            (Self::Half, [low, high]) => float(half(u16::from_le_bytes([*low, *high])), out),
            (Self::Uuid, _) if bytes.len() == 16 => text(out, &uuid(bytes)),
            _ => match std::str::from_utf8(bytes) {
                Ok(written) => text(out, written),
                Err(_) => print(out, format_args!("\"{}\"", Base64Display::new(bytes, &STANDARD))),
            },
        }
    }
}

/// JSON has no word for what is not finite.
pub fn float(value: f64, out: &mut Vec<u8>) {
    print(out, Value::from(value));
}

/// Days and nanoseconds of an old kind of timestamp.
pub fn int96(nanos: i64, out: &mut Vec<u8>) {
    or_number(out, nanos, timestamp(nanos, NANOS, false));
}

pub fn text(out: &mut Vec<u8>, text: &str) {
    if serde_json::to_writer(&mut *out, text).is_err() {
        tracing::debug!("a text could not be written into memory");
    }
}

fn print(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    if write!(out, "{value}").is_err() {
        tracing::debug!("a number could not be written into memory");
    }
}

/// The number itself where it means no point in time that a calendar has.
fn or_number(out: &mut Vec<u8>, number: i64, written: Option<String>) {
    match written {
        Some(written) => text(out, &written),
        None => print(out, number),
    }
}

fn fraction(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => NANOS,
    }
}

fn date(days: i64) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let date = epoch.checked_add_signed(chrono::TimeDelta::try_days(days)?)?;
    Some(date.format("%Y-%m-%d").to_string())
}

fn time(value: i64, fraction: i64) -> Option<String> {
    let seconds = u32::try_from(value.div_euclid(fraction)).ok()?;
    let nanos = value.rem_euclid(fraction) * (NANOS / fraction);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos as u32)?;
    Some(time.format("%H:%M:%S").to_string() + &behind_seconds(nanos))
}

fn timestamp(value: i64, fraction: i64, utc: bool) -> Option<String> {
    let nanos = value.rem_euclid(fraction) * (NANOS / fraction);
    let moment = DateTime::from_timestamp(value.div_euclid(fraction), nanos as u32)?;
    let written = moment.naive_utc().format("%Y-%m-%dT%H:%M:%S").to_string() + &behind_seconds(nanos);
    Some(if utc { written + "+00:00" } else { written })
}

/// As Python's `isoformat` has it: nothing, or microseconds; nanoseconds where those do not do.
fn behind_seconds(nanos: i64) -> String {
    match (nanos, nanos % 1000) {
        (0, _) => String::new(),
        (_, 0) => format!(".{:06}", nanos / 1000),
        _ => format!(".{nanos:09}"),
    }
}

/// `digits` with the point moved `scale` places to the left.
fn decimal(digits: i128, scale: i32) -> String {
    let Some(scale) = usize::try_from(scale).ok().filter(|scale| *scale > 0 && *scale < 64) else {
        return digits.to_string();
    };
    let sign = if digits < 0 { "-" } else { "" };
    let all = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, behind) = all.split_at(all.len() - scale);
    format!("{sign}{whole}.{behind}")
}

/// A number in two's complement, of 16 bytes at most.
fn big_endian(bytes: &[u8]) -> i128 {
    let negative = bytes.first().is_some_and(|byte| *byte >= 128);
    let start = if negative { -1 } else { 0 };
    bytes.iter().fold(start, |number: i128, byte| number << 8 | i128::from(*byte))
}

/// A number of IEEE 754's 16 bits.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction / 1024.0 * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

fn uuid(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(leaf: Leaf, value: i64) -> String {
        let mut out = Vec::new();
        leaf.integer(value, 64, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_mean_what_their_column_says() {
        assert_eq!(written(Leaf::Decimal(2), -5), "\"-0.05\"");
        assert_eq!(written(Leaf::Decimal(0), 12), "\"12\"");
        assert_eq!(written(Leaf::Unsigned, -1), u64::MAX.to_string());
        assert_eq!(written(Leaf::Date, -1), "\"1969-12-31\"");
        assert_eq!(written(Leaf::Date, i64::MAX), i64::MAX.to_string());
        assert_eq!(written(Leaf::Time(1_000), 3_600_500), "\"01:00:00.500000\"");
        assert_eq!(written(Leaf::Timestamp(1_000_000, true), -1), "\"1969-12-31T23:59:59.999999+00:00\"");
        assert_eq!(written(Leaf::Timestamp(NANOS, false), 0), "\"1970-01-01T00:00:00\"");
        assert_eq!(written(Leaf::Timestamp(1_000, false), i64::MIN), i64::MIN.to_string());
    }

    #[test]
    fn bytes_mean_what_their_column_says() {
        let written = |leaf: Leaf, bytes: &[u8]| {
            let mut out = Vec::new();
            leaf.bytes(bytes, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Leaf::Plain, "é\n".as_bytes()), "\"é\\n\"");
        assert_eq!(written(Leaf::Plain, &[0xff, 0xfe, 0]), "\"//4A\"");
        assert_eq!(written(Leaf::Decimal(1), &[0xff, 0x85]), "\"-12.3\"");
        assert_eq!(written(Leaf::Half, &0x3e00u16.to_le_bytes()), "1.5");
        assert_eq!(written(Leaf::Half, &0x0001u16.to_le_bytes()), "5.960464477539063e-8");
        assert_eq!(written(Leaf::Half, &0xfc00u16.to_le_bytes()), "null");
        assert_eq!(written(Leaf::Uuid, &[0xab; 16]), "\"abababab-abab-abab-abab-abababababab\"");
    }
}

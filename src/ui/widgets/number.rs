//! Numbers as people read them.

use chrono::{DateTime, Local};

/// `1 234 567`, with narrow spaces that no language reads as a point.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{2009}")
}

/// `2.10 M`
pub fn short(value: u64) -> String {
    let scaled = |by: f64, unit: &str| format!("{:.2} {unit}", value as f64 / by);
    match value {
        0..10_000 => count(value),
        10_000..1_000_000 => scaled(1e3, "K"),
        1_000_000..1_000_000_000 => scaled(1e6, "M"),
        1_000_000_000..1_000_000_000_000 => scaled(1e9, "B"),
        _ => scaled(1e12, "T"),
    }
}

/// `1.5 GB`, in powers of 1024 as memory is sold.
pub fn bytes(value: u64) -> String {
    let mut size = value as f64;
    let mut unit = "B";
    for larger in ["KB", "MB", "GB", "TB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{value} B"),
        _ if size < 10.0 => format!("{size:.2} {unit}"),
        _ => format!("{size:.1} {unit}"),
    }
}

/// `1 h 05 min`, `6 min 20 s`, `12 s`.
pub fn duration(seconds: f64) -> protocol::Text {
    let seconds = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    let (h, min, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, min) {
        (0, 0) => protocol::text!("{s} s", "{s} 秒"),
        (0, _) => protocol::text!("{min} min {s:02} s", "{min} 分 {s:02} 秒"),
        _ => protocol::text!("{h} h {min:02} min", "{h} 小时 {min:02} 分"),
    }
}

/// `11-21 05:43`, in the user's own time, of an RFC 3339 one; what cannot be read as a time is shown as it is.
pub fn when(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Local).format("%m-%d %H:%M").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// `0.42 %`
pub fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / (whole.max(1)) as f64)
}

/// How far a measured figure is from its forecast: `+3.1 %`.
pub fn deviation(measured: u64, forecast: u64) -> String {
    let part = (measured as f64 - forecast as f64) * 100.0 / forecast.max(1) as f64;
    let sign = if part < 0.0 { '−' } else { '+' };
    format!("{sign}{:.1} %", part.abs())
}

/// A learning rate or another small number: `2e-4`, `0.05`.
pub fn scientific(value: f64) -> String {
    if value == 0.0 || (0.01..10_000.0).contains(&value.abs()) {
        let text = format!("{value:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{value:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(short(2_097_152), "2.10 M");
        assert_eq!(bytes(1_610_612_736), "1.50 GB");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(scientific(2e-4), "2e-4");
        assert_eq!(scientific(1.5e-4), "1.5e-4");
        assert_eq!(scientific(0.05), "0.05");
        assert_eq!(duration(380.0).en, "6 min 20 s");
        assert_eq!(duration(f64::NAN).zh, "0 秒");
        assert_eq!(percent(42, 10_000), "0.42 %");
        assert_eq!(deviation(980, 1000), "−2.0 %");
        assert_eq!(deviation(1031, 1000), "+3.1 %");
    }
}

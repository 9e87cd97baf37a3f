//! Numbers as people read them.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use protocol::Text;

use super::screen::Screen;

/// A template, and in brackets why it is this one.
pub fn with_reason(template: Option<&str>, reason: Option<&Text>, screen: &Screen) -> Option<String> {
    let template = template?;
    Some(match reason {
        Some(reason) => format!("{template} ({})", screen.pick(reason)),
        None => template.to_owned(),
    })
}

/// `1,234,567`
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// `1.50 GiB`
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = value as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{value} B") } else { format!("{size:.2} {unit}") }
}

/// Parameters of a model: `60.4 M`.
pub fn parameters(value: u64) -> String {
    match value {
        0..1_000 => value.to_string(),
        1_000..1_000_000 => format!("{:.1} K", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", value as f64 / 1e6),
        _ => format!("{:.2} B", value as f64 / 1e9),
    }
}

/// `1:02:03` or `2:03`; a dash when unknown.
pub fn clock(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else {
        return "–".into();
    };
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// The first rows of a finding: `1, 2, 3, …` of 20.
pub fn rows(rows: &[u64], total: u64) -> String {
    const SHOWN: usize = 12;
    let mut words: Vec<_> = rows.iter().take(SHOWN).map(u64::to_string).collect();
    if total > words.len() as u64 && !words.is_empty() {
        words.push("…".into());
    }
    words.join(", ")
}

/// A table without lines, as wide as its content: made to be read and to be cut by other programs.
pub fn table(heads: &[String], rows: Vec<Vec<String>>, numbers: &[usize]) -> String {
    let mut table = plain_table(rows);
    table.set_header(heads);
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    trimmed(&table)
}

/// Names and values, one pair a line.
pub fn facts(rows: Vec<Vec<String>>) -> String {
    trimmed(&plain_table(rows))
}

fn plain_table(rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Text of a model or a dataset without the control characters that would move the cursor or recolour the
/// terminal; line breaks and tabs stay.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        // Nor what turns the direction of writing round, so that a name reads as another.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        _ if c.is_control() => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([bytes(1023), bytes(3 << 29), bytes(1 << 50)], ["1023 B", "1.50 GiB", "1024.00 TiB"]);
        assert_eq!(parameters(60_400_000), "60.4 M");
        assert_eq!(parameters(999), "999");
        assert_eq!(parameters(8_030_261_248), "8.03 B");
        assert_eq!(clock(Some(3723.4)), "1:02:03");
        assert_eq!(clock(Some(59.6)), "1:00");
        assert_eq!(clock(Some(f64::NAN)), "–");
        assert_eq!(clock(None), "–");
        assert_eq!(rows(&[4, 5], 2), "4, 5");
        assert_eq!(rows(&[4, 5], 9), "4, 5, …");
    }

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{202e}b\u{2069}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(printable("a\x1b[31m\r\n\t我"), "a\u{fffd}[31m\u{fffd}\n\t我");
    }

    #[test]
    fn a_table_lines_up_chinese_too() {
        let made = table(&["名称".into(), "n".into()], vec![vec!["ab".into(), "10".into()]], &[1]);
        assert_eq!(made, "名称   n\nab    10");
    }
}

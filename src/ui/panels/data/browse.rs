//! Going through rows: all of them, those of a finding, or those that were found.

use protocol::{FindingKind, Severity, Text, Verdict};

use crate::state::data::Finds;
use crate::words::data as words;

/// Rows asked for at once.
pub const PAGE: u64 = 50;
/// When fewer rows than this are left before the page's edge, the next page is asked for.
const AHEAD: u64 = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    Finding(FindingKind),
    Found,
    /// Rows that an analysis found.
    Picked,
}

/// The rows of one kind of finding, over all files.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    pub kind: FindingKind,
    pub severity: Severity,
    pub count: u64,
    /// 0-based over all files, ascending: the first hundred of each file.
    pub rows: Vec<u64>,
}

/// The findings that name rows, one entry a kind.
pub fn marked(verdict: &Verdict) -> Vec<Marked> {
    let mut all: Vec<Marked> = Vec::new();
    for finding in verdict.findings.iter().filter(|finding| !finding.rows.is_empty()) {
        let first = first_row(verdict, finding);
        let rows = finding.rows.iter().map(|row| first + row.saturating_sub(1));
        match all.iter_mut().find(|marked| marked.kind == finding.kind) {
            Some(marked) => {
                marked.count += finding.count;
                if finding.severity as u8 > marked.severity as u8 {
                    marked.severity = finding.severity;
                }
                marked.rows.extend(rows);
            }
            None => all.push(Marked {
                kind: finding.kind,
                severity: finding.severity,
                count: finding.count,
                rows: rows.collect(),
            }),
        }
    }
    for marked in &mut all {
        marked.rows.sort_unstable();
        marked.rows.dedup();
    }
    all
}

/// The index of the first row of a finding's file: where there are several files, a finding's text begins with the
/// name of its own, and its rows are counted from there.
pub fn first_row(verdict: &Verdict, finding: &protocol::Finding) -> u64 {
    if verdict.sources.len() < 2 {
        return 0;
    }
    let mut first = 0;
    for source in &verdict.sources {
        let name = source.file.file_name().unwrap_or(source.file.as_os_str()).to_string_lossy();
        let named = finding.text.en.strip_prefix(name.as_ref()).is_some_and(|rest| rest.starts_with(": "));
        if named {
            return first;
        }
        first += source.rows;
    }
    0
}

/// A word for a kind of finding, for its chip.
pub fn kind_name(kind: FindingKind) -> &'static Text {
    match kind {
        FindingKind::TooLong => &words::TOO_LONG,
        FindingKind::LongSource => &words::LONG_SOURCE,
        FindingKind::LongTarget => &words::LONG_TARGET,
        FindingKind::Escaped => &words::ESCAPED,
        FindingKind::NoLabels => &words::NO_LABELS,
        FindingKind::EmptyAnswer => &words::EMPTY_ANSWER,
        FindingKind::Duplicate => &words::DUPLICATE,
        FindingKind::Leak => &words::LEAK,
        FindingKind::NoEndToken => &words::NO_END,
        FindingKind::BadRow => &words::BAD_ROW,
        FindingKind::BadTokenId => &words::BAD_ID,
        // These name no rows.
        FindingKind::PadIsEos
        | FindingKind::Empty
        | FindingKind::Vocabulary
        | FindingKind::Padding
        | FindingKind::Joined
        | FindingKind::Files => &words::VERDICT,
    }
}

/// The rows a filter lets through; None: all.
pub fn rows_of(
    filter: Filter,
    marked: &[Marked],
    finds: Option<&Finds>,
    picked: Option<&[u64]>,
) -> Option<Vec<u64>> {
    match filter {
        Filter::All => None,
        Filter::Finding(kind) => {
            marked.iter().find(|marked| marked.kind == kind).map(|marked| marked.rows.clone())
        }
        Filter::Picked => picked.map(<[u64]>::to_vec),
        Filter::Found => finds.map(|finds| finds.rows.iter().map(|row| row.saturating_sub(1)).collect()),
    }
}

/// The row `by` steps on, within `rows` (ascending) or all of `total`.
pub fn step(current: u64, by: i64, rows: Option<&[u64]>, total: Option<u64>) -> u64 {
    match rows {
        Some([]) => current,
        Some(rows) => {
            // Between two rows of the filter, a step goes to the nearer one on that side.
            let at = rows.partition_point(|row| *row < current) as i64;
            let on = rows.get(at as usize) == Some(&current);
            let at = if by > 0 && !on { at + by - 1 } else { at + by };
            rows[at.clamp(0, rows.len() as i64 - 1) as usize]
        }
        None => {
            let last = total.map_or(u64::MAX, |total| total.saturating_sub(1));
            current.saturating_add_signed(by).min(last)
        }
    }
}

/// The page to ask for so that `current` and its neighbours are there: first row and number of rows. `page` is what
/// is there (first row, rows), `asked` what is under way.
pub fn wanted_page(
    current: u64,
    page: (u64, u64),
    total: Option<u64>,
    asked: Option<u64>,
) -> Option<(u64, u64)> {
    let covers = |(first, rows): (u64, u64), row: u64| (first..first.saturating_add(rows)).contains(&row);
    let last = total.map(|total| total.saturating_sub(1));
    let ahead = last.map_or(current + AHEAD, |last| last.min(current + AHEAD));
    let behind = current.saturating_sub(AHEAD);
    // A page shorter than what was asked for ends the data.
    let ahead = if total.is_none() && page.1 < PAGE && covers(page, current) { current } else { ahead };
    if covers(page, behind) && covers(page, ahead) && covers(page, current) {
        return None;
    }
    if asked.is_some_and(|first| covers((first, PAGE), current)) {
        return None;
    }
    Some((current.saturating_sub(PAGE / 2), PAGE))
}

#[cfg(test)]
mod tests {
    use protocol::{Finding, Histogram, SourceReport};

    use super::*;

    #[test]
    fn steps_stay_within_the_data_and_the_filter() {
        assert_eq!(step(0, -1, None, Some(10)), 0);
        assert_eq!(step(8, 5, None, Some(10)), 9);
        assert_eq!(step(8, 5, None, None), 13);
        let rows = [3, 7, 20];
        assert_eq!(step(7, 1, Some(&rows), Some(30)), 20);
        assert_eq!(step(7, -1, Some(&rows), Some(30)), 3);
        assert_eq!(step(5, 1, Some(&rows), Some(30)), 7);
        assert_eq!(step(5, -1, Some(&rows), Some(30)), 3);
        assert_eq!(step(25, 1, Some(&rows), Some(30)), 20);
        assert_eq!(step(25, -1, Some(&rows), Some(30)), 20);
        assert_eq!(step(4, 1, Some(&[]), Some(30)), 4);
    }

    #[test]
    fn pages_are_asked_for_before_they_are_needed_and_once() {
        assert_eq!(wanted_page(10, (0, 50), Some(400), None), None);
        assert_eq!(wanted_page(45, (0, 50), Some(400), None), Some((20, 50)));
        assert_eq!(wanted_page(45, (0, 50), Some(400), Some(20)), None);
        assert_eq!(wanted_page(49, (0, 50), Some(50), None), None);
        assert_eq!(wanted_page(300, (0, 50), None, None), Some((275, 50)));
        assert_eq!(wanted_page(22, (20, 50), Some(400), None), Some((0, 50)));
        // The end of the data, not yet counted.
        assert_eq!(wanted_page(5, (0, 7), None, None), None);
    }

    #[test]
    fn findings_of_several_files_are_rows_of_the_whole() {
        let source = |name: &str, rows| SourceReport {
            file: name.into(),
            container: "jsonl".into(),
            format: "alpaca".into(),
            reason: Text::fixed("", ""),
            rows,
            bytes: 1,
            weight: 1.0,
            tokens: 0,
            share: None,
        };
        let finding = |text: &'static str, rows: &[u64]| Finding {
            kind: FindingKind::TooLong,
            severity: Severity::Warning,
            count: rows.len() as u64,
            rows: rows.to_vec(),
            text: Text::fixed(text, text),
            mend: None,
            remedies: Vec::new(),
        };
        let mut verdict = Verdict {
            sources: vec![source("/x/a.jsonl", 100), source("/x/b.jsonl", 50)],
            template: None,
            template_reason: None,
            rows: 150,
            usable_rows: 150,
            validation_rows: 0,
            tokens: 1,
            learned_tokens: 1,
            longest: 1,
            max_length: 1,
            lengths: Histogram::default(),
            findings: vec![finding("b.jsonl: long", &[2, 9]), finding("a.jsonl: long", &[7])],
            forecast: None,
            steps: 1,
            padding: None,
            ok: true,
        };
        let all = marked(&verdict);
        assert_eq!((all[0].rows.clone(), all[0].count), (vec![6, 101, 108], 3));
        verdict.sources.truncate(1);
        assert_eq!(marked(&verdict)[0].rows, [1, 6, 8]);
    }
}

//! Evaluations that were made: found again, and written side by side.

use std::path::{Path, PathBuf};

use protocol::{Measured, Result, SuiteLevel, SuiteMetric, SuiteReport, Text, UserError, text};

use super::folder::{FOLDER, REPORT, report};
use crate::files::AtomicFile;

/// Reports in a folder of runs, in a run's folder or in one with evaluations, newest first. One that cannot be read is
/// left out.
///
/// # Errors
/// When the folder cannot be listed.
pub fn list(dir: &Path) -> Result<Vec<SuiteReport>> {
    let mut places = vec![dir.to_path_buf(), dir.join(FOLDER)];
    places.extend(folders(dir)?.into_iter().map(|run| run.join(FOLDER)));
    let mut found: Vec<PathBuf> = vec![dir.to_path_buf()];
    for place in places {
        found.extend(folders(&place)?);
    }
    found.sort();
    found.dedup();
    let read = |dir: &PathBuf| {
        report(dir).unwrap_or_else(|err| {
            tracing::warn!("an evaluation is left out of the list: {err}");
            None
        })
    };
    let mut reports: Vec<SuiteReport> =
        found.iter().filter(|dir| dir.join(REPORT).is_file()).filter_map(read).collect();
    let time = |report: &SuiteReport| chrono::DateTime::parse_from_rfc3339(&report.when).ok();
    reports.sort_by(|a, b| (time(b), &b.dir).cmp(&(time(a), &a.dir)));
    Ok(reports)
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err)
            if matches!(err.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(err) => return Err(UserError::io(Text::fixed("list the evaluations", "列出评测"), dir, &err)),
    };
    let shown = |path: &PathBuf| {
        path.is_dir() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(shown).collect())
}

/// The heads of a table of figures.
const HEADS: &str = "suite,when,model,adapters,level,name,items,metric,base,base_low,base_high,tuned,tuned_low,\
    tuned_high,difference,difference_low,difference_high,groups";

/// Writes reports as one table: every figure a line as CSV, or a Markdown table for reading.
///
/// # Errors
/// When a folder holds no report, the name says neither, or the file cannot be written.
pub fn write(dirs: &[PathBuf], out: &Path) -> Result<()> {
    let read = |dir: &PathBuf| {
        report(dir)?.ok_or_else(|| {
            UserError::bad_input(Text::fixed("There is no finished evaluation here", "此处没有已完成的评测"))
                .in_file(dir)
                .mend(text!("name a folder with {REPORT}", "请指定含有 {REPORT} 的文件夹"))
        })
    };
    let reports = dirs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let ending = out.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let table = match ending.as_str() {
        "csv" => as_csv(&reports),
        "md" | "markdown" => as_markdown(&reports),
        _ => {
            return Err(UserError::bad_input(Text::fixed(
                "The name does not say which kind of table it is to be",
                "文件名没有说明表格的类型",
            ))
            .in_file(out)
            .mend(Text::fixed("let it end in .csv or .md", "请以 .csv 或 .md 结尾")));
        }
    };
    AtomicFile::write(out, table.as_bytes())
}

/// A metric of a line of a report.
struct Figure<'a> {
    report: &'a SuiteReport,
    level: SuiteLevel,
    name: &'a str,
    groups: &'a [String],
    items: u64,
    metric: &'a SuiteMetric,
}

fn figures(reports: &[SuiteReport]) -> impl Iterator<Item = Figure<'_>> {
    let rows = reports.iter().flat_map(|report| report.rows.iter().map(move |row| (report, row)));
    rows.flat_map(|(report, row)| {
        row.metrics.iter().map(move |metric| Figure {
            report,
            level: row.level,
            name: &row.name,
            groups: &row.groups,
            items: row.items,
            metric,
        })
    })
}

fn as_csv(reports: &[SuiteReport]) -> String {
    let mut lines = vec![HEADS.to_owned()];
    for Figure { report, level, name, groups, items, metric } in figures(reports) {
        let mut fields = vec![
            report.suite.clone(),
            report.when.clone(),
            report.model.display().to_string(),
            names(&report.adapters),
            level_name(level).to_owned(),
            name.to_owned(),
            items.to_string(),
            metric.name.clone(),
        ];
        for measured in [metric.base, metric.tuned, metric.difference] {
            let parts = measured.map(|Measured { value, low, high }| [value, low, high]);
            fields.extend(parts.map_or([const { String::new() }; 3], |parts| parts.map(number)));
        }
        // Behind what was there before.
        fields.push(groups.join("; "));
        lines.push(fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(","));
    }
    lines.join("\n") + "\n"
}

fn as_markdown(reports: &[SuiteReport]) -> String {
    let mut text = String::from(
        "| suite | name | group | items | metric | base | tuned | difference |\n|---|---|---|---:|---|---:|---:|---:|\n",
    );
    for Figure { report, level, name, groups, items, metric } in figures(reports) {
        let cell = |measured: Option<Measured>| measured.map_or_else(|| "–".to_owned(), interval);
        let name =
            if level == SuiteLevel::Total { format!("**{}**", cell_text(name)) } else { cell_text(name) };
        text.push_str(&format!(
            "| {} | {name} | {} | {items} | {} | {} | {} | {} |\n",
            cell_text(&report.suite),
            cell_text(&groups.join(", ")),
            metric.name,
            cell(metric.base),
            cell(metric.tuned),
            cell(metric.difference),
        ));
    }
    for report in reports {
        let settings = serde_json::Value::Object(report.settings.clone());
        text.push_str(&format!(
            "\n{}: {}, data {} ({}), model {}{}, settings `{settings}`, limit {}. 95 % confidence intervals in brackets.\n",
            report.suite,
            report.when,
            report.data.display(),
            report.data_hash.get(..12).unwrap_or(&report.data_hash),
            report.model.display(),
            if report.adapters.is_empty() { String::new() } else { format!(" + {}", names(&report.adapters)) },
            report.limit,
        ));
    }
    text
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

fn level_name(level: SuiteLevel) -> &'static str {
    match level {
        SuiteLevel::Total => "total",
        SuiteLevel::Group => "group",
        SuiteLevel::Subject => "subject",
    }
}

/// What is no number is left empty.
fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

fn interval(Measured { value, low, high }: Measured) -> String {
    if low.is_finite() && high.is_finite() {
        format!("{value:.4} [{low:.4}, {high:.4}]")
    } else {
        format!("{value:.4}")
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A bar would end the cell, and a line end the table.
fn cell_text(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::folder::write_report;
    use protocol::SuiteRow;

    fn made(dir: &Path, suite: &str, when: &str) -> SuiteReport {
        let measured = |value: f64| Some(Measured { value, low: value - 0.1, high: f64::NAN });
        let metric = SuiteMetric {
            name: "acc".into(),
            higher_is_better: true,
            base: measured(0.5),
            tuned: measured(0.75),
            difference: None,
        };
        let row = SuiteRow {
            level: SuiteLevel::Total,
            name: "a,\"b|".into(),
            groups: vec![],
            items: 4,
            metrics: vec![metric],
        };
        let mut subject = row.clone();
        (subject.level, subject.name) = (SuiteLevel::Subject, "law".into());
        subject.groups = vec!["Humanities".into(), "Hard".into()];
        let report = SuiteReport {
            suite: suite.into(),
            data: "d".into(),
            data_hash: "0123456789abcdef".into(),
            model: "m".into(),
            adapters: vec!["x".into()],
            settings: serde_json::Map::new(),
            limit: 0,
            when: when.into(),
            dir: dir.to_path_buf(),
            rows: vec![row, subject],
            seconds: 1.0,
            notes: vec![],
        };
        write_report(&report).unwrap();
        report
    }

    #[test]
    fn reports_of_runs_and_beside_them_are_found_newest_first() {
        let root = tempfile::tempdir().unwrap();
        let first = root.path().join("evals/mmlu-1");
        let second = root.path().join("run-a/evals/blimp-1");
        made(&first, "mmlu", "2026-01-02T03:04:05+08:00");
        made(&second, "blimp", "2026-01-01T23:04:05+00:00");
        std::fs::create_dir_all(root.path().join("run-b/evals/broken")).unwrap();
        std::fs::write(root.path().join("run-b/evals/broken/report.json"), "{").unwrap();
        let suites =
            |dir: &Path| list(dir).unwrap().into_iter().map(|report| report.suite).collect::<Vec<_>>();
        assert_eq!(suites(root.path()), ["blimp", "mmlu"]);
        assert_eq!(suites(&root.path().join("run-a")), ["blimp"]);
        assert_eq!(suites(&first), ["mmlu"]);
        assert!(suites(&root.path().join("nowhere")).is_empty());
    }

    #[test]
    fn tables_for_programs_and_for_people() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("one");
        made(&dir, "mmlu", "2026-01-02T03:04:05+08:00");
        let read = |name: &str| {
            let out = root.path().join(name);
            write(std::slice::from_ref(&dir), &out).map(|()| std::fs::read_to_string(out).unwrap())
        };
        let csv = read("t.csv").unwrap();
        let row = csv.lines().nth(1).unwrap();
        assert_eq!(
            row,
            "mmlu,2026-01-02T03:04:05+08:00,m,x,total,\"a,\"\"b|\",4,acc,0.5,0.4,,0.75,0.65,,,,,"
        );
        assert!(
            csv.lines()
                .nth(2)
                .unwrap()
                .ends_with(",subject,law,4,acc,0.5,0.4,,0.75,0.65,,,,,Humanities; Hard"),
            "{csv}"
        );
        assert_eq!(csv.lines().next().unwrap().split(',').count(), 18);
        let markdown = read("t.md").unwrap();
        assert!(
            markdown.contains("| mmlu | **a,\"b\\|** |  | 4 | acc | 0.5000 | 0.7500 | – |"),
            "{markdown}"
        );
        assert!(markdown.contains("| mmlu | law | Humanities, Hard | 4 | acc |"), "{markdown}");
        assert_eq!(read("t.txt").unwrap_err().exit_code(), 2);
        assert_eq!(write(&[root.path().join("none")], &root.path().join("t.md")).unwrap_err().exit_code(), 2);
    }
}

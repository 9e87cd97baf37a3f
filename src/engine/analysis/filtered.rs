//! The rows that are kept, as they stand in their files, and beside them why the others are not.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use data::analysis::{Filter, Reason};
use data::sources::{Row, RowValue};
use data::{Dataset, Progress};
use protocol::{FilterReport, Result, Text, UserError};
use serde_json::{Value, json};

use crate::files::{AtomicFile, write_error};

/// Where the two files go. Neither may be there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    pub out: PathBuf,
    pub reasons: PathBuf,
}

impl Outputs {
    /// # Errors
    /// When there is no name for a file, or one of the files exists.
    pub fn beside(out: &Path) -> Result<Self> {
        let stem = out.file_stem().filter(|_| out.extension().is_some_and(|extension| extension == "jsonl"));
        let Some(name) = stem.or(out.file_name()) else {
            return Err(UserError::bad_input(Text::fixed(
                "The filtered file has no name",
                "未指定过滤结果的文件名",
            )));
        };
        let mut name = name.to_owned();
        name.push(".reasons.jsonl");
        let outputs = Self { out: out.to_path_buf(), reasons: out.with_file_name(name) };
        outputs.refuse_existing()?;
        Ok(outputs)
    }

    fn refuse_existing(&self) -> Result<()> {
        match [&self.out, &self.reasons].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(UserError::bad_input(Text::fixed(
                "The file is there already, and is not overwritten",
                "文件已存在，不会覆盖",
            ))
            .in_file(path)
            .mend(Text::fixed("choose another name, or remove it", "请换一个名称，或先删除它"))),
            None => Ok(()),
        }
    }
}

/// Writes both files; they appear when they are whole.
///
/// # Errors
/// When the disk fails, a file of the name has appeared, a row cannot be read any more, or it was stopped.
pub fn write(
    filter: &Filter<'_>,
    dataset: &Dataset,
    outputs: &Outputs,
    progress: &dyn Progress,
) -> Result<FilterReport> {
    let mut report = FilterReport {
        out: outputs.out.clone(),
        reasons: outputs.reasons.clone(),
        ..FilterReport::default()
    };
    let (mut kept, mut reasons) = (AtomicFile::create(&outputs.out)?, AtomicFile::create(&outputs.reasons)?);
    {
        let mut kept = Lines { to: BufWriter::new(kept.file()), path: &outputs.out };
        let mut reasons = Lines { to: BufWriter::new(reasons.file()), path: &outputs.reasons };
        filter.each(progress, &mut |index, row, reason| match (reason, row) {
            (Some(reason), _) => {
                count(&mut report, &reason.kind);
                reasons.write(&why(dataset, index, &reason)?)
            }
            (None, Some(row)) => {
                report.kept += 1;
                kept.write(&content(row))
            }
            (None, None) => dataset.row(index).map(drop),
        })?;
        kept.flush()?;
        reasons.flush()?;
    }
    outputs.refuse_existing()?;
    reasons.commit()?;
    kept.commit()?;
    report.dropped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(report)
}

fn count(report: &mut FilterReport, kind: &Text) {
    match report.dropped.iter_mut().find(|(known, _)| known == kind) {
        Some((_, count)) => *count += 1,
        None => report.dropped.push((kind.clone(), 1)),
    }
}

fn content(row: Row) -> Value {
    match row.value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => json!({ "text": text }),
    }
}

fn why(dataset: &Dataset, index: usize, reason: &Reason) -> Result<Value> {
    let (file, file_row) = dataset.place(index)?;
    let told = json!({ "en": reason.told.en, "zh": reason.told.zh });
    Ok(json!({ "row": index + 1, "file": file, "file_row": file_row, "reason": reason.id, "told": told }))
}

/// JSON values, one a line.
struct Lines<'a> {
    to: BufWriter<&'a mut File>,
    path: &'a Path,
}

impl Lines<'_> {
    fn write(&mut self, value: &Value) -> Result<()> {
        let written = serde_json::to_writer(&mut self.to, value).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|err| write_error(self.path, 0, &err))
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|err| write_error(self.path, 0, &err))
    }
}

//! A dataset in another format.

use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data::{Conversion, Dataset, Unencoded};
use protocol::config::Validation;
use protocol::{Control, ConvertRequest, Event, RequestId, Result, RunConfig, Text, UserError};

use super::{Desk, Reporter};
use crate::files::{AtomicFile, write_error};
use crate::plan::absolute;
use crate::sink::Sink;

/// Ids of the formats that can be written.
pub fn written_formats() -> Vec<String> {
    data::formats::written()
}

/// Rows before and after; of a large file the first ones come before it is counted.
pub fn preview_conversion(
    request: RequestId,
    wanted: &ConvertRequest,
    rows: Range<u64>,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let config = training_files(wanted);
    let dataset = {
        let reporter = Reporter::new(request, control, sink);
        let head = desk.library.glance(&config.data, &wanted.base, Arc::new(Unencoded), &reporter)?;
        match head.is_whole() || rows.end <= head.len() as u64 {
            true => head,
            false => whole(&config, wanted, desk, &reporter)?,
        }
    };
    let conversion = Conversion::new(&dataset, &wanted.to)?;
    let rows = conversion.rows(rows.start, rows.end.saturating_sub(rows.start));
    sink.emit(Event::Conversion { request, rows });
    Ok(())
}

/// Writes every row; the file appears when it is whole.
pub fn convert(
    request: RequestId,
    wanted: &ConvertRequest,
    out: &Path,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let config = training_files(wanted);
    refuse_input(out, &config)?;
    let reporter = Reporter::apart(request, control, sink);
    let dataset = whole(&config, wanted, desk, &reporter)?;
    let conversion = Conversion::new(&dataset, &wanted.to)?;
    let mut file = AtomicFile::create(out)?;
    let mut report = {
        let mut buffer = BufWriter::with_capacity(1 << 20, file.file());
        let mut bytes = 0;
        let mut put = |line: &[u8]| {
            bytes += line.len() as u64;
            buffer.write_all(line).map_err(|err| write_error(out, bytes, &err))
        };
        let report = conversion.run(&mut put, &reporter)?;
        buffer.flush().map_err(|err| write_error(out, report.bytes, &err))?;
        report
    };
    if report.rows == 0 {
        return Err(nothing(&report.notes, &wanted.to));
    }
    file.commit()?;
    report.out = out.to_path_buf();
    sink.emit(Event::Converted { request, report: Box::new(report) });
    Ok(())
}

/// Only the training files are converted: validation rows are for a run to draw.
fn training_files(wanted: &ConvertRequest) -> RunConfig {
    let mut config = absolute((*wanted.config).clone(), &wanted.base);
    config.data.validation = Validation::Fraction(0.0);
    config
}

fn whole(
    config: &RunConfig,
    wanted: &ConvertRequest,
    desk: &mut Desk,
    reporter: &Reporter<'_>,
) -> Result<Dataset> {
    desk.library.dataset(&config.data, &wanted.base, Arc::new(Unencoded), reporter)
}

/// The file that is read would be replaced.
fn refuse_input(out: &Path, config: &RunConfig) -> Result<()> {
    let Ok(out) = out.canonicalize() else { return Ok(()) };
    let is_input =
        config.data.train.iter().filter_map(|file| file.canonicalize().ok()).any(|file| file == out);
    if !is_input {
        return Ok(());
    }
    Err(UserError::bad_input(Text::fixed(
        "The output file is one of the files that are converted",
        "输出文件就是要转换的文件之一",
    ))
    .in_file(&out)
    .mend(Text::fixed("choose another name", "请换一个名称")))
}

fn nothing(why: &[Text], to: &str) -> UserError {
    UserError::bad_input(protocol::text!("No row can be written as `{to}`", "没有一行可以写成 `{to}`"))
        .details(why.iter().map(ToString::to_string))
        .mend(Text::fixed("choose another format", "请选择其他格式"))
}

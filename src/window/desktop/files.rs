//! Files that the window writes.

use std::io::BufWriter;
use std::path::Path;

use engine::files::AtomicFile;
use protocol::{Result, Text, UserError};
use ui::{DesktopEvent, DesktopRequest};

use super::Answers;
use super::dropped::classify;

pub fn perform(request: DesktopRequest, answers: &Answers) {
    let (path, written) = match request {
        DesktopRequest::WriteText { path, text } => {
            let written = AtomicFile::write(&path, text.as_bytes());
            (path, written)
        }
        DesktopRequest::WritePng { path, width, height, rgba } => {
            let written = write_png(&path, width, height, &rgba);
            (path, written)
        }
        DesktopRequest::Classify(paths) => {
            return answers.tell(DesktopEvent::Classified(paths.into_iter().map(classify).collect()));
        }
        _ => return,
    };
    match written {
        Ok(()) => answers.tell(DesktopEvent::Written(path)),
        Err(error) => answers.failed(error),
    }
}

/// `rgba`: 8 bits a channel, row by row.
fn write_png(path: &Path, width: usize, height: usize, rgba: &[u8]) -> Result<()> {
    let failed = |reason: String| {
        let what = Text::fixed("The picture could not be written", "无法写入图片");
        UserError::failure(what).detail(reason).in_file(path)
    };
    let wanted = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(4));
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(failed(format!("{width} × {height} pixels")));
    };
    if wanted != Some(rgba.len()) {
        return Err(failed(format!("{} bytes for {width} × {height} pixels", rgba.len())));
    }
    let mut file = AtomicFile::create(path)?;
    let mut encoder = png::Encoder::new(BufWriter::new(file.file()), columns, rows);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|err| failed(err.to_string()))?;
    writer.write_image_data(rgba).map_err(|err| failed(err.to_string()))?;
    writer.finish().map_err(|err| failed(err.to_string()))?;
    file.commit()
}

//! What the user sees: results on stdout, words and progress on stderr.

use std::io::{self, IsTerminal, Write};

use protocol::{Language, Result, Text, Unit, UserError};
use serde::Serialize;

use super::format;
use super::status::{self, StatusLine};

/// Both streams. A reader that goes away is remembered, never a panic.
pub struct Screen {
    language: Language,
    json: bool,
    /// The first write to stdout that failed; nothing is written after it.
    fault: Option<io::Error>,
    status: StatusLine,
}

impl Screen {
    pub fn new(status: StatusLine, language: Language, json: bool) -> Self {
        Self { language, json, fault: None, status }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks at stdout, so that colours and escapes mean something.
    pub fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether progress is drawn in place.
    pub fn shows_progress(&self) -> bool {
        self.status.is_shown()
    }

    /// The text in the user's language.
    pub fn pick(&self, text: &Text) -> String {
        text.get(self.language).to_owned()
    }

    /// A line on stdout.
    pub fn line(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// A piece of a line on stdout, seen at once.
    pub fn piece(&mut self, text: &str) {
        self.write(text);
    }

    /// A JSON line on stdout.
    pub fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => self.line(&line),
            Err(err) => self.fault = self.fault.take().or(Some(err.into())),
        }
    }

    fn write(&mut self, text: &str) {
        if self.fault.is_some() {
            return;
        }
        let written = self.status.above(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        self.fault = written.err();
    }

    /// A line on stderr, above the progress line. If even stderr is gone, there is nobody left to tell.
    pub fn say(&self, line: &str) {
        self.status.above(|| writeln!(io::stderr(), "{line}").ok());
    }

    /// A sentence on stderr in the user's language.
    pub fn tell(&self, text: &Text) {
        self.say(text.get(self.language));
    }

    /// Whether stdout can no longer be written.
    pub fn unread(&self) -> bool {
        self.fault.is_some()
    }

    /// # Errors
    /// When something could not be written to stdout, except to a reader that had seen enough.
    pub fn close(&mut self) -> Result<()> {
        match self.fault.take() {
            Some(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(UserError::failure(Text::new(
                format!("Could not write to standard output: {err}"),
                format!("无法写入标准输出：{err}"),
            ))),
            _ => Ok(()),
        }
    }

    /// Asks for input, on stderr.
    pub fn prompt(&self, text: &str) {
        self.status.above(|| write!(io::stderr(), "{text}").ok());
    }

    /// Shows how far long work has come. `total` 0 means unknown.
    pub fn progress(&self, stage: &Text, [done, total]: [u64; 2], unit: Unit, seconds_left: Option<f64>) {
        let left = seconds_left.map_or_else(String::new, |left| format::clock(Some(left)));
        match total {
            0 => self.status.set(|_| format!("{} {}", self.pick(stage), amount(done, unit))),
            _ => self.bar(&self.pick(stage), [done, total], unit, &left),
        }
    }

    /// A bar in place: `before`, the bar, the counts, `after`.
    pub fn bar(&self, before: &str, [done, total]: [u64; 2], unit: Unit, after: &str) {
        const NARROWEST: usize = 10;
        self.status.set(|width| {
            let counts = format!("{}/{} {after}", amount(done, unit), amount(total, unit));
            let words = console::measure_text_width(before) + console::measure_text_width(&counts) + 2;
            let bar = status::bar(done, total, width.saturating_sub(words).max(NARROWEST));
            format!("{before} {bar} {counts}").trim().to_owned()
        });
    }

    pub fn clear_progress(&self) {
        self.status.clear();
    }
}

fn amount(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => format::count(value),
        Unit::Bytes => format::bytes(value),
    }
}

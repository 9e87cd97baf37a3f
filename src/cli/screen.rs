//! What the user sees: results on stdout, words and progress on stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use protocol::{Language, Result, Text, UserError};
use serde::Serialize;

use super::format;

/// Both streams. A reader that goes away is remembered, never a panic.
pub struct Screen {
    language: Language,
    json: bool,
    /// The first write to stdout that failed; nothing is written after it.
    fault: Option<io::Error>,
    bars: MultiProgress,
    bar: Option<ProgressBar>,
}

impl Screen {
    pub fn new(bars: MultiProgress, language: Language, json: bool) -> Self {
        Self { language, json, fault: None, bars, bar: None }
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

    /// Whether progress bars are drawn.
    pub fn shows_bars(&self) -> bool {
        !self.bars.is_hidden()
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
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        self.fault = written.err();
    }

    /// A line on stderr, above the progress bar. If even stderr is gone, there is nobody left to tell.
    pub fn say(&self, line: &str) {
        self.bars.suspend(|| writeln!(io::stderr(), "{line}").ok());
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

    /// Shows how far long work has come. `total` 0 means unknown.
    pub fn progress(&mut self, stage: &Text, done: u64, total: u64, seconds_left: Option<f64>) {
        let stage = self.pick(stage);
        let bar = match &self.bar {
            Some(bar) => bar,
            None => self.bar.insert(self.bars.add(ProgressBar::no_length())),
        };
        bar.set_style(style(if total == 0 {
            "{spinner} {msg} {human_pos}"
        } else {
            "{msg} {wide_bar} {human_pos}/{human_len} {prefix}"
        }));
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.set_message(stage);
        bar.set_prefix(seconds_left.map_or_else(String::new, |left| format::clock(Some(left))));
    }

    /// A bar of its own for a run, on which `template` says what is shown.
    pub fn add_bar(&mut self, template: &str, total: u64) -> ProgressBar {
        self.clear_progress();
        let bar = self.bars.add(ProgressBar::new(total).with_style(style(template)));
        // The spinner shows life while a slow step is under way.
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar.insert(bar).clone()
    }

    pub fn clear_progress(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

/// Templates are the program's own; one that does not parse falls back to the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

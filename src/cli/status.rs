//! One line at the foot of the terminal, redrawn in place. Whatever else is written to the terminal goes above it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::Term;

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// A handle; its clones draw the same line.
#[derive(Clone)]
pub struct StatusLine(Arc<Mutex<Foot>>);

struct Foot {
    terminal: Term,
    /// What is drawn, if something is.
    line: Option<String>,
    drawn_at: Option<Instant>,
}

impl StatusLine {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Foot { terminal: Term::stderr(), line: None, drawn_at: None })))
    }

    /// Whether there is a terminal to draw on.
    pub fn is_shown(&self) -> bool {
        self.foot().terminal.is_term()
    }

    /// Draws the line that `compose` makes for a width in columns, unless one was drawn a moment ago.
    pub fn set(&self, compose: impl FnOnce(usize) -> String) {
        let mut foot = self.foot();
        if !foot.terminal.is_term() || foot.drawn_at.is_some_and(|last| last.elapsed() < REDRAW_EVERY) {
            return;
        }
        // The last column stays free: some terminals go to the next line when it is filled.
        let width = usize::from(foot.terminal.size().1).saturating_sub(1);
        let line = console::truncate_str(&compose(width), width, "…").into_owned();
        foot.erase();
        foot.line = Some(line);
        foot.draw();
    }

    /// Takes the line away.
    pub fn clear(&self) {
        let mut foot = self.foot();
        foot.erase();
        foot.line = None;
        foot.drawn_at = None;
    }

    /// Writes something above the line.
    pub fn above<R>(&self, write: impl FnOnce() -> R) -> R {
        let mut foot = self.foot();
        foot.erase();
        let result = write();
        foot.draw();
        result
    }

    /// A writer that was interrupted by a panic leaves nothing that the next one could not draw over.
    fn foot(&self) -> MutexGuard<'_, Foot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When even stderr is gone, there is nobody to draw for: errors are of no use here.
impl Foot {
    fn erase(&self) {
        if self.line.is_some() {
            self.terminal.clear_line().ok();
        }
    }

    fn draw(&mut self) {
        if let Some(line) = &self.line {
            write!(io::stderr(), "{line}").ok();
            self.drawn_at = Some(Instant::now());
        }
    }
}

/// `████░░░░`, `width` columns wide.
pub fn bar(done: u64, total: u64, width: usize) -> String {
    let part = done as f64 / total.max(1) as f64;
    let full = ((part * width as f64) as usize).min(width);
    "█".repeat(full) + &"░".repeat(width - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_its_width() {
        assert_eq!(bar(0, 4, 4), "░░░░");
        assert_eq!(bar(3, 4, 4), "███░");
        assert_eq!(bar(9, 4, 4), "████");
        assert_eq!(bar(0, 0, 2), "░░");
        assert_eq!(bar(1, 2, 0), "");
    }
}

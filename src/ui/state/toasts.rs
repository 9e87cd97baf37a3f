//! Short notices at the window's edge, kept in a list.

use protocol::{Text, UserError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Success,
    Warning,
    Error,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    pub level: Level,
    pub text: Text,
    /// The whole error, shown folded.
    pub error: Option<UserError>,
}

impl Toast {
    pub fn new(level: Level, text: Text) -> Self {
        Self { level, text, error: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub id: u64,
    pub toast: Toast,
    /// Seconds on the window's clock.
    pub since: f64,
    /// Gone from the edge; still in the list.
    pub dismissed: bool,
}

/// How many are kept.
const KEPT: usize = 100;

#[derive(Debug, Default)]
pub struct Toasts {
    pub all: Vec<Shown>,
    last: u64,
}

impl Toasts {
    pub fn push(&mut self, toast: Toast, now: f64) {
        self.last += 1;
        self.all.push(Shown { id: self.last, toast, since: now, dismissed: false });
        if self.all.len() > KEPT {
            self.all.remove(0);
        }
    }

    pub fn error(&mut self, error: &UserError, now: f64) {
        let toast = Toast { level: Level::Error, text: error.what.clone(), error: Some(error.clone()) };
        self.push(toast, now);
    }

    pub fn dismiss(&mut self, id: u64) {
        if let Some(shown) = self.all.iter_mut().find(|shown| shown.id == id) {
            shown.dismissed = true;
        }
    }
}

//! A value that the engine is asked for: it stays visible while a newer one is under way.

use protocol::{Event, RequestId, Text, Unit, UserError};

/// How far long work is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub stage: Text,
    pub done: u64,
    /// 0: unknown.
    pub total: u64,
    pub unit: Unit,
    pub seconds_left: Option<f64>,
}

impl Progress {
    /// What an event says of a request's progress, if it does.
    pub fn of(event: &Event, wanted: RequestId) -> Option<Self> {
        match event {
            Event::Progress { request, stage, done, total, unit, seconds_left } if *request == wanted => {
                let (stage, seconds_left) = (stage.clone(), *seconds_left);
                Some(Self { stage, done: *done, total: *total, unit: *unit, seconds_left })
            }
            _ => None,
        }
    }
}

/// What is known of an answer: the newest value, and the request or error that came after it.
#[derive(Clone, Debug)]
pub struct Requested<T> {
    /// Under way.
    pub request: Option<RequestId>,
    pub value: Option<T>,
    /// Why the newest request failed; the value is an older one then.
    pub error: Option<UserError>,
    pub progress: Option<Progress>,
    /// Counts the answers: what is computed from a value is computed once for each.
    pub version: u64,
}

impl<T> Default for Requested<T> {
    fn default() -> Self {
        Self { request: None, value: None, error: None, progress: None, version: 0 }
    }
}

impl<T> Requested<T> {
    /// A request was sent; answers to older ones no longer count.
    pub fn ask(&mut self, request: RequestId) {
        self.request = Some(request);
        self.progress = None;
    }

    pub fn is_pending(&self) -> bool {
        self.request.is_some()
    }

    pub fn awaits(&self, request: RequestId) -> bool {
        self.request == Some(request)
    }

    /// The answer to the newest request; an older one's is dropped.
    pub fn answer(&mut self, request: RequestId, value: T) {
        if self.awaits(request) {
            *self = Self { value: Some(value), version: self.version + 1, ..Self::default() };
        }
    }

    pub fn fail(&mut self, request: RequestId, error: &UserError) {
        if self.awaits(request) {
            self.request = None;
            self.progress = None;
            self.error = Some(error.clone());
        }
    }

    /// The request was void: nothing is known of it.
    pub fn supersede(&mut self, request: RequestId) {
        if self.awaits(request) {
            self.request = None;
            self.progress = None;
        }
    }

    /// Takes a [`Event::Progress`] of this request; others pass.
    pub fn tell_progress(&mut self, event: &Event) {
        if let Some(progress) = self.request.and_then(|request| Progress::of(event, request)) {
            self.progress = Some(progress);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { version: self.version + 1, ..Self::default() };
    }
}

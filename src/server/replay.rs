//! What a client that attaches must know of what was told before.

use protocol::{Event, RunEvent};

#[derive(Debug, Default)]
pub struct Replay {
    /// `Ready`, or why the engine could not start.
    greeting: Option<Event>,
    device: Option<Event>,
    planned: Option<Event>,
    rate: Option<Event>,
    paused: Option<Event>,
    /// How the last run ended, for the client that was not there when it did.
    ended: Option<Event>,
}

impl Replay {
    pub fn heard(&mut self, event: &Event) {
        match event {
            Event::Ready { .. } => self.greeting = Some(event.clone()),
            Event::Failed { request: None, .. } if self.greeting.is_none() => {
                self.greeting = Some(event.clone());
            }
            Event::Device { .. } => self.device = Some(event.clone()),
            Event::Run { update, .. } => self.run(event, update),
            _ => {}
        }
    }

    fn run(&mut self, event: &Event, update: &RunEvent) {
        match update {
            RunEvent::Planned { .. } => (self.planned, self.ended) = (Some(event.clone()), None),
            RunEvent::RateChanged { .. } => self.rate = Some(event.clone()),
            RunEvent::Paused { .. } => self.paused = Some(event.clone()),
            RunEvent::Resumed { .. } => self.paused = None,
            RunEvent::Ended { .. } => {
                (self.planned, self.rate, self.paused) = (None, None, None);
                self.ended = Some(event.clone());
            }
            _ => {}
        }
    }

    /// In the order in which they were told first; the end of a run only to a client that comes `again`.
    pub fn events(&self, again: bool) -> impl Iterator<Item = Event> {
        let ended = self.ended.as_ref().filter(|_| again);
        let kept = [&self.greeting, &self.device, &self.planned, &self.rate, &self.paused];
        kept.into_iter().flatten().chain(ended).cloned()
    }
}

//! Where events go: a bounded channel that the work never waits for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, TrySendError};
use protocol::{Event, RequestId, RunEvent, Text, Unit, UserError};

use crate::Waker;

/// One thread's way to the client. Events keep their order; step figures and pieces of text merge when
/// the client lags, so that nothing is lost and nothing waits.
pub struct Sink {
    events: Sender<Event>,
    waker: Waker,
    outbox: VecDeque<Event>,
    gone: Arc<AtomicBool>,
}

impl Sink {
    pub fn new(events: Sender<Event>, waker: Waker, gone: Arc<AtomicBool>) -> Self {
        Self { events, waker, outbox: VecDeque::new(), gone }
    }

    /// Tells an event, now or as soon as there is room.
    pub fn emit(&mut self, event: Event) {
        match self.outbox.back_mut() {
            Some(last) => {
                if let Some(event) = merge(last, event) {
                    self.outbox.push_back(event);
                }
            }
            None => self.outbox.push_back(event),
        }
        self.flush();
    }

    pub fn failed(&mut self, request: RequestId, error: UserError) {
        self.emit(Event::Failed { request: Some(request), error: Box::new(error) });
    }

    pub fn progress(
        &mut self,
        request: RequestId,
        stage: Text,
        done: u64,
        total: u64,
        seconds_left: Option<f64>,
    ) {
        self.emit(Event::Progress { request, stage, done, total, unit: Unit::Count, seconds_left });
    }

    /// [`progress`](Self::progress) of bytes.
    pub fn progress_in_bytes(
        &mut self,
        request: RequestId,
        stage: Text,
        done: u64,
        total: u64,
        seconds_left: Option<f64>,
    ) {
        self.emit(Event::Progress { request, stage, done, total, unit: Unit::Bytes, seconds_left });
    }

    /// Sends what fits.
    fn flush(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => (self.waker)(),
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => self.gone.store(true, Ordering::Release),
            }
        }
    }

    /// Sends everything, waiting for room: between two pieces of work, when nothing is delayed by it.
    pub fn drain(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            if self.events.send(event).is_err() {
                self.gone.store(true, Ordering::Release);
            }
            (self.waker)();
        }
    }

    /// Whether nobody listens any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Puts `event` into `last` if the two can be one; else gives it back.
fn merge(last: &mut Event, event: Event) -> Option<Event> {
    match (last, event) {
        (
            Event::Run { run: a, update: RunEvent::Stepped { steps, seconds_left }, .. },
            Event::Run { run: b, update: RunEvent::Stepped { steps: more, seconds_left: left }, .. },
        ) if *a == b => {
            steps.extend(more);
            *seconds_left = left;
            None
        }
        (Event::Delta { request: a, text, ids }, Event::Delta { request: b, text: more, ids: more_ids })
            if *a == b =>
        {
            text.push_str(&more);
            ids.extend(more_ids);
            None
        }
        (Event::Predicted { request: a, rows }, Event::Predicted { request: b, rows: more }) if *a == b => {
            rows.extend(more);
            None
        }
        (
            Event::Progress { request: a, stage, done, total, unit, seconds_left },
            Event::Progress { request: b, stage: s, done: d, total: t, unit: u, seconds_left: l },
        ) if *a == b => {
            (*stage, *done, *total, *unit, *seconds_left) = (s, d, t, u, l);
            None
        }
        // Only the newest reading counts.
        (Event::Device { stats }, Event::Device { stats: newer }) => {
            *stats = newer;
            None
        }
        (_, event) => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_lags_gets_every_piece_in_fewer_events() {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let mut sink = Sink::new(sender, Arc::new(|| {}), Arc::default());
        let request = RequestId(1);
        for index in 0..100u32 {
            sink.emit(Event::Delta { request, text: format!("{index} "), ids: vec![index] });
        }
        let reader = std::thread::spawn(move || receiver.iter().collect::<Vec<_>>());
        sink.drain();
        drop(sink);
        let events = reader.join().unwrap();
        let ids: Vec<u32> = events
            .iter()
            .flat_map(|event| match event {
                Event::Delta { ids, .. } => ids.clone(),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
        assert!(events.len() < 10);
    }

    #[test]
    fn what_lies_between_steps_stays_between_them() {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let mut sink = Sink::new(sender, Arc::new(|| {}), Arc::default());
        let run = |update| Event::Run { request: RequestId(1), run: protocol::RunId("a".into()), update };
        let stepped = || run(RunEvent::Stepped { steps: Vec::new(), seconds_left: None });
        let changed = || run(RunEvent::RateChanged { step: 3, factor: 0.5 });
        let sample = protocol::SampleMetrics { step: 3, prompt: "a".into(), answer: "b".into() };
        let sampled = || run(RunEvent::Sampled { sample: sample.clone() });
        let told = [
            stepped(),
            stepped(),
            stepped(),
            changed(),
            stepped(),
            stepped(),
            sampled(),
            sampled(),
            stepped(),
        ];
        told.into_iter().for_each(|event| sink.emit(event));
        let reader = std::thread::spawn(move || receiver.iter().collect::<Vec<_>>());
        sink.drain();
        drop(sink);
        // The first one had gone out before the client lagged.
        let expected = [stepped(), stepped(), changed(), stepped(), sampled(), sampled(), stepped()];
        assert_eq!(reader.join().unwrap(), expected);
    }
}

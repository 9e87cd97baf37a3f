//! Numbers of requests: the window's own on this side, the engine's on the other, over all connections to one engine.

use std::collections::BTreeMap;

use protocol::{Event, RequestId, Thread, Wish};

use super::errors;
use super::frames::{ToEngine, Welcome};

/// What a connection's requests were numbered by.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The engine's number of the window's 0.
    first: u64,
    /// Past the last one that was sent, by the engine's count.
    past: u64,
}

/// Tells what answers this window from what answers an earlier one, and what was never answered.
#[derive(Debug, Default)]
pub struct Numbers {
    spans: Vec<Span>,
    /// Requests without their last answer: the window's number → the engine's, and who works on it.
    open: BTreeMap<u64, (u64, Thread)>,
    /// The run that an earlier window began, by the engine's number.
    inherited: Option<RequestId>,
    /// What the engine has not answered, as it said when it welcomed this connection; none: settled.
    unsettled: Option<Vec<u64>>,
}

impl Numbers {
    /// A new connection to the same engine.
    pub fn welcomed(&mut self, welcome: &Welcome) {
        let first = welcome.first_request;
        self.spans.push(Span { first, past: first });
        self.unsettled = Some(welcome.open.clone());
    }

    /// A message as the engine is to get it.
    pub fn sent(&mut self, mut message: ToEngine) -> ToEngine {
        let Some(span) = self.spans.last_mut() else { return message };
        match &mut message {
            ToEngine::Command(command) => {
                let thread = command.thread();
                if let Some(request) = command.request_mut() {
                    let own = request.0;
                    request.0 = own.saturating_add(span.first);
                    span.past = span.past.max(request.0.saturating_add(1));
                    self.open.insert(own, (request.0, thread));
                }
            }
            ToEngine::Wish(Wish::Supersede(request) | Wish::Cancel(request)) => {
                request.0 = request.0.saturating_add(span.first);
            }
            _ => {}
        }
        message
    }

    /// The event with the window's number; none if it answers an earlier window, but for what its run tells.
    pub fn heard(&mut self, mut event: Event) -> Option<Event> {
        let (of_run, of_work) = (matches!(event, Event::Run { .. }), matches!(event, Event::Progress { .. }));
        let last = event.is_last();
        let Some(request) = event.request_mut() else { return Some(event) };
        let span = self.spans.iter().rev().find(|span| (span.first..span.past).contains(&request.0));
        match span {
            Some(span) => {
                request.0 -= span.first;
                if last {
                    self.open.remove(&request.0);
                }
            }
            None if of_run => {
                self.inherited = Some(*request);
                *request = RequestId(0);
            }
            None if of_work && self.inherited == Some(*request) => *request = RequestId(0),
            None => return None,
        }
        Some(event)
    }

    /// After the engine has repeated what a client must know: what is to be said of requests that went astray with an
    /// earlier connection.
    pub fn settle(&mut self) -> Vec<Event> {
        let (Some(alive), Some(span)) = (self.unsettled.take(), self.spans.last().copied()) else {
            return Vec::new();
        };
        let astray = |number: &u64| *number < span.first && !alive.contains(number);
        let gone: Vec<_> = self.open.iter().filter(|(_, (number, _))| astray(number)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(own, (_, thread))| (*own, *thread)).collect();
        self.open.retain(|own, _| gone.iter().all(|(astray, _)| astray != own));
        gone.into_iter().map(|(own, thread)| astray_event(RequestId(own), thread)).collect()
    }
}

/// Looks at data are asked for again by themselves.
fn astray_event(request: RequestId, thread: Thread) -> Event {
    match thread {
        Thread::Data => Event::Superseded { request },
        Thread::Work | Thread::Passes | Thread::Files | Thread::Hub => {
            Event::Failed { request: Some(request), error: Box::new(errors::answer_lost()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::Command;

    use super::*;

    fn welcome(first_request: u64, open: &[u64]) -> Welcome {
        Welcome { first_request, log: None, engine: "a".into(), open: open.to_vec() }
    }

    fn list(number: u64) -> ToEngine {
        ToEngine::Command(Box::new(Command::ListRuns { request: RequestId(number), dir: None }))
    }

    fn number(message: ToEngine) -> u64 {
        let ToEngine::Command(command) = message else { panic!("{message:?}") };
        command.request().unwrap().0
    }

    fn answer(number: u64) -> Event {
        Event::Superseded { request: RequestId(number) }
    }

    #[test]
    fn numbers_come_back_and_strangers_do_not() {
        let mut numbers = Numbers::default();
        numbers.welcomed(&welcome(100, &[]));
        assert_eq!(number(numbers.sent(list(4))), 104);
        assert_eq!(numbers.heard(answer(104)), Some(answer(4)));
        assert_eq!(numbers.heard(answer(99)), None);
        assert_eq!(numbers.heard(answer(105)), None, "never asked");
        assert_eq!(numbers.heard(Event::Stopped), Some(Event::Stopped));
        let progress = |number| Event::Progress {
            request: RequestId(number),
            stage: protocol::Text::fixed("x", "x"),
            done: 1,
            total: 2,
            unit: protocol::Unit::Count,
            seconds_left: None,
        };
        assert_eq!(numbers.heard(progress(7)), None);
        let run = |number| Event::Run {
            request: RequestId(number),
            run: protocol::RunId("a".into()),
            update: protocol::RunEvent::Paused { step: 3 },
        };
        assert_eq!(numbers.heard(run(7)), Some(run(0)));
        assert_eq!(numbers.heard(progress(7)), Some(progress(0)));
        assert_eq!(numbers.heard(progress(8)), None);
    }

    #[test]
    fn what_a_connection_asked_is_answered_over_the_next_or_said_to_be_lost() {
        let mut numbers = Numbers::default();
        numbers.welcomed(&welcome(1, &[]));
        assert_eq!(numbers.settle(), []);
        for own in [1, 2, 3] {
            numbers.sent(list(own));
        }
        assert_eq!(numbers.heard(answer(2)), Some(answer(1)), "answered before the loss");
        // The engine is still at 3, and knows nothing of the other one any more.
        numbers.welcomed(&welcome(5, &[3]));
        assert_eq!(number(numbers.sent(list(4))), 9);
        let lost = numbers.settle();
        assert!(matches!(&lost[..], [Event::Failed { request: Some(RequestId(3)), .. }]), "{lost:?}");
        assert_eq!(numbers.heard(answer(3)), Some(answer(2)), "asked over the first connection");
        assert_eq!(numbers.heard(answer(9)), Some(answer(4)), "asked over the second one");
        assert_eq!(numbers.settle(), [], "said once");
    }
}

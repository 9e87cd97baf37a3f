//! Writes down what the real engine says on the new user's path (tests/fixtures/window/session.jsonl), so that the
//! pictures of the window's tests show real answers without an engine.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use emberwright::server::LocalEngine;
use protocol::{Command, Event, Language, Wish};
use ui::EngineClient;

use crate::journey::{Journey, travel};

/// An engine that keeps a copy of everything it says.
struct Recorded {
    engine: LocalEngine,
    said: Rc<RefCell<Vec<Event>>>,
}

impl EngineClient for Recorded {
    fn send(&mut self, command: Command) {
        self.engine.send(command);
    }

    fn wish(&mut self, wish: Wish) {
        self.engine.wish(wish);
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        let before = events.len();
        self.engine.drain(events);
        self.said.borrow_mut().extend_from_slice(&events[before..]);
    }

    fn detach(&mut self, keep_running: bool) {
        self.engine.detach(keep_running);
    }

    fn restart(&mut self) {
        self.engine.restart();
    }
}

/// Where the pictures' files seem to lie.
const HOME: &str = "/home/ada";

#[test]
#[ignore = "writes a fixture: cargo test --release --workspace --test window record -- --ignored"]
fn record() {
    let said = Rc::<RefCell<Vec<Event>>>::default();
    let journey =
        Journey::with(Language::English, |engine| Box::new(Recorded { engine, said: said.clone() }));
    let journey = travel(journey, "Who are you?");
    let home = journey.home.path().display().to_string();
    let kept = |event: &&Event| !matches!(event, Event::Progress { .. } | Event::Checking { .. });
    let lines: Vec<String> = said
        .borrow()
        .iter()
        .filter(kept)
        .map(|event| serde_json::to_string(event).unwrap().replace(&home, HOME))
        .collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/window/session.jsonl");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}

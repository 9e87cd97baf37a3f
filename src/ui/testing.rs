//! For tests: an engine and a desktop that answer what they are told to.

use std::cell::RefCell;
use std::rc::Rc;

use protocol::{Command, Event, Wish};

use crate::client::{EngineClient, LinkState};
use crate::desktop::{Desktop, DesktopEvent, DesktopRequest};
use crate::hosting::Hosting;

/// What passed between the window and a fake engine.
#[derive(Default)]
pub struct Traffic {
    pub commands: Vec<Command>,
    pub wishes: Vec<Wish>,
    pub events: Vec<Event>,
    pub detached: Option<bool>,
    pub restarts: u32,
    pub link: LinkState,
    /// Where it was told to go over to, and whether a run was to go on.
    pub hosted: Vec<(Hosting, bool)>,
}

type Answer = dyn Fn(&Command) -> Vec<Event>;

/// An engine that answers with a function of the test.
#[derive(Clone)]
pub struct FakeEngine {
    pub traffic: Rc<RefCell<Traffic>>,
    answer: Rc<Answer>,
}

impl FakeEngine {
    pub fn new(answer: impl Fn(&Command) -> Vec<Event> + 'static) -> Self {
        Self { traffic: Rc::default(), answer: Rc::new(answer) }
    }

    /// Tells the window something.
    pub fn tell(&self, event: Event) {
        self.traffic.borrow_mut().events.push(event);
    }
}

impl EngineClient for FakeEngine {
    fn send(&mut self, command: Command) {
        let events = (self.answer)(&command);
        let mut traffic = self.traffic.borrow_mut();
        traffic.events.extend(events);
        traffic.commands.push(command);
    }

    fn wish(&mut self, wish: Wish) {
        self.traffic.borrow_mut().wishes.push(wish);
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.traffic.borrow_mut().events);
    }

    fn link(&self) -> LinkState {
        self.traffic.borrow().link.clone()
    }

    fn detach(&mut self, keep_running: bool) {
        self.traffic.borrow_mut().detached = Some(keep_running);
    }

    fn restart(&mut self) {
        self.traffic.borrow_mut().restarts += 1;
    }

    fn host(&mut self, hosting: &Hosting, keep_running: bool) {
        self.traffic.borrow_mut().hosted.push((hosting.clone(), keep_running));
    }
}

/// A desktop that notes what it was asked, and answers when told.
#[derive(Clone, Default)]
pub struct FakeDesktop {
    pub requests: Rc<RefCell<Vec<DesktopRequest>>>,
    pub answers: Rc<RefCell<Vec<DesktopEvent>>>,
}

impl Desktop for FakeDesktop {
    fn request(&mut self, request: DesktopRequest) {
        self.requests.borrow_mut().push(request);
    }

    fn drain(&mut self, events: &mut Vec<DesktopEvent>) {
        events.append(&mut self.answers.borrow_mut());
    }
}

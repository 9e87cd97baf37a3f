//! The engine in the test's own process, behind the face that the window sees.

use std::sync::Arc;
use std::thread;

use engine::{EngineHandle, EngineOptions, Waker};
use protocol::{Command, Event, Text, UserError, Wish};
use ui::EngineClient;

use super::dispatch::Dispatch;
use super::work::Work;

pub struct LocalEngine {
    options: EngineOptions,
    waker: Waker,
    running: Running,
}

/// An engine and the queue in front of it.
struct Running {
    engine: Arc<EngineHandle>,
    /// None: no thread was to be had.
    dispatch: Option<Dispatch>,
    work: Work,
    shut: bool,
}

impl LocalEngine {
    pub fn new(options: EngineOptions, waker: Waker) -> Self {
        let running = Running::start(&options, &waker);
        Self { options, waker, running }
    }
}

impl Running {
    fn start(options: &EngineOptions, waker: &Waker) -> Self {
        let engine = Arc::new(engine::spawn(options.clone(), waker.clone()));
        let dispatch = Dispatch::start(engine.clone());
        if let Err(err) = &dispatch {
            tracing::error!("no thread for commands: {err}");
        }
        Self { engine, dispatch: dispatch.ok(), work: Work::default(), shut: false }
    }

    /// Ends the engine in good order, in the background: its events are taken until the last.
    fn shut_down(&mut self) {
        if std::mem::replace(&mut self.shut, true) {
            return;
        }
        let engine = self.engine.clone();
        let body = move || {
            engine.send(Command::Shutdown);
            while !matches!(engine.events.recv(), Ok(Event::Stopped) | Err(_)) {}
        };
        if let Err(err) = thread::Builder::new().name("shutdown".into()).spawn(body) {
            tracing::error!("the engine is left running: {err}");
        }
    }
}

/// A run in the same process cannot outlive it.
impl Drop for Running {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl EngineClient for LocalEngine {
    fn send(&mut self, command: Command) {
        let running = &mut self.running;
        running.work.begins(&command, &running.engine.control);
        if let Some(dispatch) = &running.dispatch {
            dispatch.send(command);
        }
    }

    fn wish(&mut self, wish: Wish) {
        self.running.engine.control.wish(wish);
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        let running = &mut self.running;
        if running.dispatch.is_none() && !running.shut {
            let error = UserError::failure(Text::fixed("The engine could not be started", "无法启动引擎"));
            events.push(Event::Failed { request: None, error: Box::new(error) });
            running.shut_down();
        }
        if running.shut {
            return;
        }
        for event in running.engine.events.try_iter() {
            running.work.heard(&event, &running.engine.control);
            events.push(event);
        }
    }

    fn detach(&mut self, _keep_running: bool) {
        self.running.shut_down();
    }

    fn restart(&mut self) {
        self.running = Running::start(&self.options, &self.waker);
    }
}

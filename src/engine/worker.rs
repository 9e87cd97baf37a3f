//! Threads that own everything: `work` the model and the device, `data` previews and checks, so that
//! a preview never waits for a training step, `passes` what goes over all rows of a dataset for minutes, `files` run
//! folders and run files; and `hub`, which waits for the network. Only messages go in and out.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use protocol::{
    Catalog, Command, Control, Event, Outcome, RequestId, Result, RunCommand, RunEvent, RunId, Thread,
    UserError, text,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::device::{self, Chosen};
use crate::handlers::{Desk, Search};
use crate::inbox::Inbox;
use crate::monitor::Monitor;
use crate::runs::RunIndex;
use crate::session::Session;
use crate::sink::Sink;
use crate::{Waker, export, handlers, handoff, methods, models, optim};

/// Commands that may wait; a client that sends more has a fault.
const COMMANDS: usize = 64;
/// Events that may wait before step figures begin to merge.
const EVENTS: usize = 1024;
/// Between two looks at how far an index is.
const WAIT: Duration = Duration::from_millis(100);

/// Where the engine computes and where it keeps things.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// `auto`, `cpu` or `cuda:N`, or several with commas between them, which share runs.
    pub device: String,
    /// Runs without a folder of their own go here.
    pub runs_dir: PathBuf,
    pub log_dir: PathBuf,
}

/// A client's end of the engine.
pub struct EngineHandle {
    pub events: Receiver<Event>,
    pub control: Arc<Control>,
    work: Sender<Command>,
    data: Sender<Command>,
    passes: Sender<Command>,
    files: Sender<Command>,
    hub: Sender<Command>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the engine. Its first event is `Ready`, or `Failed` when the wanted device cannot be used.
pub fn spawn(options: EngineOptions, waker: Waker) -> EngineHandle {
    let (event_sender, events) = bounded(EVENTS);
    let (work, work_commands) = bounded(COMMANDS);
    let (data, data_commands) = bounded(COMMANDS);
    let (passes, passes_commands) = bounded(COMMANDS);
    let (files, files_commands) = bounded(COMMANDS);
    let (hub, hub_commands) = bounded(COMMANDS);
    let control = Arc::new(Control::default());
    let gone = Arc::new(AtomicBool::new(false));
    // Held by the threads that end by themselves when there is no device: then the hub's ends, too.
    let (alive, ended) = bounded::<()>(0);
    let thread = |name: &str, role: Thread, commands: Receiver<Command>| {
        let sink = Sink::new(event_sender.clone(), waker.clone(), gone.clone());
        let (options, control) = (options.clone(), control.clone());
        let pulse = Sink::new(event_sender.clone(), waker.clone(), gone.clone());
        let (inbox, runs) = (Inbox::new(commands), RunIndex::default());
        let alive = alive.clone();
        let body = move || {
            Worker { role, options, control, sink, inbox, runs }.run(pulse);
            drop(alive);
        };
        std::thread::Builder::new().name(name.into()).spawn(body)
    };
    let started = [
        thread("work", Thread::Work, work_commands),
        thread("data", Thread::Data, data_commands),
        thread("passes", Thread::Passes, passes_commands),
        thread("files", Thread::Files, files_commands),
        hub_thread((hub_commands, ended), control.clone(), move || {
            Sink::new(event_sender.clone(), waker.clone(), gone.clone())
        }),
    ];
    let threads = started.into_iter().filter_map(|thread| thread.ok()).collect();
    EngineHandle { events, control, work, data, passes, files, hub, threads }
}

impl EngineHandle {
    /// Hands over a command; its answers come as events. A command for an engine that has ended is lost,
    /// and the channel of events says that it ended.
    pub fn send(&self, command: Command) {
        if command == Command::Shutdown {
            self.control.close();
            let others =
                [("data", &self.data), ("passes", &self.passes), ("files", &self.files), ("hub", &self.hub)];
            for (name, channel) in others {
                if channel.send(Command::Shutdown).is_err() {
                    tracing::debug!("the {name} thread has ended already");
                }
            }
        }
        let channel = match command.thread() {
            Thread::Work => &self.work,
            Thread::Data => &self.data,
            Thread::Passes => &self.passes,
            Thread::Files => &self.files,
            Thread::Hub => &self.hub,
        };
        if channel.send(command).is_err() {
            tracing::error!("a command was sent to an engine that has ended");
        }
    }

    /// Waits for all threads. Call after `Shutdown`, with the events taken or dropped.
    pub fn join(self) {
        let Self { events, work, data, passes, files, hub, threads, .. } = self;
        drop((events, work, data, passes, files, hub));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("an engine thread panicked outside its work");
            }
        }
    }
}

/// The thread of the network; it needs no device.
fn hub_thread(
    (commands, ended): (Receiver<Command>, Receiver<()>),
    control: Arc<Control>,
    sink: impl Fn() -> Sink + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let body = move || handlers::serve_hubs(&commands, &ended, &control, sink);
    std::thread::Builder::new().name("hub".into()).spawn(body)
}

struct Worker {
    role: Thread,
    options: EngineOptions,
    control: Arc<Control>,
    sink: Sink,
    inbox: Inbox,
    runs: RunIndex,
}

impl Worker {
    /// `pulse` is where the monitor tells, if this is the work thread.
    fn run(mut self, pulse: Sink) {
        let Some(chosen) = self.start() else { return };
        let Some(pool) = self.pool() else { return };
        let monitor = (self.role == Thread::Work).then(|| Monitor::start(chosen.clone(), pulse));
        let mut session = Session::new(chosen);
        let mut desk = Desk::default();
        while let Some(command) = self.next(&mut desk, &pool) {
            if command == Command::Shutdown {
                break;
            }
            let subject = Subject::of(&command);
            if self.is_void(&subject) || self.is_cancelled(&subject) {
                self.sink.emit(Event::Superseded { request: subject.request });
                self.sink.drain();
                continue;
            }
            monitor.iter().for_each(Monitor::work_begins);
            let work = || self.handle(command, &mut session, &mut desk);
            // Inside the pool, so that a loop begins on this thread at once instead of waking another.
            let outcome = catch_unwind(AssertUnwindSafe(|| pool.install(work)));
            match outcome {
                Ok(Ok(())) => {}
                // The work heard that nobody waits for it any more.
                Ok(Err(_)) if self.is_void(&subject) => {
                    self.sink.emit(Event::Superseded { request: subject.request });
                }
                Ok(Err(error)) => self.failed(&subject, error),
                Err(panic) => {
                    // What the session holds may be half-changed.
                    session = Session::new(session.chosen);
                    desk = Desk::default();
                    self.crashed(&subject, panic.as_ref());
                }
            }
            self.sink.drain();
            monitor.iter().for_each(Monitor::work_ended);
            if self.sink.is_gone() {
                break;
            }
        }
        drop(session);
        drop(monitor);
        if self.role == Thread::Work {
            self.sink.emit(Event::Stopped);
            self.sink.drain();
        }
    }

    /// Whether a newer request on the data thread made this one void.
    fn is_void(&self, subject: &Subject) -> bool {
        subject.supersedable && self.control.is_superseded(subject.request)
    }

    /// Whether the client took it back while it waited; a run ends as runs do.
    fn is_cancelled(&self, subject: &Subject) -> bool {
        subject.run.is_none() && self.control.is_cancelled(subject.request)
    }

    /// The next command; while a preview waits for its files to be counted, that goes on. None when the client
    /// is gone.
    fn next(&mut self, desk: &mut Desk, pool: &ThreadPool) -> Option<Command> {
        while let Some(waiting) = &desk.waiting {
            let request = waiting.request;
            match self.inbox.next_within(WAIT) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let (sink, control) = (&mut self.sink, self.control.as_ref());
            let work = || handlers::go_on(desk, control, sink);
            match catch_unwind(AssertUnwindSafe(|| pool.install(work))) {
                // The rows were shown; that their number stays unknown is said by whoever needs it.
                Ok(Err(error)) => tracing::debug!("a file could not be counted: {error}"),
                Ok(Ok(())) => {}
                Err(panic) => {
                    *desk = Desk::default();
                    self.crashed(&Subject { request, supersedable: true, run: None }, panic.as_ref());
                }
            }
            self.sink.drain();
        }
        self.inbox.next()
    }

    /// The threads that compute, one a core.
    fn pool(&mut self) -> Option<ThreadPool> {
        let named = ThreadPoolBuilder::new().thread_name(|index| format!("compute-{index}"));
        match named.build() {
            Ok(pool) => Some(pool),
            Err(err) => {
                let error =
                    UserError::failure(text!("No threads to compute on: {err}", "无法创建计算线程：{err}"));
                self.sink.emit(Event::Failed { request: None, error: Box::new(error) });
                self.sink.drain();
                None
            }
        }
    }

    /// Chooses the device; the work thread says so.
    fn start(&mut self) -> Option<Chosen> {
        let wish = self.options.device.clone();
        // The data thread computes nothing; only the forecast looks at the device.
        let chosen = catch_unwind(AssertUnwindSafe(|| device::choose(&wish)));
        let chosen = match chosen {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(error)) => {
                if self.role == Thread::Work {
                    self.sink.emit(Event::Failed { request: None, error: Box::new(error) });
                    self.sink.drain();
                }
                return None;
            }
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                let error = UserError::failure(text!(
                    "The device could not be started: {message}",
                    "无法启动计算设备：{message}"
                ));
                self.sink.emit(Event::Failed { request: None, error: Box::new(error) });
                self.sink.drain();
                return None;
            }
        };
        if self.role == Thread::Work {
            let (device, devices) = (chosen.report.clone(), device::on_offer());
            self.sink.emit(Event::Ready { catalog: Box::new(catalog()), device, devices });
        }
        Some(chosen)
    }

    #[expect(clippy::too_many_lines, reason = "one arm a command: nothing is dispatched anywhere else")]
    fn handle(&mut self, command: Command, session: &mut Session, desk: &mut Desk) -> Result<()> {
        let (sink, control) = (&mut self.sink, self.control.as_ref());
        match command {
            Command::Inspect { request, model } => handlers::inspect(request, &model, desk, sink),
            Command::Preview { request, config, base, first, count } => {
                let rows = first..first.saturating_add(count);
                handlers::preview(request, (*config, &base), rows, desk, control, sink)
            }
            Command::Check { request, config, base } => {
                handlers::check(request, (*config, &base), &session.chosen, desk, control, sink)
            }
            Command::Run(command) => handlers::run(command, session, (&mut self.inbox, desk), control, sink),
            Command::Score { request, score } => handlers::score(request, &score, session, control, sink),
            Command::Generate { request, generate } => {
                handlers::generate(request, &generate, session, control, sink)
            }
            Command::Export { request, export } => handlers::export(request, &export, session, control, sink),
            Command::Bench { request, bench } => handlers::bench(request, &bench, session, control, sink),
            Command::PlanPredict { request, predict } => {
                handlers::plan_predict(request, &predict, control, sink)
            }
            Command::Predict { request, predict } => {
                handlers::predict(request, &predict, session, control, sink)
            }
            Command::Evaluate { request, evaluate } => {
                handlers::evaluate(request, &evaluate, &self.options.runs_dir, session, control, sink)
            }
            Command::Analyze { request, analysis } => {
                handlers::analyze(request, &analysis, session, desk, control, sink)
            }
            Command::ScoreRow { live: true, .. } => Err(handlers::no_run()),
            Command::ScoreRow { request, config, base, row, model, .. } => {
                let row = (config.as_ref(), base.as_path(), row);
                handlers::score_row(request, row, &model, (session, desk), control, sink)
            }
            Command::PreviewConversion { request, convert, first, count } => {
                let rows = first..first.saturating_add(count);
                handlers::preview_conversion(request, &convert, rows, desk, control, sink)
            }
            Command::Convert { request, convert, out } => {
                handlers::convert(request, &convert, &out, desk, control, sink)
            }
            Command::Find { request, config, base, text, after, limit } => {
                let search = Search { text: &text, after, limit };
                handlers::find(request, (*config, &base), &search, desk, control, sink)
            }
            Command::Estimate { request, config, base, steps, longest } => {
                handlers::estimate(request, (*config, &base), (steps, longest), &session.chosen, sink)
            }
            Command::RenderPrompt { request, model, prompt } => {
                handlers::render_prompt(request, &model, &prompt, sink)
            }
            Command::ExtendVocabulary { request, model, vocabulary, sample, out } => {
                let (of, to) = ((model.as_path(), &*vocabulary), (sample.as_slice(), out.as_path()));
                handlers::extend_vocabulary(request, of, to, desk, control, sink)
            }
            Command::ForecastExport { request, export } => handlers::forecast_export(request, &export, sink),
            Command::ListRuns { request, dir } => {
                handlers::list_runs(request, or(&dir, &self.options.runs_dir), &mut self.runs, sink)
            }
            Command::ReadRun { request, dir } => handlers::read_run(request, &dir, sink),
            Command::DeleteRun { request, dir } => handlers::delete_run(request, &dir, sink),
            Command::ReadProject { request, path } => handlers::read_project(request, &path, sink),
            Command::ListFolder { request, dir } => {
                handlers::list_folder(request, dir.as_deref(), &self.options.runs_dir, sink)
            }
            Command::WriteProject { request, path, config, base } => {
                handlers::write_project(request, &path, &config, &base, sink)
            }
            Command::ListEvaluations { request, dir } => {
                handlers::list_evaluations(request, or(&dir, &self.options.runs_dir), sink)
            }
            Command::WriteEvaluations { request, dirs, out } => {
                handlers::write_evaluations(request, &dirs, &out, sink)
            }
            Command::HandOff { request, handoff } => {
                handlers::hand_off(request, &handoff, &session.chosen, control, sink)
            }
            Command::ImportRun { request, dir, model, origin, out } => {
                handlers::import_run(request, (&dir, model.as_deref(), origin.as_ref()), &out, sink)
            }
            // Of the hub thread.
            Command::Hub { .. } | Command::Shutdown => Ok(()),
        }
    }

    fn failed(&mut self, subject: &Subject, error: UserError) {
        match &subject.run {
            Some(run) => self.ended(subject.request, run.clone(), Outcome::Failed { error: Box::new(error) }),
            None => self.sink.failed(subject.request, error),
        }
    }

    /// A panic ends the work, not the process: the client hears of it and lives on.
    fn crashed(&mut self, subject: &Subject, panic: &(dyn Any + Send)) {
        let message = panic_message(panic);
        tracing::error!("panic in the worker: {message}");
        match &subject.run {
            Some(run) => {
                let log = Some(self.options.log_dir.clone()).filter(|dir| dir.exists());
                self.ended(subject.request, run.clone(), Outcome::Crashed { message, log });
            }
            None => {
                let error =
                    UserError::failure(text!("A fault in the program: {message}", "程序内部错误：{message}"));
                self.sink.failed(subject.request, error);
            }
        }
    }

    fn ended(&mut self, request: RequestId, run: RunId, outcome: Outcome) {
        self.inbox.run_is_over(&self.control);
        self.sink.emit(Event::Run { request, run, update: RunEvent::Ended { outcome } });
    }
}

/// What a command is about, kept for when it fails.
struct Subject {
    request: RequestId,
    /// Looks at rows: a newer look at other rows makes it void.
    supersedable: bool,
    run: Option<RunId>,
}

impl Subject {
    fn of(command: &Command) -> Self {
        let run = match command {
            Command::Run(RunCommand::Start { out, .. }) => Some(out),
            Command::Run(RunCommand::Resume { dir, .. }) => Some(dir),
            _ => None,
        };
        let name = run.and_then(|dir| dir.file_name()).map(|name| RunId(name.to_string_lossy().into_owned()));
        let request = command.request().unwrap_or_default();
        let supersedable =
            matches!(command, Command::Preview { .. } | Command::Find { .. } | Command::Check { .. });
        Self { request, supersedable, run: run.map(|_| name.unwrap_or(RunId(String::new()))) }
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// The folder that was named, or the usual one.
fn or<'a>(dir: &'a Option<PathBuf>, usual: &'a Path) -> &'a Path {
    dir.as_deref().unwrap_or(usual)
}

/// Everything that can be chosen, from the registries.
fn catalog() -> Catalog {
    Catalog {
        families: models::descriptors(),
        methods: methods::descriptors(),
        formats: data::formats::descriptors(),
        targets: export::descriptors(),
        schedules: optim::schedule::descriptors(),
        optimizers: optim::descriptors(),
        suites: handlers::suites(),
        engines: handoff::descriptors(),
        handed_methods: handoff::METHODS.map(str::to_owned).to_vec(),
        hubs: handlers::hubs(),
        written_formats: handlers::written_formats(),
        recipes: data::presets::recipes(),
        templates: data::presets::templates(),
        column_maps: data::presets::column_maps(),
    }
}

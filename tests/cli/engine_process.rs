//! The engine as a process of its own: attached to, left, found again, killed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberwright::server::{LocalEngine, RemoteEngine, RemoteOptions, Sockets};
use protocol::{Command, Event, Outcome, RequestId, RunCommand, RunEvent, RunState, StopReason, Wish};
use ui::{EngineClient, LinkState};

use crate::engine_client::{LONG, PATIENCE, Window, all_gone, open, options, processes, signal, sockets};
use crate::project::steady_lines;
use crate::workshop::Workshop;

#[test]
fn a_run_outlives_the_window_and_is_found_again() {
    let workshop = Workshop::new("");
    let mut first = open(&workshop);
    first.ready();
    let out = first.start(&workshop, LONG);
    let (request, before) = first.steps();
    assert_eq!(request, RequestId(1));
    let engines = processes(&workshop);
    // No farewell: as if the window had been killed.
    drop(first);
    let lines = || std::fs::read_to_string(out.join("metrics.jsonl")).unwrap().lines().count();
    let (then, began) = (lines(), Instant::now());
    while lines() < then + 50 {
        assert!(began.elapsed() < PATIENCE, "the run does not go on");
        std::thread::sleep(Duration::from_millis(5));
    }

    let mut second = open(&workshop);
    second.ready();
    let planned = second.wait("the plan", |event| match event {
        Event::Run { request, update: RunEvent::Planned { dir, .. }, .. } => Some((*request, dir.clone())),
        _ => None,
    });
    assert_eq!(planned, (RequestId(0), out.clone()));
    assert_eq!(processes(&workshop), engines, "the same process");
    let (request, after) = second.steps();
    assert_eq!(request, RequestId(0), "nobody here asked for it");
    assert!(after[0].step > before[0].step + 50);

    // The history that nobody heard is in the run folder.
    let request = second.request();
    second.client.send(Command::ReadRun { request, dir: out.clone() });
    let mut steps = Vec::new();
    let report = second.wait("the history", |event| match event {
        Event::RunRead { request: of, steps: some, report, .. } if *of == request => {
            steps.extend(some.iter().map(|step| step.step));
            report.clone()
        }
        _ => None,
    });
    assert!(steps.iter().copied().eq(1..=steps.len() as u64));
    assert!(steps.len() as u64 >= after[0].step);
    assert_eq!(report.state, RunState::Running);

    second.client.detach(false);
    all_gone(&workshop);
    assert!(out.join("adapter/adapter_config.json").exists(), "the run ended in good order");
    assert_eq!(std::fs::read_dir(out.join("checkpoints")).unwrap().count(), 1);
}

#[test]
fn a_paused_run_is_found_paused_and_finishes() {
    let workshop = Workshop::new("");
    let mut first = open(&workshop);
    first.ready();
    first.start(&workshop, "max_steps = 300\n");
    first.steps();
    first.client.wish(Wish::Pause);
    let step = |event: &Event| match event {
        Event::Run { update: RunEvent::Paused { step }, .. } => Some(*step),
        _ => None,
    };
    let paused = first.wait("the pause", step);
    first.client.detach(true);
    drop(first);
    // Longer than an engine without a run would stay.
    std::thread::sleep(Duration::from_millis(2500));
    let mut second = open(&workshop);
    second.ready();
    assert_eq!(second.wait("the pause, again", step), paused);
    second.client.wish(Wish::Resume);
    match second.outcome() {
        Outcome::Finished { reason: StopReason::Completed, step: 300, .. } => {}
        other => panic!("{other:?}"),
    }
    // A wish that came too late for one run is none for the next.
    second.client.wish(Wish::Stop);
    std::fs::rename(workshop.path("out"), workshop.path("earlier")).unwrap();
    second.start(&workshop, "max_steps = 3\n");
    match second.outcome() {
        Outcome::Finished { reason: StopReason::Completed, step: 3, .. } => {}
        other => panic!("{other:?}"),
    }
    second.client.detach(true);
    all_gone(&workshop);
}

#[test]
fn two_windows_have_an_engine_each_and_idle_engines_end() {
    let workshop = Workshop::new("");
    let (mut first, mut second) = (open(&workshop), Option::None);
    first.ready();
    let second: &mut Window = second.insert(open(&workshop));
    second.ready();
    assert_eq!(sockets(&workshop).len(), 2);
    second.client.detach(true);
    first.client.detach(false);
    all_gone(&workshop);
}

#[cfg(unix)]
#[test]
fn a_killed_engine_is_said_and_replaced() {
    let workshop = Workshop::new("");
    let mut window = open(&workshop);
    window.ready();
    let out = window.start(&workshop, "max_steps = 100000\nsave_every = 5\n");
    while window.steps().1[0].step < 12 {}
    signal("-9", &processes(&workshop));
    let error = window.failure();
    assert!(error.what.en.contains("ended unexpectedly"), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    assert!(error.place.file.is_some_and(|log| log.exists()));
    window.last_event();

    window.client.restart();
    window.ready();
    let request = window.request();
    window.client.send(Command::Run(RunCommand::Resume { request, dir: out }));
    assert!(window.steps().1[0].step > 5, "from its checkpoint");
    window.client.detach(false);
    forget_the_killed(&workshop);
    all_gone(&workshop);
}

/// A killed engine cannot take its socket with it: the next window does, after a while.
#[cfg(unix)]
fn forget_the_killed(workshop: &Workshop) {
    std::thread::sleep(Duration::from_secs(5));
    let mut other = open(workshop);
    other.ready();
    assert_eq!(sockets(workshop).len(), 1);
    other.client.detach(false);
}

#[cfg(unix)]
#[test]
fn strangers_are_refused_and_do_no_harm() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let workshop = Workshop::new("");
    let mut window = open(&workshop);
    window.ready();
    let name = sockets(&workshop).remove(0);
    let say = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(workshop.path("sockets").join(format!("{name}.sock"))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let frame = |json: &str| [&(json.len() as u32).to_le_bytes(), json.as_bytes()].concat();
    let other = frame(r#"{"Hello":{"version":999,"program":"9.9.9"}}"#);
    assert!(say(&other).contains(r#"{"Refused":{"Version":{"version":2"#), "{}", say(&other));
    let same = format!(r#"{{"Hello":{{"version":2,"program":"{}"}}}}"#, env!("CARGO_PKG_VERSION"));
    assert!(say(&frame(&same)).contains(r#"{"Refused":"Busy"}"#));
    for hostile in
        [b"\xff\xff\xff\xff{}".to_vec(), b"GET / HTTP/1.1\r\n\r\n".to_vec(), frame(r#"{"Wish":"stop"}"#)]
    {
        assert_eq!(say(&hostile), "");
    }
    // The one that is attached has noticed nothing.
    let request = window.request();
    window.client.send(Command::ListRuns { request, dir: None });
    window.wait("the runs", |event| matches!(event, Event::Runs { .. }).then_some(()));
    window.client.detach(false);
    all_gone(&workshop);
}

/// The last record of each step of a run, without what the clock decides: a run that was resumed has some twice.
fn records(out: &Path) -> Vec<String> {
    let mut last = std::collections::BTreeMap::new();
    for line in steady_lines(out) {
        let key = line.split(',').take(2).filter(|part| part.contains("\"step\"") || part.contains("kind"));
        last.insert(key.collect::<String>(), line);
    }
    last.into_values().collect()
}

/// A killed engine costs the time to start again, and nothing else.
#[cfg(unix)]
#[test]
fn a_killed_engines_run_ends_as_if_nothing_had_been() {
    const SETTINGS: &str = "max_steps = 60\nsave_every = 5\neval_every = 10\n";
    let workshop = Workshop::new("");
    let mut window = open(&workshop);
    window.ready();
    let out = window.start(&workshop, SETTINGS);
    while window.steps().1[0].step < 12 {}
    signal("-9", &processes(&workshop));
    window.failure();
    window.last_event();
    assert_eq!(window.client.link(), LinkState::Ended);
    window.client.restart();
    window.ready();
    let request = window.request();
    window.client.send(Command::Run(RunCommand::Resume { request, dir: out.clone() }));
    assert!(matches!(window.outcome(), Outcome::Finished { step: 60, .. }));
    let interrupted = workshop.path("interrupted");
    std::fs::rename(&out, &interrupted).unwrap();

    let whole = window.start(&workshop, SETTINGS);
    assert!(matches!(window.outcome(), Outcome::Finished { step: 60, .. }));
    assert_eq!(records(&interrupted), records(&whole));
    let adapter = |run: &Path| std::fs::read(run.join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter(&interrupted) == adapter(&whole), "the adapters differ");
    window.client.detach(false);
    forget_the_killed(&workshop);
    all_gone(&workshop);
}

/// An engine that is stopped is not taken for dead, and goes on where it was.
#[cfg(unix)]
#[test]
fn silence_is_said_and_ends_when_the_engine_goes_on() {
    let workshop = Workshop::new("");
    let mut window = open(&workshop);
    window.ready();
    window.start(&workshop, LONG);
    let last = window.steps().1.last().unwrap().step;
    let engines = processes(&workshop);
    signal("-STOP", &engines);
    let silent = window.link("silence", |state| matches!(state, LinkState::Silent { .. }));
    assert!(matches!(silent, LinkState::Silent { seconds: 5..=20 }), "{silent:?}");
    // What is asked meanwhile waits.
    window.client.wish(Wish::ScaleRate(0.5));
    signal("-CONT", &engines);
    window.link("the engine's voice", |state| *state == LinkState::Attached);
    let mut next = last + 1;
    let changed = window.wait("the wish", |event| match event {
        Event::Run { update: RunEvent::Stepped { steps, .. }, .. } => {
            for step in steps {
                assert_eq!(step.step, next, "no step is lost");
                next += 1;
            }
            None
        }
        Event::Run { update: RunEvent::RateChanged { factor, .. }, .. } => Some(*factor),
        Event::Failed { error, .. } => panic!("{error}"),
        _ => None,
    });
    assert_eq!(changed, 0.5);
    assert_eq!(processes(&workshop), engines);
    window.client.detach(false);
    all_gone(&workshop);
}

/// A socket folder that others may enter is not used.
#[cfg(unix)]
#[test]
fn a_folder_that_others_may_enter_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let workshop = Workshop::new("");
    let open = workshop.path("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = || Sockets::at(open.clone()).prepare().is_err();
    assert!(refused());
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(!refused());
    symlink(&open, workshop.path("link")).unwrap();
    assert!(Sockets::at(workshop.path("link")).prepare().is_err());
}

#[test]
fn an_engine_that_cannot_start_says_why() {
    let workshop = Workshop::new("");
    let device = "cuda:77".to_owned();
    let mut window =
        Window::new(RemoteEngine::new(RemoteOptions { device, ..options(&workshop) }, Arc::new(|| {})));
    let error = window.failure();
    assert_eq!(error.place.item.as_deref(), Some("--device"), "{error}");
    window.last_event();
    all_gone(&workshop);
    let program = workshop.path("no-such-program");
    let mut window =
        Window::new(RemoteEngine::new(RemoteOptions { program, ..options(&workshop) }, Arc::new(|| {})));
    assert!(window.failure().what.en.contains("could not be started"));
    window.last_event();
}

#[test]
fn an_engine_in_the_same_process_is_the_same_to_a_window() {
    let workshop = Workshop::new("");
    let options = engine::EngineOptions {
        device: "cpu".into(),
        runs_dir: workshop.path("runs"),
        log_dir: workshop.path("logs"),
    };
    let mut window = Window::new(LocalEngine::new(options, Arc::new(|| {})));
    window.ready();
    let out = window.start(&workshop, LONG);
    window.steps();
    window.client.wish(Wish::Stop);
    assert!(matches!(window.outcome(), Outcome::Finished { reason: StopReason::Stopped, .. }));
    window.client.restart();
    window.ready();
    let request = window.request();
    window.client.send(Command::Run(RunCommand::Resume { request, dir: out }));
    window.steps();
    window.client.detach(false);
}

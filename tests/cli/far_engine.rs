//! An engine on another machine: a script stands in for ssh, and its connection breaks in every way.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command as Program, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberwright::server::{RemoteEngine, SshOptions};
use protocol::{Command, EntryKind, Event, Outcome, RequestId, RunCommand, RunEvent, StopReason, Wish};
use ui::hosting::{HostKind, Hosting};
use ui::{EngineClient, LinkState};

use crate::engine_client::{LONG, PATIENCE, Window, running, signal};
use crate::workshop::Workshop;

/// Stands in for ssh: takes the words behind the host as sshd does, in a session of its own, with two pumps between as the
/// two ends of a network. `noise`, `banner` and `fail` say what goes wrong before; a line of `limits` says after how
/// many bytes either direction breaks.
const SSH: &str = r#"#!/bin/sh
dir=$(dirname "$0")
while [ "$1" != "--" ]; do shift; done
echo "connecting to $2" >&2
shift 2
[ -e "$dir/banner" ] && cat "$dir/banner" >&2
[ -e "$dir/noise" ] && cat "$dir/noise"
[ -e "$dir/fail" ] && exit "$(cat "$dir/fail")"
limits=$(head -n 1 "$dir/limits" 2>/dev/null)
[ -n "$limits" ] && sed -i 1d "$dir/limits"
set -- "$*" $limits
pump() { if [ -n "$1" ]; then exec stdbuf -o0 head -c "$1"; else exec cat; fi; }
export HOME="$dir/home" XDG_RUNTIME_DIR="$dir/run" EMBERWRIGHT_RUNS="$dir/home/runs"
mkfifo "$dir/in.$$" "$dir/out.$$"
exec 3<&0
pump "$2" <&3 >"$dir/in.$$" & echo $! >>"$dir/pumps"
pump "$3" <"$dir/out.$$" & echo $! >>"$dir/pumps"
exec 3<&- 0</dev/null 1>/dev/null
exec setsid -w sh -c "$1" <"$dir/in.$$" >"$dir/out.$$"
"#;

/// The other machine, which is a folder of this one.
pub struct Far {
    pub workshop: Workshop,
}

impl Far {
    pub fn new() -> Self {
        let far = Self { workshop: Workshop::new("") };
        for folder in ["far", "far/home", "far/run"] {
            std::fs::create_dir(far.workshop.path(folder)).unwrap();
        }
        far.write("ssh", SSH);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(far.path("ssh"), mode).unwrap();
        far
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.workshop.path("far").join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn options(&self) -> SshOptions {
        let hosting = Hosting {
            kind: HostKind::Ssh,
            host: "gpu.example".into(),
            program: env!("CARGO_BIN_EXE_emberwright").into(),
        };
        SshOptions { ssh: self.path("ssh"), hosting, device: "cpu".into() }
    }

    pub fn open(&self) -> Window {
        Window::new(RemoteEngine::new(self.options(), Arc::new(|| {})))
    }

    /// Processes of the engine itself, without those that hand its frames on.
    pub fn engines(&self) -> Vec<u32> {
        running(&format!("--sockets {}", self.path("run").display()))
    }

    /// Those that hand frames on.
    pub fn relays(&self) -> Vec<u32> {
        let of_here = |process: &u32| {
            let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            let here = self.path("run").display().to_string();
            command.starts_with(env!("CARGO_BIN_EXE_emberwright").as_bytes())
                && String::from_utf8_lossy(&environment).contains(&here)
        };
        running("engine --stdio").into_iter().filter(of_here).collect()
    }

    /// What carries the connection, of all connections there were.
    pub fn pumps(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.path("pumps")).unwrap();
        let alive = |process: &u32| std::path::Path::new(&format!("/proc/{process}")).exists();
        text.lines().map(|line| line.parse().unwrap()).filter(alive).collect()
    }

    #[track_caller]
    pub fn all_gone(&self) {
        let began = Instant::now();
        while !self.engines().is_empty() {
            assert!(began.elapsed() < PATIENCE, "an engine is left: {:?}", self.engines());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The first steps of a run, each once and in order, as its file has them.
fn recorded(out: &std::path::Path) -> Vec<u64> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line.get("kind").is_none()).map(|line| line["step"].as_u64().unwrap()).collect()
}

#[test]
fn a_run_on_another_machine_outlives_the_window_and_is_found_again() {
    let far = Far::new();
    far.write("banner", "Welcome to gpu.example\n\x1b[31mmaintenance at noon\x1b[0m\n");
    let mut first = far.open();
    first.ready();
    let request = first.request();
    first.client.send(Command::ListFolder { request, dir: Some(far.workshop.path("")) });
    let report = first.wait("the folder", |event| match event {
        Event::Folder { request: of, report } if *of == request => Some(report.clone()),
        _ => None,
    });
    let model = report.entries.iter().find(|entry| entry.name == "model").unwrap();
    assert_eq!(model.kind, EntryKind::ModelFolder);
    assert_eq!(report.places[0].dir, far.path("home"), "the other machine's home");

    let out = first.start(&far.workshop, LONG);
    first.steps();
    let engines = far.engines();
    assert_eq!(engines.len(), 1);
    first.client.detach(true);
    drop(first);
    let mut second = far.open();
    second.ready();
    let (request, steps) = second.steps();
    assert_eq!((request, far.engines()), (RequestId(0), engines));
    assert!(steps[0].step > 1);
    second.client.wish(Wish::Stop);
    assert!(matches!(second.outcome(), Outcome::Finished { reason: StopReason::Stopped, .. }));
    let steps = recorded(&out);
    assert!(steps.iter().copied().eq(1..=steps.len() as u64));
    second.client.detach(false);
    far.all_gone();
}

/// The connection breaks after so many bytes, in the middle of whatever they are.
#[test]
fn a_connection_that_breaks_anywhere_costs_no_step() {
    let far = Far::new();
    // The same ones in every run of the test; the first lets the engine be found.
    let mut seed = 12_345_u64;
    let mut random = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 33) % most
    };
    let mut limits = vec!["100000 500000".to_owned()];
    limits.extend((0..4).map(|_| format!("100000 {}", random(200_000))));
    limits.extend((0..2).map(|_| format!("{} 100000000", random(200))));
    limits.push("100000 3".into());
    far.write("limits", limits.join("\n") + "\n");
    let mut window = far.open();
    window.ready();
    let out = window.start(&far.workshop, LONG);
    window.steps();
    let engines = far.engines();
    let mut losses = 0;
    let began = Instant::now();
    while !std::fs::read_to_string(far.path("limits")).unwrap().is_empty() {
        assert!(began.elapsed() < PATIENCE, "the connections do not break");
        let lost = window.link("a loss", |state| matches!(state, LinkState::Lost { .. }));
        let LinkState::Lost { error, .. } = lost else { panic!("{lost:?}") };
        assert!(error.what.en.contains("gpu.example"), "{error}");
        losses += 1;
        // Something must pass, so that a limit on what is said is reached.
        window.link("another try", |state| !matches!(state, LinkState::Lost { .. }));
        for _ in 0..4 {
            let request = window.request();
            window.client.send(Command::ListRuns { request, dir: None });
        }
    }
    assert!(losses >= 4, "{losses}");
    window.link("the connection that holds", |state| *state == LinkState::Attached);
    let request = window.request();
    window.client.send(Command::ReadRun { request, dir: out.clone() });
    let mut read = Vec::new();
    window.wait("the history", |event| match event {
        Event::RunRead { request: of, steps, report, .. } if *of == request => {
            read.extend(steps.iter().map(|step| step.step));
            report.is_some().then_some(())
        }
        Event::Stopped => panic!("the engine is another one"),
        _ => None,
    });
    assert!(read.iter().copied().eq(1..=read.len() as u64), "every step once");
    assert_eq!(far.engines(), engines, "the same process");
    window.client.wish(Wish::Stop);
    assert!(matches!(window.outcome(), Outcome::Finished { reason: StopReason::Stopped, .. }));
    window.client.detach(false);
    far.all_gone();
}

/// The end of the connection is not known over there yet: the client takes its own place back.
#[test]
fn a_connection_that_hangs_over_there_does_not_keep_its_client_out() {
    let far = Far::new();
    let mut window = far.open();
    window.ready();
    window.start(&far.workshop, LONG);
    window.steps();
    let (engines, relays) = (far.engines(), far.relays());
    assert_eq!((engines.len(), relays.len()), (1, 1));
    signal("-STOP", &relays);
    signal("-9", &far.pumps());
    window.link("the loss", |state| matches!(state, LinkState::Lost { .. }));
    window.link("the engine", |state| *state == LinkState::Attached);
    window.events.clear();
    window.wait("the plan again", |event| {
        matches!(event, Event::Run { update: RunEvent::Planned { .. }, .. }).then_some(())
    });
    assert_eq!(window.steps().0, RequestId(1), "its own run, by its own number");
    assert_eq!(far.engines(), engines);
    signal("-CONT", &relays);
    window.client.detach(false);
    far.all_gone();
}

#[test]
fn what_went_astray_is_said_and_a_run_that_ended_meanwhile_has_its_end() {
    let far = Far::new();
    let mut window = far.open();
    window.ready();
    window.start(&far.workshop, "max_steps = 200\nsave_every = 0\neval_every = 0\n");
    window.steps();
    let relays = far.relays();
    signal("-STOP", &relays);
    signal("-9", &far.pumps());
    window.link("the loss", |state| matches!(state, LinkState::Lost { .. }));
    // Nobody there hears the end.
    let result = far.workshop.path("out/adapter/adapter_config.json");
    let began = Instant::now();
    while !result.exists() {
        assert!(began.elapsed() < PATIENCE, "the run does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(window.outcome(), Outcome::Finished { step: 200, .. }));
    signal("-9", &relays);
    window.client.detach(false);
    far.all_gone();
}

/// What is said there when the engine dies comes here, with its log; a new engine takes the run up.
#[test]
fn an_engine_that_dies_over_there_is_said_and_replaced() {
    let far = Far::new();
    let mut window = far.open();
    window.ready();
    let out = window.start(&far.workshop, "max_steps = 100000\nsave_every = 5\n");
    while window.steps().1[0].step < 12 {}
    signal("-9", &far.engines());
    let error = window.failure();
    assert!(error.what.en.contains("ended unexpectedly"), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    window.last_event();
    window.client.restart();
    window.ready();
    let request = window.request();
    window.client.send(Command::Run(RunCommand::Resume { request, dir: out }));
    assert!(window.steps().1[0].step > 5, "from its checkpoint");
    window.client.detach(false);
    far.all_gone();
}

#[test]
fn a_machine_that_cannot_be_used_says_why() {
    let refused = |prepare: &dyn Fn(&Far), words: &[&str]| {
        let far = Far::new();
        prepare(&far);
        let mut window = far.open();
        let error = window.failure();
        for word in words {
            assert!(error.to_string().contains(word), "`{word}` is not in: {error}");
        }
        assert!(error.mend.is_some(), "{error}");
        window.last_event();
        assert_eq!(window.client.link(), LinkState::Ended);
    };
    refused(
        &|far| {
            far.write("banner", "ada@gpu.example: Permission denied (publickey).\n");
            far.write("fail", "255");
        },
        &["could not connect to gpu.example", "Permission denied"],
    );
    refused(&|far| far.write("fail", "127"), &["has no program"]);
    refused(&|far| far.write("fail", "3"), &["exit code 3"]);
    refused(&|far| far.write("noise", "Last login: Sunday\n"), &["something else", "Last login: Sunday"]);
    refused(&|far| far.write("noise", b"\xff\xff\xff\xff"), &["something else"]);
    refused(&|far| far.write("noise", frame("{\"Event\":7}")), &["is not understood"]);
    let old = r#"{"Refused":{"Version":{"version":1,"program":"0.0.1","process":7}}}"#;
    refused(&|far| far.write("noise", frame(old)), &["0.0.1", "gpu.example", env!("CARGO_PKG_VERSION")]);
}

fn frame(json: &str) -> Vec<u8> {
    [&(json.len() as u32).to_le_bytes(), json.as_bytes()].concat()
}

/// Frames of a stream; panics at anything else.
fn frames(mut bytes: &[u8]) -> Vec<serde_json::Value> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (json, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        frames.push(serde_json::from_slice(json).unwrap());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "{bytes:?}");
    frames
}

fn hello(version: u32, program: &str) -> Vec<u8> {
    frame(&format!(r#"{{"Hello":{{"version":{version},"program":"{program}"}}}}"#))
}

/// `engine --stdio` with this on stdin, which then ends: exit code, stdout, stderr.
fn piped(workshop: &Workshop, input: &[u8], flags: &[&str], seconds: u64) -> (Option<i32>, Vec<u8>, String) {
    use std::io::Write as _;
    let sockets = workshop.path("sockets");
    let mut command = workshop.program.command(&["--device", "cpu"]);
    command.args(flags).args(["engine", "--stdio", "--sockets"]).arg(&sockets);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        stdin.write_all(&input).ok();
        // Time for an answer before the end.
        std::thread::sleep(Duration::from_secs(seconds));
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn strangers_on_stdin_are_refused_and_stdout_holds_frames_only() {
    let workshop = Workshop::new("");
    for hostile in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\xff\xff\xff\xff{}".to_vec(),
        b"\x09\0\0\0{".to_vec(),
        frame("{\"Hello\":7}"),
        frame(r#"{"Wish":"stop"}"#),
    ] {
        // Not even a mistake is told on stdout.
        let (code, stdout, stderr) = piped(&workshop, &hostile, &["--json"], 1);
        assert_eq!((code, stdout), (Some(2), Vec::new()), "{stderr}");
        assert!(stderr.contains("no greeting") && !stderr.contains("panicked"), "{stderr}");
    }
    assert_eq!(piped(&workshop, b"", &[], 1).0, Some(0));
    let (_, stdout, _) = piped(&workshop, &hello(999, "9.9.9"), &[], 2);
    let told = frames(&stdout);
    assert_eq!(told[0]["Refused"]["Version"]["program"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told.len(), 1);

    // A client that talks nonsense after a proper greeting hears of it and is left.
    let list = frame(r#"{"Command":{"ListFolder":{"request":1,"dir":"/no/such/folder"}}}"#);
    let greeted = [hello(2, env!("CARGO_PKG_VERSION")), frame("{\"Command\":7}"), list].concat();
    let (code, stdout, stderr) = piped(&workshop, &greeted, &["--json"], 10);
    assert_eq!(code, Some(0), "{stderr}");
    let told = frames(&stdout);
    assert!(told[0]["Welcome"]["first_request"].is_u64(), "{:?}", told[0]);
    let events: Vec<_> = told.iter().filter_map(|frame| frame["Event"]["event"].as_str()).collect();
    assert!(events.contains(&"ready"), "{events:?}");
    assert_eq!(events.iter().filter(|event| **event == "failed").count(), 2, "{told:?}");
    let oversized = [hello(2, env!("CARGO_PKG_VERSION")), b"\xff\xff\xff\xff".to_vec()].concat();
    for _ in 0..20 {
        // Whatever was told until then is whole.
        frames(&piped(&workshop, &oversized, &[], 0).1);
    }
    crate::engine_client::all_gone(&workshop);
}

/// Two clients on two pipes have an engine each.
#[test]
fn two_windows_have_an_engine_each_over_there() {
    let far = Far::new();
    let (mut first, mut second) = (far.open(), far.open());
    first.ready();
    second.ready();
    assert_eq!(far.engines().len(), 2);
    first.client.detach(false);
    second.client.detach(false);
    far.all_gone();
}

/// `setsid` keeps the stand-in honest: without it there is nothing to test.
#[test]
fn the_stand_in_is_there() {
    assert!(Program::new("setsid").arg("true").status().unwrap().success());
}

//! An engine on another machine: `ssh HOST emberwright engine --stdio`, spoken to through its pipes.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use protocol::{Result, UserError};
use ui::hosting::Hosting;

use super::connection::Connection;
use super::errors::{self, Far};
use super::frames::{Claim, Refusal, TooLong, Welcome};
use super::link::introduce;
use super::process;

/// For the other machine to answer and to start an engine, which may have to load the GPU's libraries first.
const ANSWER: Duration = Duration::from_secs(90);
/// For ssh to end after its pipes did.
const END: Duration = Duration::from_secs(1);
/// No question of ssh can be answered here, nothing but the pipes is forwarded, and a dead line is found out.
const OPTIONS: [&str; 8] = [
    "BatchMode=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "EscapeChar=none",
];
/// Lines of ssh's words that are kept, and characters of each.
const LINES: usize = 20;
const COLUMNS: usize = 300;

/// What to start on the other machine.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// The program `ssh`.
    pub ssh: PathBuf,
    pub hosting: Hosting,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

/// A connection that the other machine's engine has welcomed.
pub struct FarLink {
    pub connection: Connection,
    pub welcome: Welcome,
    far: Process,
}

impl FarLink {
    /// The error that says how the connection broke.
    pub fn loss(&self, options: &SshOptions) -> UserError {
        let status = self.far.end();
        errors::lost(&Far { host: &options.hosting.host, status, said: self.far.said() })
    }
}

impl SshOptions {
    /// Words after `ssh`. Host and program are checked: neither can be taken for an option or for more than one word.
    fn arguments(&self, beside_others: bool) -> Vec<&str> {
        let mut arguments = vec!["-T"];
        arguments.extend(OPTIONS.iter().flat_map(|option| ["-o", *option]));
        arguments.extend([
            "--",
            self.hosting.host.as_str(),
            self.hosting.program(),
            "--device",
            self.device.as_str(),
        ]);
        arguments.extend(["engine", "--stdio"]);
        arguments.extend(beside_others.then_some("--beside-others"));
        arguments
    }

    /// Connects; `told` hears each line of ssh meanwhile.
    ///
    /// # Errors
    /// When host or program are no names, ssh cannot connect, or there is no engine to be had on the other machine.
    pub fn connect(
        &self,
        claim: &Claim,
        beside_others: bool,
        told: impl Fn(String) + Send + 'static,
    ) -> Result<FarLink> {
        if let Some(problem) = self.hosting.problem() {
            return Err(UserError::bad_input(problem));
        }
        let (far, connection) = self.start(beside_others, told).map_err(|err| errors::no_ssh(&err))?;
        // Until the end of this function: also what is no answer may come in pieces.
        let _deadline = connection.deadline(ANSWER).map_err(|err| errors::no_ssh(&err))?;
        match introduce(&connection, claim) {
            Ok(Ok(welcome)) => Ok(FarLink { connection, welcome, far }),
            Ok(Err(refusal)) => Err(self.refused(refusal)),
            Err(err) => Err(self.failed(&err, &connection, &far)),
        }
    }

    fn start(
        &self,
        beside_others: bool,
        told: impl Fn(String) + Send + 'static,
    ) -> io::Result<(Process, Connection)> {
        let mut command = Command::new(&self.ssh);
        command.args(self.arguments(beside_others));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process::detach(&mut command);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let far = Process(Arc::new(Running { child: Mutex::new(child), said: Mutex::default() }));
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("ssh has no pipes"));
        };
        let words = far.clone();
        thread::Builder::new().name("ssh-words".into()).spawn(move || words.hear(stderr, told))?;
        let ended = far.clone();
        Ok((far, Connection::pair(stdout, stdin, move || ended.kill())))
    }

    fn refused(&self, refusal: Refusal) -> UserError {
        match refusal {
            Refusal::Version { version, program, .. } => {
                errors::other_version_there(&self.hosting.host, version, &program)
            }
            Refusal::Failed(error) => *error,
            Refusal::Busy | Refusal::Ending => errors::silent_there(&self.hosting.host),
        }
    }

    fn failed(&self, err: &io::Error, connection: &Connection, far: &Process) -> UserError {
        if let Some(TooLong(first)) = err.get_ref().and_then(|err| err.downcast_ref()) {
            let mut more = [0; 160];
            let read = connection.read_rest(&mut more).unwrap_or_default();
            let text = String::from_utf8_lossy(&[&first[..], &more[..read]].concat()).into_owned();
            far.kill();
            return errors::chatty(&self.hosting.host, plain(&text));
        }
        if err.kind() == io::ErrorKind::InvalidData {
            far.kill();
            return errors::not_understood(&self.hosting.host, err);
        }
        let status = far.end();
        let far = Far { host: &self.hosting.host, status, said: far.said() };
        errors::no_engine_there(&far, self.hosting.program())
    }
}

/// The process of ssh, and what it said last. It is waited for when nobody needs it any more.
#[derive(Clone)]
struct Process(Arc<Running>);

struct Running {
    child: Mutex<Child>,
    said: Mutex<VecDeque<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !matches!(child.try_wait(), Ok(Some(_))) {
            child.kill().ok();
        }
        child.wait().ok();
    }
}

impl Process {
    fn kill(&self) {
        // It may have ended by itself.
        hold(&self.0.child).kill().ok();
    }

    /// How it ended, after its pipes did.
    fn end(&self) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < END {
            if let Ok(Some(status)) = hold(&self.0.child).try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        hold(&self.0.child).wait().ok()
    }

    fn said(&self) -> Vec<String> {
        hold(&self.0.said).iter().cloned().collect()
    }

    /// Keeps the last lines of stderr. A line of any length takes no more room than is shown of it.
    fn hear(&self, mut stderr: impl Read, told: impl Fn(String)) {
        let (mut bytes, mut line) = ([0; 1024], Vec::new());
        while let Ok(read @ 1..) = stderr.read(&mut bytes) {
            for byte in &bytes[..read] {
                match byte {
                    b'\n' => self.keep(&std::mem::take(&mut line), &told),
                    _ if line.len() < 4 * COLUMNS => line.push(*byte),
                    _ => {}
                }
            }
        }
        self.keep(&line, &told);
    }

    fn keep(&self, line: &[u8], told: impl Fn(String)) {
        let line = plain(&String::from_utf8_lossy(line));
        if line.is_empty() {
            return;
        }
        tracing::info!("ssh: {line}");
        let mut said = hold(&self.0.said);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(line.clone());
        drop(said);
        told(line);
    }
}

fn hold<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One line of a stranger's words: no control characters, and not too many.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(COLUMNS).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use ui::hosting::HostKind;

    use super::*;

    fn options(host: &str, program: &str) -> SshOptions {
        let hosting = Hosting { kind: HostKind::Ssh, host: host.into(), program: program.into() };
        SshOptions { ssh: "/no/such/ssh".into(), hosting, device: "auto".into() }
    }

    #[test]
    fn the_command_line_has_the_host_behind_the_options() {
        let words = options("ada@gpu", "~/bin/emberwright");
        let words = words.arguments(true);
        let end = words.iter().position(|word| *word == "--").unwrap();
        let command =
            ["ada@gpu", "~/bin/emberwright", "--device", "auto", "engine", "--stdio", "--beside-others"];
        assert_eq!(words[end + 1..], command);
        assert!(words[..end].contains(&"BatchMode=yes"), "a password is never asked for");
        assert_eq!(options("gpu", "").arguments(false)[end + 2], "emberwright");
    }

    #[test]
    fn hostile_names_start_nothing() {
        for (host, program) in [("-oProxyCommand=id", ""), ("gpu", "x;id"), ("", "")] {
            let error = options(host, program).connect(&Claim::default(), false, |_| {}).err().unwrap();
            assert_eq!(error.kind, protocol::ErrorKind::BadInput, "{error}");
        }
        let error = options("gpu", "").connect(&Claim::default(), false, |_| {}).err().unwrap();
        assert!(error.what.en.contains("ssh"), "{error}");
    }

    #[test]
    fn a_strangers_words_are_one_plain_line() {
        assert_eq!(plain("\x1b[31mred\x07\r"), "[31mred");
        assert_eq!(plain(&"x".repeat(5_000)).len(), COLUMNS);
    }
}

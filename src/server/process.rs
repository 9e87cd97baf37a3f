//! Starts an engine's process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::remote::RemoteOptions;

/// Logs of earlier engines that stay.
const LOGS: usize = 10;
const LOG_PREFIX: &str = "engine-";

/// A process that was started.
pub struct Started {
    pub socket: String,
    pub log: PathBuf,
    pub end: End,
}

/// How a process ended, once it has.
#[derive(Clone, Debug, Default)]
pub struct End(Arc<OnceLock<String>>);

impl End {
    pub fn words(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// Starts `emberwright engine` so that it outlives this process; what it prints goes to a file of its own.
///
/// # Errors
/// When the log cannot be written or the program cannot be started.
pub fn start(options: &RemoteOptions) -> io::Result<Started> {
    let socket = unique_name();
    fs::create_dir_all(&options.log_dir)?;
    remove_old_logs(&options.log_dir);
    let log = options.log_dir.join(format!("{LOG_PREFIX}{socket}.log"));
    let out = File::create(&log)?;
    let mut command = Command::new(&options.program);
    command.args(["engine", "--socket", &socket, "--device", &options.device]);
    command.arg("--sockets").arg(options.sockets.dir());
    command.arg("--runs").arg(&options.runs_dir).arg("--log").arg(&log);
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    detach(&mut command);
    let mut child = command.spawn()?;
    let end = End::default();
    let ended = end.clone();
    // Somebody must wait for a child, or it stays in the system's table.
    std::thread::Builder::new().name("engine-end".into()).spawn(move || {
        let words = child.wait().map_or_else(|err| err.to_string(), |status| status.to_string());
        // Set by this thread only.
        ended.0.set(words).ok();
    })?;
    Ok(Started { socket, log, end })
}

/// A short name that no other client or engine of this user has; it begins with the time.
pub fn unique_name() -> String {
    static NAMED: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{number:x}", since.as_secs(), std::process::id())
}

/// Out of the terminal's group: its Ctrl-C is not for the engine.
#[cfg(unix)]
pub fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(windows)]
pub fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

#[cfg(not(any(unix, windows)))]
pub fn detach(_: &mut Command) {}

/// Their names begin with the time.
fn remove_old_logs(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut logs: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(LOG_PREFIX) && name.ends_with(".log")
        })
        .collect();
    logs.sort();
    for log in logs.iter().rev().skip(LOGS) {
        if let Err(err) = fs::remove_file(log) {
            tracing::debug!("an old log stays: {err}");
        }
    }
}

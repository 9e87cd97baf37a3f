//! An arm's run in a process of its own: what one arm has taken of memory, compiled or read is not the next one's.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use engine::files::STDIN;
use protocol::{Event, Result, Text, UserError, text};

use super::arms::Arm;
use crate::cli::client::{View, show};
use crate::cli::screen::Screen;

/// Trains an arm into `dir` and draws its events; the exit code of the run.
///
/// # Errors
/// Whatever the run says went wrong, or how its process ended without a word.
pub fn run(arm: &Arm, dir: &Path, device: &str, view: &mut dyn View, screen: &mut Screen) -> Result<u8> {
    let mut child = start(arm, dir, device).map_err(|err| not_started(&err))?;
    let mut end = None;
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let Ok(line) = line else { break };
        let Ok(event) = serde_json::from_str::<Event>(&line) else { continue };
        // What comes behind the end is read, too: the process must be able to say it.
        end = end.or_else(|| show(event, view, screen));
    }
    screen.clear_progress();
    let status = child.wait().map_err(|err| not_started(&err))?;
    end.unwrap_or_else(|| Err(ended(status)))
}

fn start(arm: &Arm, dir: &Path, device: &str) -> io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--json", "--device", device, "train", STDIN, "--out"])
        .arg(dir)
        .current_dir(&arm.base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(arm.source.as_bytes())?;
    }
    Ok(child)
}

fn not_started(err: &io::Error) -> UserError {
    UserError::failure(text!("The run's process was lost: {err}", "训练进程丢失：{err}"))
}

fn ended(status: ExitStatus) -> UserError {
    UserError::failure(text!("The run's process ended early ({status})", "训练进程提前结束（{status}）"))
        .mend(Text::fixed(
            "if memory ran out, set train.memory_budget or a smaller batch",
            "若内存不足，请设置 train.memory_budget 或减小批大小",
        ))
}

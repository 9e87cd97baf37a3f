//! What can go wrong between the window and its engine.

use std::path::Path;

use protocol::{Text, UserError, text};

use super::frames::PROGRAM;

/// Lines of the log that go into an error.
const LAST_LINES: usize = 12;

/// An engine of another version is at work.
pub fn other_version(program: &str, process: u32) -> UserError {
    UserError::bad_input(text!(
        "An engine of version {program} is still at work (process {process}); this is version {PROGRAM}",
        "版本 {program} 的引擎仍在工作（进程 {process}）；当前程序为版本 {PROGRAM}"
    ))
    .mend(Text::fixed(
        "wait for its run to end, or start a second engine beside it",
        "请等待其训练结束，或另外启动一个引擎",
    ))
}

/// The process ended, or its connection did.
pub fn engine_died(log: Option<&Path>, how: Option<String>) -> UserError {
    let error =
        UserError::failure(Text::fixed("The engine's process has ended unexpectedly", "引擎进程意外退出"))
            .mend(Text::fixed(
                "start the engine again; a run goes on from its newest checkpoint",
                "请重新启动引擎；训练可从最新的检查点继续",
            ));
    with_log(error.details(how), log)
}

pub fn not_started(log: Option<&Path>, how: String) -> UserError {
    let what = Text::fixed("The engine's process could not be started", "无法启动引擎进程");
    with_log(UserError::failure(what).detail(how), log)
}

pub fn unreadable(err: &std::io::Error) -> UserError {
    let what = text!("A message of the engine could not be read: {err}", "无法读取引擎的消息：{err}");
    UserError::failure(what)
}

fn with_log(error: UserError, log: Option<&Path>) -> UserError {
    let Some(log) = log else { return error };
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().rev().take(LAST_LINES).map(str::to_owned).collect();
    error.details(lines.into_iter().rev()).in_file(log)
}

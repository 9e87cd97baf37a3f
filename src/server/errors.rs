//! What can go wrong between the window and its engine.

use std::path::Path;
use std::process::ExitStatus;

use protocol::{Text, UserError, text};

use super::frames::{PROGRAM, VERSION};

/// Lines of the log that go into an error.
const LAST_LINES: usize = 12;
/// What ssh ends with when it is to blame.
const SSH_FAILED: i32 = 255;
/// What a shell ends with when there is no such program, or none that may be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

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

/// The program of the other machine is of another version.
pub fn other_version_there(host: &str, version: u32, program: &str) -> UserError {
    UserError::bad_input(text!(
        "Emberwright on {host} is version {program} (messages {version}); here it is {PROGRAM} (messages {VERSION})",
        "{host} 上的 Emberwright 为版本 {program}（消息版本 {version}）；本机为版本 {PROGRAM}（消息版本 {VERSION}）"
    ))
    .mend(Text::fixed("install the same version on both machines", "请在两台机器上安装相同的版本"))
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

/// An answer that went astray with a connection.
pub fn answer_lost() -> UserError {
    UserError::failure(Text::fixed(
        "The connection to the engine broke before the answer came",
        "在收到答复之前，与引擎的连接已断开",
    ))
    .mend(Text::fixed("ask again", "请重试"))
}

/// After a connection broke another engine was found.
pub fn another_engine() -> UserError {
    UserError::failure(Text::fixed(
        "The engine ended while the connection was broken; a new one was started",
        "连接中断期间引擎已退出；已启动新的引擎",
    ))
    .mend(Text::fixed(
        "a run that was under way goes on from its newest checkpoint",
        "进行中的训练可从最新的检查点继续",
    ))
}

/// What is known of an ssh that ended.
pub struct Far<'a> {
    pub host: &'a str,
    pub status: Option<ExitStatus>,
    /// Its last words.
    pub said: Vec<String>,
}

/// The connection to the other machine broke.
pub fn lost(far: &Far<'_>) -> UserError {
    let host = far.host;
    let what = text!("The connection to {host} was lost", "与 {host} 的连接已断开");
    let mend = text!(
        "nothing need be done: a run goes on at {host}, and the connection is tried again",
        "无需操作：训练在 {host} 上继续，程序会自动重新连接"
    );
    UserError::failure(what).details(far.said.iter().cloned()).mend(mend)
}

/// The program `ssh` cannot be started.
pub fn no_ssh(err: &std::io::Error) -> UserError {
    UserError::failure(text!("The program ssh cannot be started: {err}", "无法启动 ssh 程序：{err}"))
        .mend(Text::fixed("install OpenSSH's client on this machine", "请在本机安装 OpenSSH 客户端"))
}

pub fn silent_there(host: &str) -> UserError {
    let what = text!("The engine on {host} does not take the window in", "{host} 上的引擎未接受连接");
    UserError::failure(what)
}

/// Something on the other machine prints where only messages may come.
pub fn chatty(host: &str, text: String) -> UserError {
    let what =
        text!("{host} said something else than the engine's greeting", "{host} 返回的内容不是引擎的问候");
    let mend = text!(
        "let the shell's start-up files on {host} (such as .bashrc) print nothing when it is not used by a person",
        "请确保 {host} 上的 shell 启动文件（如 .bashrc）在非交互使用时不输出任何内容"
    );
    UserError::bad_input(what).detail(text).mend(mend)
}

/// A message of the other machine is none that this program knows.
pub fn not_understood(host: &str, err: &std::io::Error) -> UserError {
    UserError::bad_input(text!(
        "The answer of Emberwright on {host} is not understood",
        "无法理解 {host} 上 Emberwright 的应答"
    ))
    .detail(err.to_string())
    .mend(Text::fixed("install the same version on both machines", "请在两台机器上安装相同的版本"))
}

/// Ssh ended before an engine had answered.
pub fn no_engine_there(far: &Far<'_>, program: &str) -> UserError {
    let (host, code) = (far.host, far.status.and_then(|status| status.code()));
    let (what, mend) = match code {
        Some(SSH_FAILED) => (
            text!("ssh could not connect to {host}", "ssh 无法连接到 {host}"),
            text!(
                "try `ssh {host}` in a terminal: it must connect without asking anything (a key in ssh-agent, the host known)",
                "请在终端中尝试 `ssh {host}`：必须无需任何输入即可连接（密钥在 ssh-agent 中，且主机已知）"
            ),
        ),
        Some(NOT_FOUND | NOT_RUN) => (
            text!("{host} has no program `{program}`", "{host} 上没有程序 `{program}`"),
            text!(
                "install Emberwright on {host}, or name its whole path",
                "请在 {host} 上安装 Emberwright，或填写完整路径"
            ),
        ),
        None => (
            text!("{host} did not answer in time", "{host} 未及时应答"),
            Text::fixed("look whether the machine is up", "请检查该机器是否在运行"),
        ),
        Some(code) => (
            text!(
                "Emberwright on {host} ended before it had answered (exit code {code})",
                "{host} 上的 Emberwright 在应答之前退出（退出码 {code}）"
            ),
            Text::fixed("install the same version on both machines", "请在两台机器上安装相同的版本"),
        ),
    };
    UserError::failure(what).details(far.said.iter().cloned()).mend(mend)
}

fn with_log(error: UserError, log: Option<&Path>) -> UserError {
    let Some(log) = log else { return error };
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().rev().take(LAST_LINES).map(str::to_owned).collect();
    error.details(lines.into_iter().rev()).in_file(log)
}

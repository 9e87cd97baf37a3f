//! What a failed read or launch on a device means, and what the user can do about it.

use protocol::{Text, UserError, text};

/// A kind of fault. Burn hands over the device's words only (`burn-cubecl` 0.22.1, `backend.rs`: `server_err`),
/// so the words are what there is to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    OutOfMemory,
    /// A kernel faulted so that the driver refuses everything else in this process.
    Poisoned,
    Other,
}

/// Beginnings of cubecl 0.11.3's messages (`cubecl-runtime/src/server/base.rs`: `IoError`, `LaunchError`) and the
/// driver's own name for it.
const OUT_OF_MEMORY: [&str; 4] = [
    "out of device memory",
    "can't allocate buffer of size",
    "out-of-memory error",
    "CUDA_ERROR_OUT_OF_MEMORY",
];
const POISONED: &str = "device is poisoned";
/// Lines of a message that are for its author.
const LONGEST: usize = 400;

impl Fault {
    pub fn of(message: &str) -> Self {
        // A poisoned device stays so, whatever ran out before.
        if message.contains(POISONED) {
            Self::Poisoned
        } else if OUT_OF_MEMORY.iter().any(|words| message.contains(words)) {
            Self::OutOfMemory
        } else {
            Self::Other
        }
    }
}

/// A failed read or launch, for the user. The whole message goes to the log.
pub fn failure(message: &str) -> UserError {
    tracing::error!("the device failed: {message}");
    let reason = reason(message);
    match Fault::of(message) {
        Fault::OutOfMemory => UserError::failure(Text::fixed("The device ran out of memory", "设备内存不足"))
            .detail(reason)
            .mend(Text::fixed(
                "lower `batch_size` or `max_length`, or end other programs that use the device; `--resume` goes on from the last checkpoint",
                "请减小 `batch_size` 或 `max_length`，或结束其他占用该设备的程序；可用 `--resume` 从最近的检查点继续",
            )),
        Fault::Poisoned => UserError::failure(Text::fixed(
            "The GPU faulted, and this process cannot use it any more",
            "显卡发生故障，本进程无法再使用它",
        ))
        .detail(reason)
        .mend(Text::fixed(
            "start the program again; `--resume` goes on from the last checkpoint",
            "请重新启动程序；可用 `--resume` 从最近的检查点继续",
        )),
        Fault::Other => UserError::failure(text!("The device failed: {reason}", "计算设备出错：{reason}")).mend(Text::fixed(
            "try again with `--resume`; if it happens again, use `--device cpu` and report it with the log",
            "请用 `--resume` 重试；若再次发生，请改用 `--device cpu` 并附上日志报告问题",
        )),
    }
}

/// A message without its backtrace and layers of "Caused by", on one line.
pub fn reason(message: &str) -> String {
    let told = message.split("Backtrace").next().unwrap_or(message);
    let frames = |line: &str| {
        line.starts_with("at ") || line.split_once(": ").is_some_and(|(n, _)| n.parse::<u32>().is_ok())
    };
    let lines =
        told.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Caused by:" && !frames(line));
    let joined = lines.collect::<Vec<_>>().join("; ");
    match joined.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None => joined,
    }
}

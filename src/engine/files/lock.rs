//! One process at a time in a run folder.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use protocol::{Result, Text, UserError, text};

use super::atomic::remove_leftovers;

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Held by the process that trains in a run folder. The system releases it when the process ends, however it
/// ends, so there are no stale locks.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks a run folder, which is made if it is missing, and removes what killed processes left unfinished
    /// in it.
    ///
    /// # Errors
    /// Another live process holds it, or the folder cannot be written to.
    pub fn acquire(folder: &Path) -> Result<Self> {
        let path = folder.join("run.lock");
        let locking = |err: &std::io::Error| {
            UserError::io(Text::fixed("lock the run folder", "锁定训练文件夹"), &path, err)
        };
        fs::create_dir_all(folder).map_err(|err| locking(&err))?;
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(&path).map_err(|err| locking(&err))?;
        match patient_lock(&file) {
            Ok(()) => {
                // Who holds it, for the other's message; the lock does not depend on it.
                let noted = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                noted.map_err(|err| locking(&err))?;
                remove_leftovers(folder, ".")?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(in_use(folder, &mut file)),
            Err(TryLockError::Error(err)) => Err(locking(&err)),
        }
    }

    /// Whether a live process holds the lock of this folder. Changes nothing.
    pub fn is_held(folder: &Path) -> bool {
        let asked = File::open(folder.join("run.lock")).map(|file| file.try_lock_shared());
        matches!(asked, Ok(Err(TryLockError::WouldBlock)))
    }
}

/// Whoever asks whether the lock is held has it for a moment.
fn patient_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}

fn in_use(folder: &Path, file: &mut File) -> UserError {
    let mut holder = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut holder));
    let who = if read.is_ok() && !holder.is_empty() { format!(" {holder}") } else { String::new() };
    let what = text!("The run folder is in use by another process{who}", "训练文件夹正被另一进程{who}使用");
    UserError::bad_input(what).in_file(folder).mend(Text::fixed(
        "wait for that run to end, or choose another folder",
        "请等待该训练结束，或选择其他文件夹",
    ))
}

//! A file that is being fetched: under a name of its own until it is proven.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use protocol::FileHash;
use tokio::sync::mpsc::Receiver;

use super::Piece;
use super::proof::{Prover, read_through};

/// The part that is here, and its hash so far. Nobody else writes it: the lock lives as long.
pub(super) struct Sink {
    file: File,
    partial: PathBuf,
    blob: PathBuf,
    /// Bytes that are here.
    pub at: u64,
    whole: u64,
    wanted: Option<FileHash>,
    prover: Prover,
    _lock: Option<File>,
}

/// What a locked place held.
pub(super) enum Opened {
    /// The file itself: somebody has fetched it.
    Whole,
    Part(Box<Sink>),
    /// Another process fetches it now.
    Taken,
}

impl Sink {
    pub fn open(piece: &Piece) -> io::Result<Opened> {
        for file in [&piece.blob, &piece.lock] {
            file.parent().map_or(Ok(()), fs::create_dir_all)?;
        }
        let lock = match take(&piece.lock)? {
            Lock::Mine(lock) => lock,
            Lock::Taken => return Ok(Opened::Taken),
        };
        if is_whole(&piece.blob, piece.bytes) {
            return Ok(Opened::Whole);
        }
        // The name that Python's tools give it, so that either goes on where the other was.
        let mut partial = piece.blob.clone().into_os_string();
        partial.push(".incomplete");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&partial)?;
        let prover = Prover::new(piece.hash.as_ref(), piece.bytes);
        let (blob, wanted) = (piece.blob.clone(), piece.hash.clone());
        let mut sink = Self { file, partial, blob, at: 0, whole: piece.bytes, wanted, prover, _lock: lock };
        sink.take_up()?;
        Ok(Opened::Part(Box::new(sink)))
    }

    /// Hashes what is here already. Without a hash there is no telling whether it is the same file.
    fn take_up(&mut self) -> io::Result<()> {
        let here = self.file.metadata()?.len();
        if here == 0 {
            return Ok(());
        }
        if here > self.whole || self.wanted.is_none() {
            return self.restart();
        }
        let prover = &mut self.prover;
        self.file.seek(SeekFrom::Start(0))?;
        self.at = read_through(&mut self.file, &mut |bytes| prover.update(bytes))?;
        Ok(())
    }

    /// Everything that is here was of no use.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.at, self.prover) = (0, Prover::new(self.wanted.as_ref(), self.whole));
        Ok(())
    }

    /// Writes what comes until nothing comes any more.
    pub fn drain<B: AsRef<[u8]>>(&mut self, mut pieces: Receiver<B>) -> io::Result<()> {
        while let Some(piece) = pieces.blocking_recv() {
            let bytes = piece.as_ref();
            self.file.write_all(bytes)?;
            self.prover.update(bytes);
            self.at += bytes.len() as u64;
        }
        Ok(())
    }

    /// Whether what is here is the file.
    pub fn is_proven(&self) -> bool {
        self.at == self.whole && (self.wanted.is_none() || self.prover.clone().finish() == self.wanted)
    }

    /// Gives it its name, for good.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.blob)?;
        sync_folder(&self.blob)
    }

    /// Leaves nothing behind.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.partial)
    }
}

/// A blob is named by its hash and renamed when proven, so its length is enough.
pub(crate) fn is_whole(blob: &Path, bytes: u64) -> bool {
    fs::metadata(blob).is_ok_and(|found| found.is_file() && found.len() == bytes)
}

enum Lock {
    /// None where the file system knows no locks.
    Mine(Option<File>),
    Taken,
}

fn take(path: &Path) -> io::Result<Lock> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::Mine(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Lock::Taken),
        Err(TryLockError::Error(_)) => Ok(Lock::Mine(None)),
    }
}

#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

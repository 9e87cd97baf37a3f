//! A file that is being fetched: under a name of its own until it is proven.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use protocol::FileHash;
use tokio::sync::mpsc::Receiver;

use super::Piece;
use super::proof::{Prover, read_through};

/// Pieces that wait to be hashed.
const QUEUE: usize = 16;
/// What is smaller is hashed where it is written.
const SMALL: u64 = 1 << 20;
/// Written at once. The kernel takes memory for a large piece in large pages; where a virtual machine's host has taken
/// those back, that costs ten times what it does for small ones.
const WRITE: usize = 16 << 10;
/// The disk begins to work when so much is waiting, not when everything is here.
const FLUSH: u64 = 32 << 20;

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

    /// Writes what comes until nothing comes any more. What is written is hashed beside it, and is on its way to the
    /// disk before the end.
    pub fn drain<B: AsRef<[u8]> + Clone + Send>(&mut self, mut pieces: Receiver<B>) -> io::Result<()> {
        let Self { file, prover, at, whole, .. } = self;
        let on_disk = file.try_clone()?;
        thread::scope(|scope| {
            let (hash, to_hash) = sync_channel::<B>(QUEUE);
            let (flush, to_flush) = sync_channel::<()>(0);
            if whole.saturating_sub(*at) > SMALL {
                scope.spawn(move || to_hash.iter().for_each(|piece| prover.update(piece.as_ref())));
                // What fails here fails again where the file gets its name.
                scope.spawn(move || to_flush.iter().for_each(|()| drop(on_disk.sync_data())));
                write(file, at, &mut pieces, |piece, unflushed| {
                    if *unflushed > FLUSH && flush.try_send(()).is_ok() {
                        *unflushed = 0;
                    }
                    // The other end is there until this one is gone.
                    hash.send(piece).map_err(|_| io::Error::other("the hash broke off"))
                })
            } else {
                write(file, at, &mut pieces, |piece, _| {
                    prover.update(piece.as_ref());
                    Ok(())
                })
            }
        })
    }

    /// Whether what is here is the file.
    pub fn is_proven(&self) -> bool {
        self.at == self.whole && (self.wanted.is_none() || self.prover.clone().finish() == self.wanted)
    }

    /// Gives it its name, for good.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        // Should the name be lost with the power, the part is found whole next time.
        fs::rename(&self.partial, &self.blob)
    }

    /// Leaves nothing behind.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.partial)
    }
}

/// Writes pieces as they come. `then` takes each one, and the bytes that were written since it set them back.
fn write<B: AsRef<[u8]>>(
    file: &mut File,
    at: &mut u64,
    pieces: &mut Receiver<B>,
    mut then: impl FnMut(B, &mut u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut unflushed = 0;
    while let Some(piece) = pieces.blocking_recv() {
        let bytes = piece.as_ref();
        bytes.chunks(WRITE).try_for_each(|bytes| file.write_all(bytes))?;
        let length = bytes.len() as u64;
        *at += length;
        unflushed += length;
        then(piece, &mut unflushed)?;
    }
    Ok(())
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

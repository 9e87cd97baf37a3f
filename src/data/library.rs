//! Files and tokenizers that stay open between two requests, so that browsing rows and editing a template cost
//! nothing but the rows. Of a large file the head is there at once; the index of the whole is made by a
//! thread of its own meanwhile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, SystemTime};

use protocol::config::{DataConfig, VocabularyConfig};
use protocol::{Result, Text, UserError};

use crate::dataset::Dataset;
use crate::progress::{Progress, check_cancelled};
use crate::record::Encode;
use crate::select::Selection;
use crate::sources::{self, RowSource, indexing};
use crate::tokenizer::Tokenizer;
use crate::vocabulary::Extension;

/// How much of a file is looked at for its first rows.
const HEAD_BYTES: u64 = 4 << 20;
/// Between two looks at whether to go on waiting.
const LOOK: Duration = Duration::from_millis(20);

/// What is open.
#[derive(Default)]
pub struct Library {
    tokenizer: Option<(Stamp, Arc<Tokenizer>)>,
    extended: Option<(Stamp, VocabularyConfig, Extended)>,
    shelves: Vec<Shelf>,
}

/// A model's tokenizer with new tokens.
#[derive(Clone, Debug)]
pub struct Extended {
    pub extension: Arc<Extension>,
    pub tokenizer: Arc<Tokenizer>,
}

/// A file's path, size and time of change: what was read of it holds while these stay.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

struct Shelf {
    stamp: Stamp,
    /// The whole file, or its head while `pending`.
    source: Arc<dyn RowSource>,
    pending: Option<Pending>,
}

/// An index being made. Dropping it ends the work.
struct Pending {
    shared: Arc<Shared>,
    source: Receiver<Result<Box<dyn RowSource>>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
    dropped: AtomicBool,
}

impl Progress for Shared {
    fn report(&self, _: &Text, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }
}

impl Library {
    /// The tokenizer of a model folder.
    ///
    /// # Errors
    /// As [`Tokenizer::open`].
    pub fn tokenizer(&mut self, model: &Path) -> Result<Arc<Tokenizer>> {
        let gguf = crate::gguf::find(model).ok().flatten().unwrap_or_default();
        let stamp = stamp(Tokenizer::FILES.iter().map(|name| model.join(name)).chain(gguf));
        if let Some((known, tokenizer)) = &self.tokenizer
            && *known == stamp
        {
            return Ok(tokenizer.clone());
        }
        let tokenizer = Arc::new(Tokenizer::open(model)?);
        self.tokenizer = Some((stamp, tokenizer.clone()));
        Ok(tokenizer)
    }

    /// The tokenizer of a model with the tokens of a run file with absolute paths; None where there are none.
    ///
    /// # Errors
    /// As [`Extension::of`].
    pub fn extended(
        &mut self,
        model: &Path,
        config: &VocabularyConfig,
        progress: &dyn Progress,
    ) -> Result<Option<Extended>> {
        if config.is_off() {
            return Ok(None);
        }
        let own = self.tokenizer(model)?;
        let mut read = config.clone();
        let made = Path::new(Extension::FILE);
        let read: Vec<PathBuf> =
            read.paths_mut().flat_map(|path| [path.join(made), std::mem::take(path)]).collect();
        let known = self.tokenizer.iter().flat_map(|(stamp, _)| stamp.clone());
        let stamp: Stamp = known.chain(stamp(read.into_iter())).collect();
        if let Some((known, of, extended)) = &self.extended
            && (known, of) == (&stamp, config)
        {
            return Ok(Some(extended.clone()));
        }
        let Some(extension) = Extension::of(config, &own, progress)? else { return Ok(None) };
        let tokenizer = Arc::new(extension.tokenizer(model)?);
        let extended = Extended { extension: Arc::new(extension), tokenizer };
        self.extended = Some((stamp, config.clone(), extended.clone()));
        Ok(Some(extended))
    }

    /// Every row of a run's data; waits for the indexes.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn dataset(
        &mut self,
        config: &DataConfig,
        base: &Path,
        encoder: Arc<dyn Encode>,
        progress: &dyn Progress,
    ) -> Result<Dataset> {
        let files = Selection::of(config, base)?;
        self.keep_only(&files);
        Dataset::assemble(config, files, encoder, &mut |path| self.whole(path, progress))
    }

    /// The data as far as it can be read at once: whole where indexes are there, else from the files' heads
    /// ([`Dataset::is_whole`]). The indexes that are missing are begun.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn glance(
        &mut self,
        config: &DataConfig,
        base: &Path,
        encoder: Arc<dyn Encode>,
        progress: &dyn Progress,
    ) -> Result<Dataset> {
        let files = Selection::of(config, base)?;
        self.keep_only(&files);
        Dataset::assemble(config, files, encoder, &mut |path| {
            let shelf = self.shelf(path)?;
            let source = shelf.now()?;
            if source.is_empty() { shelf.wait(progress) } else { Ok(source) }
        })
    }

    /// Bytes done and in all of the indexes being made; None when all are there.
    pub fn indexing(&mut self) -> Option<(u64, u64)> {
        self.shelves.iter_mut().for_each(Shelf::poll);
        let pending = self.shelves.iter().filter_map(|shelf| shelf.pending.as_ref());
        let figures = pending.map(|pending| {
            let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
            (read(&pending.shared.done), read(&pending.shared.total))
        });
        figures.reduce(|sum, next| (sum.0 + next.0, sum.1 + next.1))
    }

    fn whole(&mut self, path: &Path, progress: &dyn Progress) -> Result<Arc<dyn RowSource>> {
        self.shelf(path)?.wait(progress)
    }

    /// Closes what this data does not need.
    fn keep_only(&mut self, files: &Selection) {
        let wanted: HashSet<&PathBuf> = files.paths().collect();
        self.shelves.retain(|shelf| shelf.stamp.iter().all(|(path, ..)| wanted.contains(path)));
    }

    fn shelf(&mut self, path: &Path) -> Result<&mut Shelf> {
        let stamp = stamp(std::iter::once(path.to_path_buf()));
        let known = self.shelves.iter().position(|shelf| shelf.stamp == stamp);
        let at = match known {
            Some(at) => at,
            None => {
                let shelf = Shelf::open(path, stamp)?;
                self.shelves.retain(|shelf| shelf.stamp.iter().all(|(known, ..)| known != path));
                self.shelves.push(shelf);
                self.shelves.len() - 1
            }
        };
        self.shelves.get_mut(at).ok_or_else(ended)
    }
}

impl Shelf {
    fn open(path: &Path, stamp: Stamp) -> Result<Self> {
        let source: Arc<dyn RowSource> = sources::open_head(path, HEAD_BYTES)?.into();
        let pending = if source.is_whole() { None } else { Some(Pending::begin(path)?) };
        Ok(Self { stamp, source, pending })
    }

    /// Takes over an index that is ready.
    fn poll(&mut self) {
        let Some(pending) = &self.pending else { return };
        match pending.source.try_recv() {
            Ok(Ok(source)) => (self.source, self.pending) = (source.into(), None),
            // Said to whoever needs the whole file.
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => self.pending = None,
            Err(TryRecvError::Empty) => {}
        }
    }

    /// What can be read at once.
    fn now(&mut self) -> Result<Arc<dyn RowSource>> {
        self.poll();
        Ok(self.source.clone())
    }

    /// The whole file. When the wait is broken off, the work goes on.
    fn wait(&mut self, progress: &dyn Progress) -> Result<Arc<dyn RowSource>> {
        self.poll();
        if self.pending.is_none() && !self.source.is_whole() {
            // The index failed: the reason is found again and told.
            let path = self.source.file().path().clone();
            self.pending = Some(Pending::begin(&path)?);
        }
        while let Some(pending) = &self.pending {
            match pending.source.recv_timeout(LOOK) {
                Ok(result) => {
                    self.pending = None;
                    self.source = result?.into();
                }
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
                Err(RecvTimeoutError::Timeout) => {
                    let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
                    progress.report(&indexing(), read(&pending.shared.done), read(&pending.shared.total));
                    check_cancelled(progress)?;
                }
            }
        }
        Ok(self.source.clone())
    }
}

impl Pending {
    fn begin(path: &Path) -> Result<Self> {
        let (sender, source) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let (path, progress) = (path.to_path_buf(), shared.clone());
        let work = move || {
            // Nobody may be waiting any more.
            if sender.send(sources::open(&path, progress.as_ref())).is_err() {
                tracing::debug!("an index was made for nobody");
            }
        };
        let thread = std::thread::Builder::new().name("index".into()).spawn(work);
        thread.map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        Ok(Self { shared, source })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Release);
    }
}

fn stamp(files: impl Iterator<Item = PathBuf>) -> Stamp {
    let of = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok();
        let size = found.as_ref().map_or(0, std::fs::Metadata::len);
        (path, size, found.and_then(|found| found.modified().ok()))
    };
    files.map(of).collect()
}

fn ended() -> UserError {
    UserError::failure(Text::fixed("The thread that indexes the data ended", "建立数据索引的线程已结束"))
}

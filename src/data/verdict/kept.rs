//! What was found out of rows before, kept between checks: making tokens is most of a check's time, and the same rows are
//! checked when a file is dropped in, when a setting is touched and when the run starts.
//!
//! A row is known by its content, not by its place: rows may move, and other rows be added, without any being
//! tokenised again. What else tokens depend on (tokenizer, template, limits, this very program) names the file.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::facts::Facts;
use crate::dataset::Dataset;

/// Bytes of an [`Entry`] on disk.
const ENTRY: usize = 32;
/// Of a row's hash as it is kept; 88 bits: among four million rows two would be taken for one with a chance of 1 in 10^13.
const HASH: usize = 11;
/// Entries of a file, which is held in memory during a check: 128 MiB. Rows beyond are tokenised each time.
const MOST: usize = 4 << 20;
/// Of all files together; the oldest go first.
const MOST_BYTES: u64 = 1 << 30;
const ENDING: &str = "rows";

/// A folder for what is known of rows.
#[derive(Clone, Debug)]
pub struct Keep {
    /// The program's own, in the user's cache.
    pub folder: PathBuf,
    /// Of the program: another build may count otherwise.
    pub build: String,
}

/// What is known of rows under one dataset's settings, and what is being learned of them.
#[derive(Default)]
pub(crate) struct Kept {
    /// None: nothing is kept.
    file: Option<PathBuf>,
    /// Sorted by hash.
    known: Vec<Entry>,
    new: Vec<Entry>,
}

/// One row: eleven bytes of its hash and one of flags, then length, tokens, learned, pieces and the last piece, each in
/// four bytes, little-endian.
type Entry = [u8; ENTRY];

impl Kept {
    /// What the folder has for these settings; empty where nothing was kept, or what was kept is damaged.
    pub fn open(keep: Option<&Keep>, dataset: &Dataset, vocab_size: Option<u64>) -> Self {
        let Some(file) = keep.and_then(|keep| keep.file(dataset, vocab_size)) else { return Self::default() };
        let known = read(&file).unwrap_or_default();
        tracing::debug!(rows = known.len(), file = %file.display(), "rows known from earlier checks");
        Self { file: Some(file), known, new: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known of a row.
    pub fn get(&self, hash: u128) -> Option<Facts> {
        let wanted = &hash.to_le_bytes()[..HASH];
        let at = self.known.binary_search_by(|entry| entry[..HASH].cmp(wanted)).ok()?;
        Some(unpacked(&self.known[at], hash))
    }

    /// Takes note of a row that was tokenised.
    pub fn learn(&mut self, facts: &Facts) {
        if self.file.is_some() && !facts.known && self.new.len() < MOST {
            self.new.extend(packed(facts));
        }
    }

    /// Writes what was learned beside what was known. A full disk, or a folder that cannot be written, costs a check its
    /// speed and nothing else.
    pub fn save(self) {
        let Self { file: Some(file), known, mut new } = self else { return };
        if new.is_empty() {
            return;
        }
        // What is known of other files goes first where it is too much together.
        new.extend(known.into_iter().take(MOST - new.len()));
        new.sort_unstable();
        new.dedup_by(|a, b| a[..HASH] == b[..HASH]);
        let written = write(&file, &new).and_then(|()| drop_oldest(&file));
        if let Err(err) = written {
            tracing::warn!(file = %file.display(), "what was found out of rows could not be kept: {err}");
        }
    }
}

impl Keep {
    /// The file for a dataset's settings; None where these cannot be told from others.
    fn file(&self, dataset: &Dataset, vocab_size: Option<u64>) -> Option<PathBuf> {
        let mut hasher = Sha256::new();
        hasher.update(dataset.fingerprint()?);
        hasher.update(format!("{}\0{vocab_size:?}", self.build));
        let name: String = hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Some(self.folder.join(name).with_extension(ENDING))
    }
}

/// None for the few rows of which there is more to say than fits.
fn packed(facts: &Facts) -> Option<Entry> {
    if facts.bad_id.is_some() || facts.escaped.is_some() {
        return None;
    }
    let flags = [facts.cut, facts.long_source, facts.long_target, facts.empty_answer, facts.stops];
    let flags = flags.iter().enumerate().fold(0, |all, (bit, flag)| all | u8::from(*flag) << bit);
    let small = |number: u64| u32::try_from(number).ok();
    let numbers =
        [small(facts.length)?, small(facts.tokens)?, small(facts.learned)?, facts.pieces, facts.last_piece];
    let mut entry = [0; ENTRY];
    entry[..HASH].copy_from_slice(&facts.hash.to_le_bytes()[..HASH]);
    entry[HASH] = flags;
    for (place, number) in entry[HASH + 1..].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    Some(entry)
}

fn unpacked(entry: &Entry, hash: u128) -> Facts {
    let flag = |bit: u8| entry[HASH] >> bit & 1 == 1;
    let number = |at: usize| {
        let start = HASH + 1 + 4 * at;
        u32::from_le_bytes([entry[start], entry[start + 1], entry[start + 2], entry[start + 3]])
    };
    Facts {
        length: number(0).into(),
        tokens: number(1).into(),
        learned: number(2).into(),
        pieces: number(3),
        last_piece: number(4),
        cut: flag(0),
        long_source: flag(1),
        long_target: flag(2),
        empty_answer: flag(3),
        stops: flag(4),
        escaped: None,
        bad_id: None,
        known: true,
        hash,
    }
}

/// None where there is no file, or not the one that was written: it ends with the SHA-256 of its entries.
fn read(file: &Path) -> Option<Vec<Entry>> {
    let mut open = fs::File::open(file).ok()?;
    let length = usize::try_from(open.metadata().ok()?.len()).ok()?;
    let entries = length.checked_sub(32)?;
    if entries % ENTRY != 0 || entries / ENTRY > MOST {
        return None;
    }
    let (mut known, mut sum) = (vec![[0; ENTRY]; entries / ENTRY], [0; 32]);
    open.read_exact(known.as_flattened_mut()).ok()?;
    open.read_exact(&mut sum).ok()?;
    // Its time says when it was last of use.
    if let Err(err) = open.set_modified(SystemTime::now()) {
        tracing::debug!(file = %file.display(), "the time of its use cannot be noted: {err}");
    }
    (Sha256::digest(known.as_flattened())[..] == sum).then_some(known)
}

/// Into a file beside it that then takes its name: whoever reads at the same time reads the old one or the new one.
fn write(file: &Path, entries: &[Entry]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(entries.as_flattened())?;
    beside.write_all(&Sha256::digest(entries.as_flattened()))?;
    beside.persist(file)?;
    Ok(())
}

/// Keeps the folder small. `file` stays.
fn drop_oldest(file: &Path) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(file.parent().unwrap_or(Path::new(".")))? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push((metadata.modified()?, metadata.len(), path));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    let mut bytes = 0;
    for (_, length, path) in files {
        bytes += length;
        if bytes > MOST_BYTES && path != file {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

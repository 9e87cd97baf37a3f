//! Hashes of files: whole ones as proof, sampled ones as identity.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;
/// Files up to this size are hashed whole also where samples would do, in bytes.
const SMALL: u64 = 64 << 20;
/// Samples of a larger file, beside its first and last block.
const SAMPLES: u64 = 62;
/// Bytes of a sample.
const SAMPLE: usize = 64 << 10;

/// Which file was used, for `plan.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Of the whole file, or of its size and samples where `sampled`.
    pub sha256: String,
    pub sampled: bool,
}

/// Hexadecimal SHA-256 of a whole file.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|err| reading(path, &err))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hex(hasher)),
            Ok(n) => hasher.update(&block[..n]),
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => return Err(reading(path, &err)),
        }
    }
}

/// Hexadecimal SHA-256 of bytes.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hex(hasher)
}

/// Identity of a file in little time whatever its size: a file of up to 64 MiB is hashed whole; of a larger
/// one the size, the first and the last MiB and 62 samples of 64 KiB between. Tells one model from another;
/// no proof against an adversary.
///
/// # Errors
/// The file cannot be read.
pub fn sampled_identity(path: &Path) -> Result<FileIdentity> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let size = std::fs::metadata(path).map_err(|err| reading(path, &err))?.len();
    if size <= SMALL {
        return Ok(FileIdentity { name, size, sha256: sha256_file(path)?, sampled: false });
    }
    let sha256 = hash_samples(path, size).map_err(|err| reading(path, &err))?;
    Ok(FileIdentity { name, size, sha256, sampled: true })
}

fn hash_samples(path: &Path, size: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    hasher.update(size.to_le_bytes());
    let mut block = vec![0; BLOCK];
    let mut sample = |at: u64, length: usize| {
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut block[..length])?;
        hasher.update(&block[..length]);
        std::io::Result::Ok(())
    };
    sample(0, BLOCK)?;
    for index in 1..=SAMPLES {
        // Evenly spaced; divided first, so that no size overflows.
        sample(size / (SAMPLES + 1) * index, SAMPLE)?;
    }
    sample(size - BLOCK as u64, BLOCK)?;
    Ok(hex(hasher))
}

/// Identities of the named files of a folder that are there, in the order of their names, and one hash of
/// them all.
///
/// # Errors
/// A file cannot be read.
pub fn identity_of_folder(
    folder: &Path,
    names: impl IntoIterator<Item = PathBuf>,
) -> Result<(String, Vec<FileIdentity>)> {
    let mut names: Vec<PathBuf> = names.into_iter().collect();
    names.sort();
    names.dedup();
    let mut files = Vec::new();
    for name in names.iter().filter(|name| folder.join(name).is_file()) {
        let identity = sampled_identity(&folder.join(name))?;
        files.push(FileIdentity { name: name.to_string_lossy().into_owned(), ..identity });
    }
    let lines: String =
        files.iter().map(|file| format!("{} {} {}\n", file.sha256, file.size, file.name)).collect();
    Ok((sha256_bytes(lines.as_bytes()), files))
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reading(path: &Path, err: &std::io::Error) -> UserError {
    UserError::io(Text::fixed("read the file", "读取文件"), path, err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_bytes(b""), empty);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), abc);
    }

    #[test]
    fn samples_see_the_size_and_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let file = File::create(&path).unwrap();
        file.set_len(SMALL + 1).unwrap();
        let first = sampled_identity(&path).unwrap();
        assert!(first.sampled);
        file.set_len(SMALL + 2).unwrap();
        let longer = sampled_identity(&path).unwrap();
        assert_ne!(first.sha256, longer.sha256);
        std::os::unix::fs::FileExt::write_at(&file, b"x", SMALL).unwrap();
        assert_ne!(sampled_identity(&path).unwrap().sha256, longer.sha256);
    }
}

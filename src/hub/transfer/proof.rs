//! Hashes that prove a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use protocol::FileHash;
use sha2::{Digest, Sha256};

/// Read at once.
const BLOCK: usize = 1 << 20;

/// Computes what a file is to be held against, while it comes.
#[derive(Clone)]
pub(crate) enum Prover {
    Sha256(Sha256),
    GitSha1(Sha1),
    /// The hub names no hash: the length must do.
    Nothing,
}

impl Prover {
    /// `bytes` is the length of the whole file, which git hashes along.
    pub fn new(hash: Option<&FileHash>, bytes: u64) -> Self {
        match hash {
            Some(FileHash::Sha256(_)) => Self::Sha256(Sha256::new()),
            Some(FileHash::GitSha1(_)) => Self::GitSha1(Sha1::of_git_blob(bytes)),
            None => Self::Nothing,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitSha1(hasher) => hasher.update(bytes),
            Self::Nothing => {}
        }
    }

    pub fn finish(self) -> Option<FileHash> {
        match self {
            Self::Sha256(hasher) => Some(FileHash::Sha256(hex(&hasher.finalize()))),
            Self::GitSha1(hasher) => Some(FileHash::GitSha1(hex(&hasher.finish()))),
            Self::Nothing => None,
        }
    }
}

/// Reads a file through `each`, in blocks.
pub(crate) fn prove_file(path: &Path, each: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
    let mut file = File::open(path)?;
    read_through(&mut file, each)
}

/// The same from where a file stands.
pub(super) fn read_through(file: &mut File, each: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(bytes);
        }
        each(&block[..read]);
        bytes += read as u64;
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-1 (FIPS 180-4), for git's names of small files. It proves that a file is whole, not that nobody meant ill.
#[derive(Clone)]
pub(crate) struct Sha1 {
    state: [u32; 5],
    block: Vec<u8>,
    bytes: u64,
}

impl Sha1 {
    const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    fn new() -> Self {
        Self { state: Self::START, block: Vec::with_capacity(64), bytes: 0 }
    }

    /// As `git hash-object` begins.
    pub fn of_git_blob(bytes: u64) -> Self {
        let mut hasher = Self::new();
        hasher.update(format!("blob {bytes}\0").as_bytes());
        hasher
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        if !self.block.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(64 - self.block.len()));
            self.block.extend_from_slice(head);
            rest = tail;
            if self.block.len() < 64 {
                return;
            }
            let block = std::mem::take(&mut self.block);
            compress(&mut self.state, &block);
        }
        let blocks = rest.chunks_exact(64);
        self.block.extend_from_slice(blocks.remainder());
        blocks.for_each(|block| compress(&mut self.state, block));
    }

    pub fn finish(mut self) -> [u8; 20] {
        let bits = self.bytes.wrapping_mul(8);
        let zeros = (119 - self.bytes % 64) % 64;
        let mut end = vec![0x80];
        end.resize(1 + zeros as usize, 0);
        end.extend_from_slice(&bits.to_be_bytes());
        self.update(&end);
        let mut digest = [0; 20];
        for (place, word) in digest.chunks_exact_mut(4).zip(self.state) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

fn compress(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte));
    }
    for at in 16..80 {
        words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.iter().enumerate() {
        let (mixed, constant) = match at / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let sum =
            a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(text: &[u8], piece: usize) -> String {
        let mut hasher = Sha1::new();
        text.chunks(piece.max(1)).for_each(|piece| hasher.update(piece));
        hex(&hasher.finish())
    }

    /// The examples of FIPS 180, and what `git hash-object` says.
    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!(sha1(b"", 1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1(b"abc", 2), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(sha1(long, 7), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        let million = vec![b'a'; 1_000_000];
        for piece in [1, 63, 64, 65, 1_000_000] {
            assert_eq!(sha1(&million, piece), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        }
        let mut blob = Sha1::of_git_blob(6);
        blob.update(b"hello\n");
        assert_eq!(hex(&blob.finish()), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}

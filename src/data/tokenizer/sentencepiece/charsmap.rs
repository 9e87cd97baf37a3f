//! The rules by which SentencePiece rewrites characters: a Darts double-array trie of what is replaced, and the
//! replacements. The tokenizers crate reads them too, but looks up whole grapheme clusters, while
//! SentencePiece replaces the longest match wherever it begins.

/// `precompiled_charsmap`: length of the trie in bytes (u32, little endian), its units (u32 each), replacements each ended by a
/// zero byte.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
}

/// Bytes that a rule replaces, and puts in their place, at most. Unicode's longest have 18 and 33.
const LONGEST_RULE: usize = 256;
const LONGEST_REPLACEMENT: usize = 1024;
/// What is wrong with the rules.
const BROKEN: &str = "its normalization rules are broken";

impl Charsmap {
    /// # Errors
    /// When the lengths do not fit, or the replacements are not text.
    pub fn parse(rules: &[u8]) -> Result<Self, &'static str> {
        let (length, rest) = rules.split_first_chunk::<4>().ok_or(BROKEN)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| BROKEN)?;
        let (trie, replacements) = rest.split_at_checked(length).ok_or(BROKEN)?;
        let (units, odd) = trie.as_chunks::<4>();
        let too_long = |text: &[u8]| text.len() > LONGEST_REPLACEMENT;
        if units.is_empty()
            || !odd.is_empty()
            || !replacements.ends_with(&[0])
            || replacements.split(|byte| *byte == 0).any(too_long)
        {
            return Err(BROKEN);
        }
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements = std::str::from_utf8(replacements).map_err(|_| BROKEN)?.to_owned();
        Ok(Self { units, replacements })
    }

    /// The longest rule that the text begins with: its length and what replaces it.
    pub fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut node = offset(*self.units.first()?);
        let mut found = None;
        for (at, byte) in text.iter().take(LONGEST_RULE).enumerate() {
            node ^= u32::from(*byte);
            // The label of a node is the byte that leads to it; that of a leaf has the highest bit.
            let is_child = |unit: &u32| unit & (1 << 31 | 0xFF) == u32::from(*byte);
            let Some(unit) = self.unit(node).filter(is_child) else { break };
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                found = self.unit(node).map(|leaf| (at + 1, leaf & !(1 << 31))).or(found);
            }
        }
        let (length, place) = found?;
        let rest = self.replacements.get(usize::try_from(place).ok()?..)?;
        Some((length, rest.split('\0').next()?))
    }

    fn unit(&self, node: u32) -> Option<u32> {
        self.units.get(usize::try_from(node).ok()?).copied()
    }
}

/// Where the children of a unit are, relative to it.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & 1 << 9) >> 6)
}

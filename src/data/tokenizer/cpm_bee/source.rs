//! CPM-Bee's vocabulary as a folder's tokenizer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::Result;

use super::{CpmBee, WordKind};
use crate::tokenizer::Encoding;
use crate::tokenizer::engine::{Engine, Refusal};
use crate::tokenizer::folder::{Folder, read_limited};
use crate::tokenizer::source::{Opened, Source};

/// The published vocabulary has 630 kB.
const MAX_BYTES: u64 = 8 << 20;
/// How the vocabulary begins. Other models' word lists are named `vocab.txt` too.
const HEAD: &str = "<pad>\n<unk>\n<mask>\n<sep>\n";

/// As a tokenizer of plain text: what is no word, and special tokens that the vocabulary lacks, are `<unk>`,
/// since only dicts have an extension table.
impl Engine for CpmBee {
    fn encode(&self, text: &str, _: bool) -> std::result::Result<Encoding, Refusal> {
        let mut encoding = Encoding::default();
        for word in self.words(text).map_err(|unclosed| unclosed.error(text).to_string())? {
            encoding.ids.push(match word.kind {
                WordKind::Known(id) | WordKind::Special(Some(id)) => id,
                WordKind::Special(None) | WordKind::Unknown => self.ids_of.unknown,
            });
            encoding.offsets.push((word.range.start, word.range.end));
            encoding.added.push(false);
        }
        Ok(encoding)
    }

    /// For people: a plain `<` is one character.
    fn decode(&self, ids: &[u32], skip_special: bool) -> std::result::Result<String, Refusal> {
        let shown = ids.iter().filter(|id| !(skip_special && self.is_special(**id)));
        Ok(shown.filter_map(|id| self.word(*id)).collect())
    }

    fn token(&self, id: u32) -> Option<String> {
        self.word(id).map(str::to_owned)
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.id(token)
    }

    fn vocab_size(&self) -> usize {
        self.len()
    }

    fn largest_id(&self) -> Option<u32> {
        u32::try_from(self.len()).ok()?.checked_sub(1)
    }

    fn markers(&self) -> BTreeSet<u32> {
        self.specials().collect()
    }

    fn cpm_bee(&self) -> Option<&CpmBee> {
        Some(self)
    }
}

pub(in crate::tokenizer) const SOURCE: Source = Source { files: "vocab.txt (CPM-Bee)", open };

/// As the reference: `<s>` begins and `</s>` ends everything.
fn open(dir: &Path, _: &Folder) -> Result<Option<Opened>> {
    let Some(file) = vocabulary_of(dir) else { return Ok(None) };
    let bytes = read_limited(&file, MAX_BYTES)?;
    let bee = CpmBee::parse(&bytes).map_err(|err| err.in_file(&file))?;
    let end = bee.ids_of.end;
    let special = [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>")];
    let special = special.into_iter().map(|(key, token)| (key.to_owned(), token.into())).collect();
    Ok(Some(Opened { special, stops: vec![end], ..Opened::new(bee, [file]) }))
}

/// The vocabulary file of a CPM-Bee folder.
fn vocabulary_of(dir: &Path) -> Option<PathBuf> {
    let file = ["vocab.txt", "bee.txt"].into_iter().map(|name| dir.join(name)).find(|file| file.is_file())?;
    let mut head = Vec::new();
    File::open(&file).ok()?.take(HEAD.len() as u64 * 2).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head).replace("\r\n", "\n");
    head.trim_start_matches('\u{feff}').starts_with(HEAD).then_some(file)
}

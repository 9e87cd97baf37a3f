//! Changes of `torch.save` archives: entries are taken out, changed and put together again.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::formats::PICKLE;
use super::pickle;
use crate::harness::Dice;
use crate::harness::mutate::bytes;

const NAMES: [&str; 8] = [
    "archive/data.pkl",
    "data.pkl",
    "archive/data/0",
    "../x",
    "archive/byteorder",
    "archive/version",
    "",
    "x/data.pkl",
];

/// Whether there was something to change.
pub fn change(bytes: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let Some(mut entries) = entries(bytes).filter(|entries| !entries.is_empty()) else { return false };
    let at = dice.below(entries.len());
    match dice.below(12) {
        0 => drop(entries.remove(at)),
        1 => entries[at].0 = (*dice.pick(&NAMES)).to_owned(),
        2 => {
            let other = dice.below(entries.len());
            entries[at].0 = entries[other].0.clone();
        }
        3 => entries.push((dice.pick(&NAMES).to_string(), entries[at].1.clone())),
        4 => bytes::change(&mut entries[at].1, &[], PICKLE, dice),
        _ => {
            let pickle = entries.iter_mut().find(|(name, _)| name.ends_with("data.pkl"));
            let Some((_, content)) = pickle else { return false };
            pickle::change(content, dice);
        }
    }
    let method = if dice.once_in(40) { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    match written(&entries, method) {
        Some(archive) => *bytes = archive,
        None => return false,
    }
    true
}

fn entries(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index_raw(index).ok()?;
            let mut content = Vec::new();
            Read::by_ref(&mut entry).take(1 << 20).read_to_end(&mut content).ok()?;
            Some((String::from_utf8_lossy(entry.name_raw()).into_owned(), content))
        })
        .collect()
}

/// None where the writer itself refuses the names.
fn written(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Option<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).ok()?;
        zip.write_all(content).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}

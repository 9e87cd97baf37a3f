//! The zip archive that `torch.save` writes since PyTorch 1.6: `<root>/data.pkl` and one stored entry
//! `<root>/data/<key>` a storage.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

use protocol::{Result, Text, UserError, text};
use zip::{CompressionMethod, ZipArchive};

use super::refused;

/// The entries of an archive as byte ranges of the file.
pub struct Archive {
    /// Folder of `data.pkl` with its slash; empty at the archive's root.
    root: String,
    entries: HashMap<String, Range<usize>>,
}

impl Archive {
    /// Lists the archive and checks every entry: stored as it is (so nothing is ever unpacked), not
    /// encrypted, inside the file, its name unique and relative.
    pub fn open(file: &[u8]) -> Result<Self> {
        let mut archive = ZipArchive::new(Cursor::new(file)).map_err(broken)?;
        if archive.has_overlapping_files().map_err(broken)? {
            return Err(refused(Text::fixed("entries of its archive overlap", "其压缩包条目相互重叠")));
        }
        let mut entries = HashMap::with_capacity(archive.len());
        for index in 0..archive.len() {
            let (name, range) = entry(&mut archive, index, file.len())?;
            if entries.insert(name.clone(), range).is_some() {
                let what = text!("the entry {name} occurs twice", "条目 {name} 出现两次");
                return Err(refused(what));
            }
        }
        let root = root(&entries)?;
        Ok(Self { root, entries })
    }

    /// `data.pkl`.
    pub fn pickle(&self) -> Option<Range<usize>> {
        self.find("data.pkl")
    }

    /// The bytes of a storage.
    pub fn storage(&self, key: &str) -> Option<Range<usize>> {
        self.find(&format!("data/{key}"))
    }

    /// `byteorder` (since PyTorch 2.1).
    pub fn byte_order(&self) -> Option<Range<usize>> {
        self.find("byteorder")
    }

    fn find(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(&format!("{}{name}", self.root)).cloned()
    }
}

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn entry(archive: &mut Zip<'_>, index: usize, file_size: usize) -> Result<(String, Range<usize>)> {
    let entry = archive.by_index_raw(index).map_err(broken)?;
    let name = String::from_utf8(entry.name_raw().to_vec())
        .map_err(|_| refused(Text::fixed("an entry's name is not UTF-8", "某条目的名称不是 UTF-8")))?;
    let shown = name.escape_debug();
    let parts = |name: &str| name.split(['/', '\\']).any(|part| part == ".." || part == ".");
    if name.starts_with(['/', '\\']) || name.contains('\0') || parts(&name) {
        return Err(refused(text!("the entry {shown} leaves the archive", "条目 {shown} 指向压缩包之外")));
    }
    if entry.encrypted() {
        return Err(refused(text!("the entry {shown} is encrypted", "条目 {shown} 已加密")));
    }
    if entry.compression() != CompressionMethod::Stored || entry.size() != entry.compressed_size() {
        let what = text!(
            "the entry {shown} is compressed; torch.save never compresses",
            "条目 {shown} 是压缩的，而 torch.save 从不压缩"
        );
        return Err(refused(what));
    }
    let range = entry.data_start().and_then(|start| {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
        (end <= file_size).then_some(start..end)
    });
    let range = range
        .ok_or_else(|| refused(text!("the entry {shown} leaves the file", "条目 {shown} 超出文件范围")))?;
    Ok((name, range))
}

/// The folder that holds `data.pkl`: exactly one, or a reader could be shown another pickle than a scanner.
fn root(entries: &HashMap<String, Range<usize>>) -> Result<String> {
    let mut roots = entries
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .filter(|root| root.is_empty() || root.ends_with('/'));
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_owned()),
        (None, _) => Err(refused(Text::fixed("its archive holds no data.pkl", "其压缩包中没有 data.pkl"))),
        (Some(_), Some(_)) => {
            Err(refused(Text::fixed("its archive holds several data.pkl", "其压缩包中有多个 data.pkl")))
        }
    }
}

fn broken(err: zip::result::ZipError) -> UserError {
    refused(text!("its zip archive is damaged: {err}", "其 zip 压缩包已损坏：{err}"))
}

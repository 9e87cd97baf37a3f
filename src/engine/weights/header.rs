//! The header of a safetensors file, checked rule by rule.
//!
//! The format (<https://github.com/huggingface/safetensors>): eight bytes with the header's length, a JSON
//! object `name → {dtype, shape, data_offsets}`, then the tensors' bytes. The `safetensors` crate checks the
//! same rules, but keeps the last of two equal names, accepts a header that does not start with `{`, and
//! names neither tensor nor numbers in its errors; hence our own reading of the header, which the tests hold
//! against the crate's.

use std::collections::HashMap;
use std::fmt;

use protocol::{Result, Text, UserError, text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::dtype::{FileDtype, byte_len};
use super::mapping::Mapping;
use super::pairs::Pairs;
use super::stored::{Layout, Stored};

/// Longest header accepted, in bytes; the limit of the reference implementation.
const MAX_HEADER: u64 = 100_000_000;
const LENGTH_BYTES: usize = 8;

/// One value of the header's object.
enum Entry {
    Tensor(TensorEntry),
    /// `__metadata__`, whose form is checked and whose strings we do not need.
    Metadata,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

struct Header(Pairs<Entry>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one entry a tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let entry = match name.as_str() {
                        "__metadata__" => {
                            map.next_value::<Option<HashMap<String, String>>>()?;
                            Entry::Metadata
                        }
                        _ => Entry::Tensor(map.next_value()?),
                    };
                    entries.push((name, entry));
                }
                Ok(Header(Pairs(entries)))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// Every tensor of a safetensors file, in the order of the file.
///
/// # Errors
/// The first rule that is broken, with the file and, where there is one, the tensor.
pub fn read_header(file: &Mapping) -> Result<Vec<(String, Stored)>> {
    let header = header_bytes(file).map_err(|broken| broken.in_file(file.path()))?;
    let data_start = LENGTH_BYTES + header.len();
    let entries = parse(header).map_err(|broken| broken.in_file(file.path()))?;
    check_offsets(entries, data_start, file.len()).map_err(|broken| broken.in_file(file.path()))
}

fn header_bytes(file: &[u8]) -> Result<&[u8]> {
    let size = file.len();
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(malformed(text!(
            "the file has {size} bytes, and the header's length alone takes 8",
            "文件只有 {size} 字节，而仅头部长度字段就需要 8 字节"
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(malformed(text!(
            "its header claims {length} bytes; at most 100 MB are allowed",
            "头部声明长度为 {length} 字节，最多允许 100 MB"
        )));
    }
    let Some(header) = rest.get(..length as usize) else {
        return Err(malformed(text!(
            "its header claims {length} bytes, and the file has only {size}: it is cut off",
            "头部声明长度为 {length} 字节，而文件只有 {size} 字节：文件被截断"
        )));
    };
    if header.first() != Some(&b'{') {
        return Err(malformed(Text::fixed("its header does not start with {", "头部不以 { 开头")));
    }
    Ok(header)
}

fn parse(header: &[u8]) -> Result<Vec<(String, TensorEntry)>> {
    let header = std::str::from_utf8(header)
        .map_err(|err| malformed(text!("its header is not UTF-8: {err}", "头部不是 UTF-8：{err}")))?;
    let Header(pairs) = serde_json::from_str(header).map_err(|err| {
        malformed(text!("its header is not as the format wants: {err}", "头部不符合格式：{err}"))
    })?;
    if let Some(name) = pairs.duplicate() {
        let what = text!("the name {name} occurs twice", "名称 {name} 出现两次");
        return Err(malformed(what).at_item(name));
    }
    let tensors = pairs.0.into_iter().filter_map(|(name, entry)| match entry {
        Entry::Tensor(tensor) => Some((name, tensor)),
        Entry::Metadata => None,
    });
    Ok(tensors.collect())
}

/// The tensors must tile the rest of the file: no hole, no overlap, and the last ends where the file does.
fn check_offsets(
    mut entries: Vec<(String, TensorEntry)>,
    data_start: usize,
    file_size: usize,
) -> Result<Vec<(String, Stored)>> {
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let data_size = file_size - data_start;
    let mut expected = 0;
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let stored = check_tensor(&entry, expected, data_start, data_size);
        tensors.push((name.clone(), stored.map_err(|broken| broken.at_item(name))?));
        expected = entry.data_offsets.1;
    }
    if expected != data_size {
        return Err(malformed(text!(
            "its tensors take {expected} bytes, and the file holds {data_size} after the header",
            "张量共占 {expected} 字节，而文件头部之后有 {data_size} 字节"
        )));
    }
    Ok(tensors)
}

fn check_tensor(entry: &TensorEntry, expected: usize, data_start: usize, data_size: usize) -> Result<Stored> {
    let (begin, end) = entry.data_offsets;
    let shape = &entry.shape;
    let dtype = known_dtype(&entry.dtype)?;
    let size = byte_len(shape, dtype).ok_or_else(|| {
        malformed(text!("the shape {shape:?} of {dtype} overflows", "{dtype} 的形状 {shape:?} 溢出"))
    })?;
    if begin != expected {
        let (en, zh) =
            if begin < expected { ("overlap", "重叠") } else { ("leave a hole", "留有空洞") };
        return Err(malformed(text!(
            "its tensors {en}: one begins at {begin}, the one before ends at {expected}",
            "张量之间{zh}：此张量始于 {begin}，前一个止于 {expected}"
        )));
    }
    if end > data_size {
        return Err(malformed(text!(
            "a tensor ends at byte {end} of {data_size}: the file is cut off",
            "张量止于第 {end} 字节，而数据只有 {data_size} 字节：文件被截断"
        )));
    }
    if end.checked_sub(begin) != Some(size) {
        return Err(malformed(text!(
            "shape {shape:?} of {dtype} takes {size} bytes, the offsets are {begin} to {end}",
            "{dtype} 的形状 {shape:?} 需要 {size} 字节，而偏移为 {begin} 到 {end}"
        )));
    }
    Ok(Stored { dtype, shape: entry.shape.clone(), layout: Layout::contiguous(data_start + begin) })
}

fn known_dtype(name: &str) -> Result<FileDtype> {
    FileDtype::from_name(name).ok_or_else(|| {
        let what = text!("the number format {name} is not supported", "不支持数值格式 {name}");
        malformed(what).mend(Text::fixed(
            "use a copy of the model in F32, F16 or BF16",
            "请使用 F32、F16 或 BF16 格式的模型",
        ))
    })
}

fn malformed(rule: Text) -> UserError {
    UserError::bad_input(Text::new(
        format!("The safetensors file is malformed: {}", rule.en),
        format!("safetensors 文件格式错误：{}", rule.zh),
    ))
    .mend(Text::fixed("download or copy the file again", "请重新下载或复制该文件"))
}

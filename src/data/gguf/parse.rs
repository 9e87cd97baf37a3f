//! Reading the head of a file, rule by rule. Every number is held against the rest of the file before anything
//! is sized by it.

use std::collections::HashSet;
use std::io::Read;

use protocol::{Result, Text, UserError, text};

use super::kind::{TensorKind, ValueKind};
use super::value::{List, Metadata, Value};
use super::{DEFAULT_ALIGNMENT, Gguf, MAGIC, TensorEntry};

/// Longest head accepted, in bytes. The largest published vocabularies take some 20 MB.
const MAX_HEAD: u64 = 256 << 20;
/// Longest key and tensor name, in bytes.
const MAX_NAME: u64 = 65_535;
const MAX_DIMENSIONS: u32 = 4;
/// Lists in lists: no known file has any.
const MAX_NESTING: usize = 4;
/// Key, type and the shortest value.
const LEAST_ENTRY: u64 = 8 + 4 + 1;
/// Name, number of dimensions, type, offset.
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;

/// Reads the head of a file of `size` bytes: metadata and the tensors' places. Nothing of the tensors is read.
///
/// # Errors
/// The first rule that is broken. Never panics, and never allocates more than a small multiple of what the
/// file has.
pub fn parse(reader: impl Read, size: u64) -> Result<Gguf> {
    let mut head = Head { reader, read: 0, size };
    let version = head.version()?;
    let tensors = head.count("tensors", LEAST_TENSOR)?;
    let entries = head.count("metadata entries", LEAST_ENTRY)?;
    let mut metadata = Metadata::default();
    for _ in 0..entries {
        head.entry(&mut metadata)?;
    }
    let alignment = alignment(&metadata)?;
    let mut found = Vec::with_capacity(tensors);
    for _ in 0..tensors {
        found.push(head.tensor(alignment)?);
    }
    // A file of metadata alone may end before its padding does.
    let start = head.read.next_multiple_of(alignment);
    check_places(&mut found, start, size)?;
    Ok(Gguf { version, metadata, tensors: found })
}

/// The part of the file that has been read, and how much there is.
struct Head<R> {
    reader: R,
    read: u64,
    size: u64,
}

impl<R: Read> Head<R> {
    /// Bytes that the file still has.
    fn left(&self) -> u64 {
        self.size.min(MAX_HEAD).saturating_sub(self.read)
    }

    fn need(&self, bytes: u64) -> Result<()> {
        if bytes <= self.left() {
            return Ok(());
        }
        let (at, size) = (self.read, self.size);
        Err(malformed(match self.read.saturating_add(bytes) > MAX_HEAD && size > MAX_HEAD {
            true => text!("its head has more than 256 MiB", "头部超过 256 MiB"),
            false => text!(
                "{bytes} bytes are wanted at byte {at}, and the file has {size}: it is cut off",
                "第 {at} 字节处需要 {bytes} 字节，而文件只有 {size} 字节：文件被截断"
            ),
        }))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.need(N as u64)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        self.need(count)?;
        let mut bytes = vec![0; count as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.read += bytes.len() as u64;
        self.reader
            .read_exact(bytes)
            .map_err(|err| malformed(text!("it cannot be read: {err}", "无法读取：{err}")))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn version(&mut self) -> Result<u32> {
        if self.size < 4 || self.array::<4>()? != MAGIC {
            return Err(malformed(Text::fixed("it does not begin with GGUF", "文件不以 GGUF 开头")));
        }
        let version = self.u32()?;
        match version {
            2 | 3 => Ok(version),
            1 => Err(unreadable(
                Text::fixed("it has version 1, of August 2023", "其版本为 1（2023 年 8 月）"),
                Text::fixed(
                    "convert it with an old llama.cpp, or fetch a newer file",
                    "请用旧版 llama.cpp 转换，或下载较新的文件",
                ),
            )),
            _ if matches!(version.swap_bytes(), 1..=3) => Err(unreadable(
                Text::fixed("it is for big-endian machines", "它用于大端字节序的机器"),
                Text::fixed("fetch the usual little-endian file", "请下载通常的小端文件"),
            )),
            _ => Err(unreadable(
                text!("it has version {version}, which is not known", "其版本为 {version}，无法识别"),
                Text::fixed("fetch a file of version 2 or 3", "请下载版本 2 或 3 的文件"),
            )),
        }
    }

    /// A count of things of which each takes at least `least` bytes.
    fn count(&mut self, what: &'static str, least: u64) -> Result<usize> {
        let count = self.u64()?;
        let left = self.left();
        match count.checked_mul(least) {
            Some(bytes) if bytes <= left => Ok(count as usize),
            _ => Err(malformed(text!(
                "it claims {count} {what}, and {left} bytes are left",
                "声明有 {count} 个条目（{what}），而文件只剩 {left} 字节"
            ))),
        }
    }

    fn text(&mut self, longest: u64) -> Result<String> {
        let length = self.u64()?;
        if length > longest {
            return Err(malformed(text!(
                "a name has {length} bytes; {longest} are allowed",
                "某名称有 {length} 字节，最多允许 {longest}"
            )));
        }
        let at = self.read;
        String::from_utf8(self.bytes(length)?).map_err(|_| {
            malformed(text!("the text at byte {at} is not UTF-8", "第 {at} 字节处的文本不是 UTF-8"))
        })
    }

    fn kind(&mut self) -> Result<ValueKind> {
        let id = self.u32()?;
        ValueKind::from_id(id)
            .ok_or_else(|| malformed(text!("there is no type {id} of values", "不存在编号为 {id} 的值类型")))
    }

    fn entry(&mut self, metadata: &mut Metadata) -> Result<()> {
        let key = self.text(MAX_NAME)?;
        let kind = self.kind()?;
        let value = self.value(kind).map_err(|err| err.at_item(&key))?;
        if !metadata.insert(key.clone(), value) {
            return Err(malformed(text!("the key {key} occurs twice", "键 {key} 出现两次")).at_item(key));
        }
        Ok(())
    }

    fn value(&mut self, kind: ValueKind) -> Result<Value> {
        Ok(match kind {
            ValueKind::U8 => Value::U8(u8::from_le_bytes(self.array()?)),
            ValueKind::I8 => Value::I8(i8::from_le_bytes(self.array()?)),
            ValueKind::U16 => Value::U16(u16::from_le_bytes(self.array()?)),
            ValueKind::I16 => Value::I16(i16::from_le_bytes(self.array()?)),
            ValueKind::U32 => Value::U32(self.u32()?),
            ValueKind::I32 => Value::I32(i32::from_le_bytes(self.array()?)),
            ValueKind::F32 => Value::F32(f32::from_le_bytes(self.array()?)),
            ValueKind::Bool => Value::Bool(boolean(self.array::<1>()?[0])?),
            ValueKind::Text => Value::Text(self.text(u64::MAX)?),
            ValueKind::List => Value::List(self.list(0)?),
            ValueKind::U64 => Value::U64(self.u64()?),
            ValueKind::I64 => Value::I64(i64::from_le_bytes(self.array()?)),
            ValueKind::F64 => Value::F64(f64::from_le_bytes(self.array()?)),
        })
    }

    fn list(&mut self, depth: usize) -> Result<List> {
        if depth > MAX_NESTING {
            return Err(malformed(Text::fixed("its lists are nested too deeply", "列表嵌套过深")));
        }
        let kind = self.kind()?;
        let count = self.count("items", kind.least_bytes())?;
        Ok(match kind {
            ValueKind::U8 => List::U8(self.numbers(count, u8::from_le_bytes)?),
            ValueKind::I8 => List::I8(self.numbers(count, i8::from_le_bytes)?),
            ValueKind::U16 => List::U16(self.numbers(count, u16::from_le_bytes)?),
            ValueKind::I16 => List::I16(self.numbers(count, i16::from_le_bytes)?),
            ValueKind::U32 => List::U32(self.numbers(count, u32::from_le_bytes)?),
            ValueKind::I32 => List::I32(self.numbers(count, i32::from_le_bytes)?),
            ValueKind::F32 => List::F32(self.numbers(count, f32::from_le_bytes)?),
            ValueKind::U64 => List::U64(self.numbers(count, u64::from_le_bytes)?),
            ValueKind::I64 => List::I64(self.numbers(count, i64::from_le_bytes)?),
            ValueKind::F64 => List::F64(self.numbers(count, f64::from_le_bytes)?),
            ValueKind::Bool => {
                let bytes = self.bytes(count as u64)?;
                List::Bool(bytes.into_iter().map(boolean).collect::<Result<_>>()?)
            }
            ValueKind::Text => List::Text((0..count).map(|_| self.text(u64::MAX)).collect::<Result<_>>()?),
            ValueKind::List => List::Lists((0..count).map(|_| self.list(depth + 1)).collect::<Result<_>>()?),
        })
    }

    fn numbers<T, const N: usize>(&mut self, count: usize, number: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = self.bytes(count as u64 * N as u64)?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|raw| number(*raw)).collect())
    }

    fn tensor(&mut self, alignment: u64) -> Result<TensorEntry> {
        let name = self.text(MAX_NAME)?;
        self.place(&name, alignment).map_err(|err| err.at_item(name))
    }

    /// `start` counts from the begin of the data until [`check_places`].
    fn place(&mut self, name: &str, alignment: u64) -> Result<TensorEntry> {
        let count = self.u32()?;
        if count > MAX_DIMENSIONS {
            return Err(malformed(text!("a tensor has {count} dimensions", "某张量有 {count} 个维度")));
        }
        let dims = (0..count).map(|_| self.u64()).collect::<Result<Vec<u64>>>()?;
        let id = self.u32()?;
        let kind = TensorKind::from_id(id).ok_or_else(|| unknown_kind(id))?;
        let bytes = kind.byte_len(&dims).ok_or_else(|| {
            malformed(text!(
                "the dimensions {dims:?} do not fit {kind} or overflow",
                "维度 {dims:?} 与 {kind} 不符或溢出"
            ))
        })?;
        let start = self.u64()?;
        if !start.is_multiple_of(alignment) {
            return Err(malformed(text!(
                "a tensor begins at {start}, which is no multiple of the alignment {alignment}",
                "张量始于 {start}，不是对齐值 {alignment} 的倍数"
            )));
        }
        Ok(TensorEntry { name: name.to_owned(), dims, kind, start, bytes })
    }
}

fn boolean(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(malformed(text!("a truth value is {byte}", "某布尔值为 {byte}"))),
    }
}

fn alignment(metadata: &Metadata) -> Result<u64> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    match value {
        Value::U32(alignment) if alignment.is_power_of_two() => Ok(u64::from(*alignment)),
        other => Err(malformed(text!(
            "its alignment is {other:?}, wanted a power of two",
            "其对齐值为 {other:?}，应为 2 的幂"
        ))),
    }
}

/// Names are unique, and the tensors lie inside the file without overlapping.
fn check_places(tensors: &mut [TensorEntry], data: u64, size: u64) -> Result<()> {
    let mut names = HashSet::with_capacity(tensors.len());
    for tensor in tensors.iter_mut() {
        let TensorEntry { name, start, bytes, .. } = tensor;
        if !names.insert(name.clone()) {
            return Err(
                malformed(text!("the name {name} occurs twice", "名称 {name} 出现两次")).at_item(&*name)
            );
        }
        let end = data.checked_add(*start).and_then(|start| start.checked_add(*bytes));
        if end.is_none_or(|end| end > size) {
            return Err(malformed(text!(
                "a tensor of {bytes} bytes at {start} ends beyond the file of {size} bytes: it is cut off",
                "位于 {start}、长 {bytes} 字节的张量超出 {size} 字节的文件：文件被截断"
            ))
            .at_item(&*name));
        }
        *start += data;
    }
    let mut order: Vec<&TensorEntry> = tensors.iter().filter(|tensor| tensor.bytes > 0).collect();
    order.sort_by_key(|tensor| tensor.start);
    let overlap = order.windows(2).find(|pair| pair[0].start + pair[0].bytes > pair[1].start);
    match overlap {
        Some(pair) => {
            let other = &pair[0].name;
            Err(malformed(text!("its tensors overlap, with {other}", "张量与 {other} 重叠"))
                .at_item(&pair[1].name))
        }
        None => Ok(()),
    }
}

fn unknown_kind(id: u32) -> UserError {
    unreadable(
        text!(
            "it stores tensors in a format of number {id}, which is not known",
            "其张量格式编号为 {id}，无法识别"
        ),
        Text::fixed("fetch the model in Q8_0, F16 or BF16", "请下载该模型的 Q8_0、F16 或 BF16 版本"),
    )
}

fn unreadable(why: Text, mend: Text) -> UserError {
    UserError::bad_input(Text::new(
        format!("The GGUF file cannot be read: {}", why.en),
        format!("无法读取该 GGUF 文件：{}", why.zh),
    ))
    .mend(mend)
}

pub(super) fn malformed(rule: Text) -> UserError {
    UserError::bad_input(Text::new(
        format!("The GGUF file is malformed: {}", rule.en),
        format!("GGUF 文件格式错误：{}", rule.zh),
    ))
    .mend(Text::fixed("download or copy the file again", "请重新下载或复制该文件"))
}

//! From a pickled dictionary to tensors in the file, for both formats of `torch.save`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use protocol::{Result, Text, UserError, text};

use super::container::Archive;
use super::machine::Machine;
use super::refused;
use super::value::{Object, StorageRef, TensorRef, Value};
use crate::weights::dtype::FileDtype;
use crate::weights::stored::{Layout, Stored};

/// Longest pickle accepted, in bytes; the limit that safetensors sets to its header.
const MAX_PICKLE: usize = 100_000_000;
/// `0x1950a86a20f9469cfc6c`, the first pickle of a legacy file, little-endian.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const LEGACY_PROTOCOL: i64 = 1001;
/// Keys under which training scripts wrap a state_dict.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "module"];

/// Where each storage lies in the file, in bytes.
type Storages = HashMap<String, Range<usize>>;

pub fn read(file: &[u8]) -> Result<Vec<(String, Stored)>> {
    if file.starts_with(b"PK") { read_zip(file) } else { read_legacy(file) }
}

fn read_zip(file: &[u8]) -> Result<Vec<(String, Stored)>> {
    let archive = Archive::open(file)?;
    if let Some(order) = archive.byte_order()
        && file[order].trim_ascii() != b"little"
    {
        return Err(refused(Text::fixed("its numbers are big-endian", "其数值为大端字节序")));
    }
    let pickle = archive.pickle().map(|range| &file[range]).unwrap_or_default();
    if pickle.len() > MAX_PICKLE {
        let size = pickle.len();
        return Err(refused(text!("its pickle has {size} bytes", "其 pickle 有 {size} 字节")));
    }
    let (machine, top) = Machine::run(pickle)?;
    let entries = state_dict(&machine, top)?;
    let mut storages = Storages::new();
    for (_, tensor) in &entries {
        let key = &storage_of(&machine, tensor)?.key;
        let range = archive.storage(key).ok_or_else(|| missing(key))?;
        storages.insert(key.clone(), range);
    }
    resolve(&machine, entries, &storages)
}

/// PyTorch before 1.6: magic number, protocol, system, the object, the storages' keys (a pickle each), then
/// the storages as `i64` element count and bytes.
fn read_legacy(file: &[u8]) -> Result<Vec<(String, Stored)>> {
    let unknown = || refused(Text::fixed("it is no file of torch.save", "它不是 torch.save 写出的文件"));
    let mut at = 0;
    let (magic, top) = pickle_at(file, &mut at).map_err(|_| unknown())?;
    let is_magic = matches!(top, Value::Huge(span) if magic.span(span) == LEGACY_MAGIC);
    let (_, version) = pickle_at(file, &mut at).map_err(|_| unknown())?;
    if !is_magic || version != Value::Int(LEGACY_PROTOCOL) {
        return Err(unknown());
    }
    let (system, top) = pickle_at(file, &mut at)?;
    if entry(&system, top, "little_endian") != Some(Value::Bool(true)) {
        return Err(refused(Text::fixed("its numbers are not little-endian", "其数值不是小端字节序")));
    }
    let (machine, top) = pickle_at(file, &mut at)?;
    let entries = state_dict(&machine, top)?;
    let (keys, top) = pickle_at(file, &mut at)?;
    let keys = list(&keys, top).and_then(|items| {
        items.iter().map(|&key| Some(keys.text(key)?.to_owned())).collect::<Option<Vec<_>>>()
    });
    let keys = keys.ok_or_else(unknown)?;
    let storages = legacy_storages(file, at, &machine, &keys)?;
    resolve(&machine, entries, &storages)
}

fn pickle_at<'a>(file: &'a [u8], at: &mut usize) -> Result<(Machine<'a>, Value)> {
    let rest = &file[*at..];
    let (machine, top) = Machine::run(&rest[..rest.len().min(MAX_PICKLE)])?;
    *at += machine.bytes_read();
    Ok((machine, top))
}

/// The storages lie one after the other; only the pickle knows how wide their elements are.
fn legacy_storages(file: &[u8], mut at: usize, machine: &Machine<'_>, keys: &[String]) -> Result<Storages> {
    let dtypes: HashMap<&str, FileDtype> =
        machine.storages().map(|storage| (storage.key.as_str(), storage.dtype)).collect();
    let mut storages = Storages::new();
    for key in keys {
        let dtype = dtypes.get(key.as_str()).ok_or_else(|| missing(key))?;
        let range = file[at..].first_chunk::<8>().and_then(|count| {
            let elements = usize::try_from(i64::from_le_bytes(*count)).ok()?;
            let start = at + 8;
            let end = start.checked_add(elements.checked_mul(dtype.size())?)?;
            (end <= file.len()).then_some(start..end)
        });
        let range =
            range.ok_or_else(|| refused(text!("the storage {key} is cut off", "存储区 {key} 被截断")))?;
        at = range.end;
        storages.insert(key.clone(), range);
    }
    Ok(storages)
}

/// The named tensors of the dictionary on top, or of the one it wraps.
fn state_dict(machine: &Machine<'_>, top: Value) -> Result<Vec<(String, TensorRef)>> {
    let no_dict = || refused(Text::fixed("it holds no dictionary of tensors", "其中没有由张量组成的字典"));
    let mut items = dict(machine, top).ok_or_else(no_dict)?;
    if !items.iter().any(|(_, value)| tensor(machine, *value).is_some()) {
        let wrapped = WRAPPERS.iter().find_map(|key| dict(machine, entry(machine, top, key)?));
        items = wrapped.ok_or_else(no_dict)?;
    }
    let mut seen = HashSet::new();
    let mut tensors = Vec::new();
    for &(key, value) in items {
        let name = machine.text(key).ok_or_else(no_dict)?;
        // Numbers and the like beside the tensors are nothing to load; a container would hide tensors.
        if let Value::Object(_) = value {
            let tensor = tensor(machine, value)
                .ok_or_else(|| refused(text!("{name} is no tensor", "{name} 不是张量")).at_item(name))?;
            if !seen.insert(name) {
                return Err(refused(text!("the name {name} occurs twice", "名称 {name} 出现两次")));
            }
            tensors.push((name.to_owned(), tensor.clone()));
        }
    }
    Ok(tensors)
}

fn resolve(
    machine: &Machine<'_>,
    entries: Vec<(String, TensorRef)>,
    storages: &Storages,
) -> Result<Vec<(String, Stored)>> {
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, tensor) in entries {
        let storage = storage_of(machine, &tensor)?;
        let stored = place(storage, &tensor, storages).map_err(|reason| {
            refused(text!("a tensor leaves its storage: {reason}", "张量超出其存储区：{reason}"))
                .at_item(&name)
        })?;
        tensors.push((name, stored));
    }
    Ok(tensors)
}

/// Cuts the storage to what the pickle claims of it, which must be there, and puts the view inside.
fn place(storage: &StorageRef, tensor: &TensorRef, storages: &Storages) -> Result<Stored, String> {
    let bytes = storages.get(&storage.key).ok_or("its storage is missing")?.clone();
    let size = storage.dtype.size();
    let actual = bytes.len() / size;
    if storage.elements > actual {
        return Err(format!("{} elements claimed, {actual} there", storage.elements));
    }
    let (first, elements) = storage.view.unwrap_or((0, storage.elements));
    match first.checked_add(elements) {
        Some(end) if end <= storage.elements => {}
        _ => return Err("a view larger than its storage".to_owned()),
    }
    let start = bytes.start + first * size;
    let range = start..start + elements * size;
    let TensorRef { offset, shape, strides, .. } = tensor;
    let layout = Layout::strided(range, storage.dtype, *offset, shape, strides)?;
    Ok(Stored { dtype: storage.dtype, shape: shape.clone(), layout })
}

fn storage_of<'m>(machine: &'m Machine<'_>, tensor: &TensorRef) -> Result<&'m StorageRef> {
    match machine.object(tensor.storage) {
        Object::Storage(storage) => Ok(storage),
        _ => Err(refused(Text::fixed("a tensor has no storage", "某张量没有存储区"))),
    }
}

fn dict<'m>(machine: &'m Machine<'_>, value: Value) -> Option<&'m [(Value, Value)]> {
    match value {
        Value::Object(id) => match machine.object(id) {
            Object::Dict(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

fn list<'m>(machine: &'m Machine<'_>, value: Value) -> Option<&'m [Value]> {
    match value {
        Value::Object(id) => match machine.object(id) {
            Object::List(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

fn tensor<'m>(machine: &'m Machine<'_>, value: Value) -> Option<&'m TensorRef> {
    match value {
        Value::Object(id) => match machine.object(id) {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        },
        _ => None,
    }
}

fn entry(machine: &Machine<'_>, top: Value, key: &str) -> Option<Value> {
    let items = dict(machine, top)?;
    items.iter().find(|(name, _)| machine.text(*name) == Some(key)).map(|&(_, value)| value)
}

fn missing(key: &str) -> UserError {
    refused(text!("the storage {key} is missing", "缺少存储区 {key}"))
}

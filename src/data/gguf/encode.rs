//! Writing the head of a file (version 3, little-endian).

use super::kind::{TensorKind, ValueKind};
use super::value::{List, Metadata, Value};
use super::{DEFAULT_ALIGNMENT, MAGIC};

/// A tensor to be written, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTensor {
    pub name: String,
    /// Fastest first.
    pub dims: Vec<u64>,
    pub kind: TensorKind,
    pub bytes: u64,
}

/// The head, padded so that the data follow at once. Each tensor begins at the next multiple of
/// [`DEFAULT_ALIGNMENT`] after the one before; the last one is padded, too.
pub fn encode(metadata: &Metadata, tensors: &[NewTensor]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.entries().len() as u64).to_le_bytes());
    for (key, value) in metadata.entries() {
        text(&mut out, key);
        put(&mut out, value);
    }
    let mut start = 0u64;
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor.dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend(tensor.kind.id.to_le_bytes());
        out.extend(start.to_le_bytes());
        start += tensor.bytes.next_multiple_of(DEFAULT_ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put(out: &mut Vec<u8>, value: &Value) {
    let mut number = |kind: ValueKind, bytes: &[u8]| {
        out.extend(kind.id().to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(n) => number(ValueKind::U8, &n.to_le_bytes()),
        Value::I8(n) => number(ValueKind::I8, &n.to_le_bytes()),
        Value::U16(n) => number(ValueKind::U16, &n.to_le_bytes()),
        Value::I16(n) => number(ValueKind::I16, &n.to_le_bytes()),
        Value::U32(n) => number(ValueKind::U32, &n.to_le_bytes()),
        Value::I32(n) => number(ValueKind::I32, &n.to_le_bytes()),
        Value::F32(n) => number(ValueKind::F32, &n.to_le_bytes()),
        Value::Bool(flag) => number(ValueKind::Bool, &[u8::from(*flag)]),
        Value::U64(n) => number(ValueKind::U64, &n.to_le_bytes()),
        Value::I64(n) => number(ValueKind::I64, &n.to_le_bytes()),
        Value::F64(n) => number(ValueKind::F64, &n.to_le_bytes()),
        Value::Text(content) => {
            number(ValueKind::Text, &[]);
            text(out, content);
        }
        Value::List(items) => {
            number(ValueKind::List, &[]);
            list(out, items);
        }
    }
}

fn list(out: &mut Vec<u8>, items: &List) {
    let mut numbers = |kind: ValueKind, count: usize, bytes: &mut dyn Iterator<Item = u8>| {
        out.extend(kind.id().to_le_bytes());
        out.extend((count as u64).to_le_bytes());
        out.extend(bytes);
    };
    match items {
        List::U8(n) => numbers(ValueKind::U8, n.len(), &mut n.iter().copied()),
        List::I8(n) => numbers(ValueKind::I8, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::U16(n) => numbers(ValueKind::U16, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::I16(n) => numbers(ValueKind::I16, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::U32(n) => numbers(ValueKind::U32, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::I32(n) => numbers(ValueKind::I32, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::F32(n) => numbers(ValueKind::F32, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::U64(n) => numbers(ValueKind::U64, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::I64(n) => numbers(ValueKind::I64, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::F64(n) => numbers(ValueKind::F64, n.len(), &mut n.iter().flat_map(|n| n.to_le_bytes())),
        List::Bool(n) => numbers(ValueKind::Bool, n.len(), &mut n.iter().map(|flag| u8::from(*flag))),
        List::Text(n) => {
            numbers(ValueKind::Text, n.len(), &mut std::iter::empty());
            n.iter().for_each(|item| text(out, item));
        }
        List::Lists(n) => {
            numbers(ValueKind::List, n.len(), &mut std::iter::empty());
            n.iter().for_each(|item| list(out, item));
        }
    }
}

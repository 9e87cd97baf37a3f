//! The stack machine: runs one pickle and returns the value on top.

use std::collections::HashMap;

use protocol::{Result, Text, text};

use super::opcode::Opcode;
use super::refused;
use super::value::{Object, ObjectId, Span, StorageRef, Value};

/// Bounds on what a pickle may make: a checkpoint of 100 000 tensors stays far below each of them.
const MAX_OBJECTS: usize = 4_000_000;
const MAX_STACK: usize = 1_000_000;

/// One pickle, the objects it made, and how far it was read.
pub struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at the open MARKs.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
}

impl<'a> Machine<'a> {
    /// Runs the pickle that starts `bytes` up to its STOP.
    ///
    /// # Errors
    /// An instruction or a name outside the allow-list, a malformed or cut pickle, a bound exceeded.
    pub fn run(bytes: &'a [u8]) -> Result<(Self, Value)> {
        let mut machine = Self {
            pickle: bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
        };
        loop {
            let byte = machine.byte()?;
            let Some(opcode) = Opcode::from_byte(byte) else {
                let name = Opcode::refused_name(byte);
                let at = machine.at - 1;
                return Err(refused(text!(
                    "its pickle uses the instruction {name} (0x{byte:02x} at byte {at}), which no checkpoint needs",
                    "其 pickle 使用了检查点不需要的指令 {name}（0x{byte:02x}，位于第 {at} 字节）"
                )));
            };
            if opcode == Opcode::Stop {
                let top = machine.pop()?;
                return Ok((machine, top));
            }
            machine.step(opcode)?;
        }
    }

    /// Bytes read so far: where a following pickle or the storages begin.
    pub fn bytes_read(&self) -> usize {
        self.at
    }

    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// Every storage that the pickle mentions.
    pub fn storages(&self) -> impl Iterator<Item = &StorageRef> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The text of a value, if it is one in UTF-8.
    pub fn text(&self, value: Value) -> Option<&'a str> {
        let pickle = self.pickle;
        match value {
            Value::Text(span) => std::str::from_utf8(&pickle[span.range()]).ok(),
            _ => None,
        }
    }

    /// The raw bytes of a span.
    pub fn span(&self, span: Span) -> &'a [u8] {
        &self.pickle[span.range()]
    }

    fn step(&mut self, opcode: Opcode) -> Result<()> {
        use Opcode as Op;
        match opcode {
            Op::Proto => self.protocol(),
            Op::Frame => self.take::<8>().map(|_| ()),
            Op::Stop => Ok(()),
            Op::Mark => self.mark(),
            Op::None => self.push(Value::None),
            Op::NewTrue => self.push(Value::Bool(true)),
            Op::NewFalse => self.push(Value::Bool(false)),
            Op::BinInt | Op::BinInt1 | Op::BinInt2 | Op::Long1 | Op::Long4 => self.integer(opcode),
            Op::BinFloat => {
                self.take::<8>()?;
                self.push(Value::Float)
            }
            Op::BinString | Op::ShortBinString | Op::BinUnicode | Op::ShortBinUnicode | Op::BinUnicode8 => {
                let span = self.counted(opcode)?;
                self.push(Value::Text(span))
            }
            Op::BinBytes | Op::ShortBinBytes => {
                self.counted(opcode)?;
                self.push(Value::Bytes)
            }
            Op::EmptyTuple => self.tuple(0),
            Op::Tuple1 => self.tuple(1),
            Op::Tuple2 => self.tuple(2),
            Op::Tuple3 => self.tuple(3),
            Op::Tuple => {
                let items = self.pop_to_mark()?;
                self.make(Object::Tuple(items))
            }
            Op::EmptyList => self.make(Object::List(Vec::new())),
            Op::EmptyDict => self.make(Object::Dict(Vec::new())),
            Op::Append | Op::Appends => self.append(opcode == Op::Append),
            Op::SetItem | Op::SetItems => self.set_items(opcode == Op::SetItem),
            Op::BinPut | Op::LongBinPut | Op::Memoize => self.memoize(opcode),
            Op::BinGet | Op::LongBinGet => self.recall(opcode),
            Op::Global => self.global(),
            Op::StackGlobal => self.stack_global(),
            Op::Reduce => self.reduce(),
            Op::Build => self.build(),
            Op::BinPersId => self.persistent(),
        }
    }

    // --- bytes ---------------------------------------------------------------------------------------

    fn byte(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.pickle[self.at..].first_chunk::<N>().ok_or_else(cut_off)?;
        self.at += N;
        Ok(*bytes)
    }

    fn take_span(&mut self, length: u64) -> Result<Span> {
        let rest = self.pickle.len() - self.at;
        let length = usize::try_from(length).ok().filter(|&length| length <= rest).ok_or_else(cut_off)?;
        let span = Span { start: self.at, end: self.at + length };
        self.at = span.end;
        Ok(span)
    }

    /// A string or bytes behind its length.
    fn counted(&mut self, opcode: Opcode) -> Result<Span> {
        use Opcode as Op;
        let length = match opcode {
            Op::ShortBinString | Op::ShortBinUnicode | Op::ShortBinBytes => u64::from(self.byte()?),
            Op::BinUnicode8 => u64::from_le_bytes(self.take()?),
            _ => u64::from(u32::from_le_bytes(self.take()?)),
        };
        self.take_span(length)
    }

    /// A name of GLOBAL: everything up to the line's end.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.pickle[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_off)?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| malformed("a name is not UTF-8"))
    }

    fn protocol(&mut self) -> Result<()> {
        match self.byte()? {
            2..=5 => Ok(()),
            _ => Err(malformed("its protocol is none of 2 to 5")),
        }
    }

    fn integer(&mut self, opcode: Opcode) -> Result<()> {
        let value = match opcode {
            Opcode::BinInt1 => Value::Int(i64::from(self.byte()?)),
            Opcode::BinInt2 => Value::Int(i64::from(u16::from_le_bytes(self.take()?))),
            Opcode::BinInt => Value::Int(i64::from(i32::from_le_bytes(self.take()?))),
            _ => {
                let long = if opcode == Opcode::Long1 {
                    u64::from(self.byte()?)
                } else {
                    u64::from(u32::from_le_bytes(self.take()?))
                };
                let span = self.take_span(long)?;
                small_integer(self.span(span)).map_or(Value::Huge(span), Value::Int)
            }
        };
        self.push(value)
    }

    // --- stack ---------------------------------------------------------------------------------------

    pub(super) fn push(&mut self, value: Value) -> Result<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(malformed("its stack grows beyond all need"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// Pops a value above the innermost open MARK.
    pub(super) fn pop(&mut self) -> Result<Value> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(malformed("it takes from an empty stack"));
        }
        self.stack.pop().ok_or_else(|| malformed("it takes from an empty stack"))
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() >= MAX_STACK {
            return Err(malformed("its stack grows beyond all need"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| malformed("an instruction lacks its mark"))?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn make(&mut self, object: Object) -> Result<()> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(malformed("it makes more objects than any checkpoint needs"));
        }
        let id = ObjectId(self.objects.len() as u32);
        self.objects.push(object);
        self.push(Value::Object(id))
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.make(Object::Tuple(items))
    }

    /// The object on top of the stack, left there.
    pub(super) fn top_object(&mut self) -> Result<&mut Object> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(Value::Object(id)) if self.stack.len() > floor => Ok(&mut self.objects[id.0 as usize]),
            _ => Err(malformed("an instruction lacks its container")),
        }
    }

    fn append(&mut self, one: bool) -> Result<()> {
        let items = if one { vec![self.pop()?] } else { self.pop_to_mark()? };
        match self.top_object()? {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(malformed("it appends to something that is no list")),
        }
    }

    fn set_items(&mut self, one: bool) -> Result<()> {
        let items = if one {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_to_mark()?
        };
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(malformed("a key lacks its value"));
        };
        match self.top_object()? {
            Object::Dict(dict) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(malformed("it sets items of something that is no dictionary")),
        }
    }

    fn memoize(&mut self, opcode: Opcode) -> Result<()> {
        let key = match opcode {
            Opcode::BinPut => u32::from(self.byte()?),
            Opcode::LongBinPut => u32::from_le_bytes(self.take()?),
            _ => self.memo.len() as u32,
        };
        let value = *self.stack.last().ok_or_else(|| malformed("it takes from an empty stack"))?;
        if self.memo.len() >= MAX_OBJECTS {
            return Err(malformed("it makes more objects than any checkpoint needs"));
        }
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, opcode: Opcode) -> Result<()> {
        let key = match opcode {
            Opcode::BinGet => u32::from(self.byte()?),
            _ => u32::from_le_bytes(self.take()?),
        };
        let value = self.memo.get(&key).ok_or_else(|| malformed("it recalls what it never stored"))?;
        self.push(*value)
    }
}

/// Two's complement, little-endian, of any length up to 8 bytes.
fn small_integer(bytes: &[u8]) -> Option<i64> {
    let sign = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xFF } else { 0 };
    let mut full = [sign; 8];
    full.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(full))
}

fn cut_off() -> protocol::UserError {
    refused(Text::fixed("its pickle is cut off", "其 pickle 被截断"))
}

pub(super) fn malformed(reason: &'static str) -> protocol::UserError {
    refused(Text::fixed("its pickle is malformed", "其 pickle 格式错误")).detail(reason)
}

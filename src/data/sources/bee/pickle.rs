//! Pickles of plain values: dicts, lists, tuples, texts, numbers. A pickle is a program; of its instructions only those are
//! known that build such values, and none that call anything. Names as in Python's `pickletools.py`.

use serde_json::{Map, Number, Value};

/// The last instruction.
pub const STOP: u8 = b'.';
/// Values within each other.
const DEEPEST: usize = 200;
/// Values that one row may unfold to: what stands once in a pickle may be meant many times.
const MOST: usize = 4 << 20;

/// # Errors
/// Says what is not known, or is broken.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine =
        Machine { bytes, at: 0, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    let root = machine.run()?;
    let mut left = MOST;
    machine.value(root, 0, &mut left)
}

/// Values refer to each other by number: a list may be remembered before it is filled.
enum Node {
    Plain(Value),
    List(Vec<usize>),
    Dict(Vec<(usize, usize)>),
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: Vec<Option<usize>>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<usize, String> {
        loop {
            let [opcode] = self.take::<1>()?;
            if opcode == STOP {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // PROTO, FRAME
            0x80 => self.take::<1>().map(drop),
            0x95 => self.take::<8>().map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Value::Null),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            // Numbers: BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
            b'J' => self.take().and_then(|bytes| self.push(i32::from_le_bytes(bytes))),
            b'K' => self.take::<1>().and_then(|[byte]| self.push(byte)),
            b'M' => self.take().and_then(|bytes| self.push(u16::from_le_bytes(bytes))),
            0x8a => self.take::<1>().and_then(|[length]| self.long(usize::from(length))),
            0x8b => self.take().and_then(|bytes| self.long(u32::from_le_bytes(bytes) as usize)),
            b'G' => {
                let number =
                    Number::from_f64(f64::from_be_bytes(self.take()?)).ok_or("a number that is none")?;
                self.push(number)
            }
            // Texts: SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => self.take::<1>().and_then(|[length]| self.text(u64::from(length))),
            b'X' => self.take().and_then(|bytes| self.text(u64::from(u32::from_le_bytes(bytes)))),
            0x8d => self.take().and_then(|bytes| self.text(u64::from_le_bytes(bytes))),
            // EMPTY_LIST, EMPTY_TUPLE, EMPTY_DICT
            b']' | b')' => self.add(Node::List(Vec::new())),
            b'}' => self.add(Node::Dict(Vec::new())),
            // TUPLE, TUPLE1 to TUPLE3, LIST
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.add(Node::List(items))
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let first = self.stack.len().checked_sub(count).ok_or_else(cut)?;
                let items = self.stack.split_off(first);
                self.add(Node::List(items))
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => self.pop().and_then(|item| self.append(vec![item])),
            b'e' => self.since_mark().and_then(|items| self.append(items)),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])
            }
            b'u' => self.since_mark().and_then(|items| self.set(&items)),
            _ => self.remember(opcode),
        }
    }

    /// BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET.
    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'q' => self.take::<1>().and_then(|[place]| self.put(usize::from(place))),
            b'r' => self.take().and_then(|bytes| self.put(u32::from_le_bytes(bytes) as usize)),
            0x94 => self.put(self.memo.len()),
            b'h' => self.take::<1>().and_then(|[place]| self.get(usize::from(place))),
            b'j' => self.take().and_then(|bytes| self.get(u32::from_le_bytes(bytes) as usize)),
            _ => Err(format!("instruction 0x{opcode:02x} of its pickle is not one of plain values")),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.slice(N)?.try_into().map_err(|_| cut())
    }

    fn slice(&mut self, length: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(length).ok_or_else(cut)?;
        let slice = self.bytes.get(self.at..end).ok_or_else(cut)?;
        self.at = end;
        Ok(slice)
    }

    fn add(&mut self, node: Node) -> Result<(), String> {
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
        Ok(())
    }

    fn push(&mut self, value: impl Into<Value>) -> Result<(), String> {
        self.add(Node::Plain(value.into()))
    }

    fn text(&mut self, length: u64) -> Result<(), String> {
        let bytes = self.slice(usize::try_from(length).map_err(|_| cut())?)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8")?.to_owned();
        self.push(text)
    }

    /// A whole number of any length, as far as 64 bits hold it.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.slice(length)?;
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide.get_mut(..length).ok_or("a number beyond 64 bits")?.copy_from_slice(bytes);
        let number = i128::from_le_bytes(wide);
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => self.push(number),
            (_, Ok(number)) => self.push(number),
            _ => Err("a number beyond 64 bits".to_owned()),
        }
    }

    /// Never what lies in front of an open mark.
    fn pop(&mut self) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor { self.stack.pop().ok_or_else(cut) } else { Err(cut()) }
    }

    fn since_mark(&mut self) -> Result<Vec<usize>, String> {
        let mark = self.marks.pop().ok_or_else(cut)?;
        if mark > self.stack.len() { Err(cut()) } else { Ok(self.stack.split_off(mark)) }
    }

    fn append(&mut self, items: Vec<usize>) -> Result<(), String> {
        match self.top()? {
            Node::List(list) => {
                list.extend(items);
                Ok(())
            }
            Node::Plain(_) | Node::Dict(_) => Err(cut()),
        }
    }

    /// Keys and values in turn.
    fn set(&mut self, items: &[usize]) -> Result<(), String> {
        let (pairs, []) = items.as_chunks::<2>() else { return Err(cut()) };
        match self.top()? {
            Node::Dict(dict) => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            Node::Plain(_) | Node::List(_) => Err(cut()),
        }
    }

    fn top(&mut self) -> Result<&mut Node, String> {
        let top = *self.stack.last().ok_or_else(cut)?;
        self.nodes.get_mut(top).ok_or_else(cut)
    }

    fn put(&mut self, place: usize) -> Result<(), String> {
        let top = *self.stack.last().ok_or_else(cut)?;
        // A pickle remembers what it has built: no more than it has bytes.
        if place > self.bytes.len() {
            return Err(cut());
        }
        if self.memo.len() <= place {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(top);
        Ok(())
    }

    fn get(&mut self, place: usize) -> Result<(), String> {
        let node = self.memo.get(place).copied().flatten().ok_or_else(cut)?;
        self.stack.push(node);
        Ok(())
    }

    fn value(&self, node: usize, depth: usize, left: &mut usize) -> Result<Value, String> {
        *left = left.checked_sub(1).ok_or("it unfolds to too many values")?;
        if depth > DEEPEST {
            return Err(format!("values lie more than {DEEPEST} deep within each other"));
        }
        match self.nodes.get(node).ok_or_else(cut)? {
            Node::Plain(value) => Ok(value.clone()),
            Node::List(items) => {
                let values = items.iter().map(|item| self.value(*item, depth + 1, left));
                values.collect::<Result<_, _>>().map(Value::Array)
            }
            Node::Dict(pairs) => {
                let mut map = Map::new();
                for (key, value) in pairs {
                    let Some(Node::Plain(Value::String(key))) = self.nodes.get(*key) else {
                        return Err("a key that is no text".to_owned());
                    };
                    map.insert(key.clone(), self.value(*value, depth + 1, left)?);
                }
                Ok(Value::Object(map))
            }
        }
    }
}

fn cut() -> String {
    "its pickle contradicts itself or is cut".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_values_come_out_and_nothing_else() {
        // {'a': [1, -2, 70000, 1.5, True, None], 'b': ('x', 'x')} by protocol 2, where 'x' is one object.
        let bytes = b"\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01J\xfe\xff\xff\xffJp\x11\x01\0G?\xf8\0\0\0\0\0\0\x88Ne\
            X\x01\0\0\0bq\x03X\x01\0\0\0xq\x04h\x04\x86q\x05u.";
        assert_eq!(read(bytes).unwrap(), json!({"a": [1, -2, 70000, 1.5, true, null], "b": ["x", "x"]}));
        let big = b"\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.";
        assert_eq!(read(big).unwrap(), json!(u64::MAX));
        assert_eq!(read(b"\x80\x02\x8a\x01\xff.").unwrap(), json!(-1));
        // print() would be called, were this Python.
        let calls = b"\x80\x02cbuiltins\nprint\n(tR.";
        assert!(read(calls).unwrap_err().contains("0x63"));
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        for hostile in [
            // A list within itself, NaN, a far place in the memory, a number as key, a text longer than all.
            &b"\x80\x02]q\0h\0a."[..],
            b"\x80\x02G\x7f\xf8\0\0\0\0\0\0.",
            b"\x80\x02Nr\xff\xff\xff\xff.",
            b"\x80\x02}K\x01Ns.",
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffx.",
            b"\x80\x02(.",
            b"\x80\x02N(a.",
        ] {
            assert!(read(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn what_stands_once_does_not_unfold_without_end() {
        // Each list holds the one before twice.
        let mut bytes = b"\x80\x02]q\0".to_vec();
        for place in 0..40u8 {
            bytes.extend([b'h', place, b'h', place, 0x86, b'q', place + 1]);
        }
        bytes.push(STOP);
        assert!(read(&bytes).unwrap_err().contains("too many"));
    }
}

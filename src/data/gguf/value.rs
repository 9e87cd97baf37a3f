//! Metadata: typed values by key, in the order of the file.

use std::collections::HashMap;

/// A value of the metadata. Lists hold one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    List(List),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A list of the metadata, as compact as in the file: a vocabulary has hundreds of thousands of entries.
#[derive(Clone, Debug, PartialEq)]
pub enum List {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Text(Vec<String>),
    Lists(Vec<Self>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Value {
    /// A whole number of any width that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::U64(n) => Some(n),
            Self::I8(n) => n.try_into().ok(),
            Self::I16(n) => n.try_into().ok(),
            Self::I32(n) => n.try_into().ok(),
            Self::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// A number. f32 becomes the f64 of its shortest decimal, so that `1e-5` stays `1e-5`.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(n) => n.to_string().parse().ok(),
            Self::F64(n) => Some(n),
            _ => self.as_u64().map(|n| n as f64),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    pub fn as_texts(&self) -> Option<&[String]> {
        match self {
            Self::List(List::Text(items)) => Some(items),
            _ => None,
        }
    }

    /// A list of numbers, as f64.
    pub fn as_numbers(&self) -> Option<Vec<f64>> {
        let Self::List(list) = self else { return None };
        Some(match list {
            List::U8(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::I8(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::U16(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::I16(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::U32(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::I32(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::F32(items) => items.iter().map(|n| f64::from(*n)).collect(),
            List::U64(items) => items.iter().map(|n| *n as f64).collect(),
            List::I64(items) => items.iter().map(|n| *n as f64).collect(),
            List::F64(items) => items.clone(),
            List::Bool(_) | List::Text(_) | List::Lists(_) => return None,
        })
    }
}

/// The metadata of a file: unique keys in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

impl Metadata {
    /// Adds an entry. `false`, and nothing changed, where the key is there already.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> bool {
        let key = key.into();
        if self.places.contains_key(&key) {
            return false;
        }
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push((key, value));
        true
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|place| &self.entries[*place].1)
    }

    pub fn entries(&self) -> &[(String, Value)] {
        &self.entries
    }

    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    pub fn u64(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    pub fn f64(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }
}

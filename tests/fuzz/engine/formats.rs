//! The formats of weights.

use super::{header, pickle, torch_zip};
use crate::harness::mutate::{gguf, json};
use crate::harness::{Dice, Formats};

pub const FORMATS: Formats = Formats { change, words };

fn change(name: &str, content: &mut Vec<u8>, dice: &mut Dice) -> bool {
    match name.rsplit('.').next().unwrap_or_default() {
        "json" => json::change(content, dice),
        "safetensors" => header::change(content, dice),
        "bin" if content.starts_with(b"PK") => torch_zip::change(content, dice),
        "bin" => pickle::change(content, dice),
        "gguf" => gguf::change(content, dice),
        _ => false,
    }
}

fn words(name: &str) -> &'static [&'static str] {
    match name.rsplit('.').next().unwrap_or_default() {
        "json" => json::WORDS,
        "safetensors" => HEADER,
        "bin" => PICKLE,
        "gguf" => gguf::WORDS,
        _ => &[],
    }
}

const HEADER: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"__metadata__\":{}",
    "\"dtype\":\"F64\"",
    "\"dtype\":\"BF16\"",
    "\"dtype\":\"F8_E4M3\"",
    "\"shape\":[]",
    "\"shape\":[0]",
    "\"data_offsets\":[0,0]",
    "18446744073709551615",
    "9223372036854775808",
    " ",
    "\\u0000",
];

pub const PICKLE: &[&str] = &[
    "}",
    "]",
    ")",
    "(",
    ".",
    "t",
    "R",
    "Q",
    "N",
    "s",
    "u",
    "a",
    "e",
    "b",
    "q\0",
    "h\0",
    "K\u{1}",
    "M\u{1}\0",
    "X\u{1}\0\0\0w",
    "ctorch\nFloatStorage\n",
    "ctorch\nHalfStorage\n",
    "ctorch\nBoolStorage\n",
    "cos\nsystem\n",
    "ccollections\nOrderedDict\n)R",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch._utils\n_rebuild_parameter\n",
    "storage",
    "data.pkl",
    "data/0",
    "byteorder",
    "PK\u{3}\u{4}",
    "PK\u{1}\u{2}",
    "PK\u{5}\u{6}",
    "PK\u{6}\u{6}",
];

//! A dataset, written in another format.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{RunConfig, Text};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvertRequest {
    /// Files, format and columns of `data` are looked at.
    pub config: Box<RunConfig>,
    /// What relative paths in `config` are relative to.
    pub base: PathBuf,
    /// Id of a format that can be written.
    pub to: String,
}

/// A row before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertedRow {
    /// 1-based.
    pub row: u64,
    pub before: String,
    pub after: String,
    /// Why it cannot be written in the other format.
    pub error: Option<Text>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertReport {
    pub out: PathBuf,
    pub rows: u64,
    /// Rows that could not be read or written in the other format; 1-based, the first hundred at most.
    pub left_out: u64,
    pub left_out_rows: Vec<u64>,
    pub bytes: u64,
    pub notes: Vec<Text>,
}

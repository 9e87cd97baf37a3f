//! What `inspect` and the Model panel show.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Text;

/// A model folder, read without loading its weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    pub path: PathBuf,
    /// Id in the `families!` registry, such as `llama`.
    pub family: String,
    /// `architectures[0]` of config.json.
    pub class: String,
    /// Which of several members of the family this is, where they differ in kind.
    #[serde(default)]
    pub variant: Option<Text>,
    pub parameters: u64,
    pub file_bytes: u64,
    /// Stored dtype → number of tensors.
    pub dtypes: BTreeMap<String, u64>,
    pub layers: u64,
    pub hidden_size: u64,
    pub vocab_size: u64,
    pub context_length: u64,
    pub tied_head: bool,
    pub linears: Vec<LinearReport>,
    /// Roles that a LoRA with `targets = "auto"` adapts.
    pub default_targets: Vec<String>,
    pub tokenizer: Option<String>,
    /// Where the chat template comes from, if there is one.
    pub template: Option<String>,
    /// Why it is this one, where it is not the folder's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_reason: Option<Text>,
    pub licence_files: Vec<String>,
    /// What is missing or odd; not fatal.
    pub notes: Vec<Text>,
}

/// One matrix that a method can adapt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearReport {
    /// Module path in the checkpoint, without `.weight`.
    pub path: String,
    /// As stored: `[out, in]`, or `[in, out]` for GPT-2's Conv1D.
    pub shape: [u64; 2],
    pub role: String,
    /// None outside the blocks (embedding, head).
    pub layer: Option<u64>,
    /// Roles of the parts that can be adapted alone, where several matrices are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<String>,
}

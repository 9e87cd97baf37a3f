//! Writing safetensors in Hugging Face's layout, tensor by tensor: memory stays bounded whatever the size.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use protocol::{Result, Text, UserError, text};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::dtype::{FileDtype, byte_len};
use super::sink::FileOut;
pub use super::sink::TensorSink;
use crate::files::require_space;

/// Largest shard by default, as in transformers: 5 GB.
pub const DEFAULT_SHARD_BYTES: u64 = 5_000_000_000;

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub name: String,
    pub dtype: FileDtype,
    pub shape: Vec<usize>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    pub name: String,
    pub bytes: u64,
}

/// Which tensor goes to which file, and the headers, all known before a byte is written.
#[derive(Debug)]
pub struct ShardPlan {
    tensors: Vec<Planned>,
    shards: Vec<Shard>,
    index: Option<WholeFile>,
}

#[derive(Debug)]
struct Shard {
    file_name: String,
    /// Length and JSON, as the file begins.
    header: Vec<u8>,
    /// The shard's tensors: a range of the plan's.
    tensors: Range<usize>,
    data_bytes: u64,
}

#[derive(Debug)]
struct WholeFile {
    name: String,
    content: Vec<u8>,
}

impl ShardPlan {
    /// Distributes `tensors` in their order over files of at most `limit` bytes of data each (a larger tensor
    /// gets a file of its own): `<stem>.safetensors`, or `<stem>-00001-of-0000N.safetensors` with an index.
    /// Within a file, wider elements come first, so that every tensor is aligned.
    ///
    /// # Errors
    /// A name that occurs twice, a shape that overflows.
    pub fn new(stem: &str, tensors: Vec<Planned>, limit: u64) -> Result<Self> {
        check_names(&tensors)?;
        let sizes = tensors.iter().map(planned_bytes).collect::<Result<Vec<u64>>>()?;
        let ranges = split(&sizes, limit);
        let mut tensors = tensors;
        let mut shards = Vec::with_capacity(ranges.len());
        for (index, range) in ranges.iter().enumerate() {
            let own = &mut tensors[range.clone()];
            own.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype.size()));
            let file_name = match ranges.len() {
                1 => format!("{stem}.safetensors"),
                n => format!("{stem}-{:05}-of-{n:05}.safetensors", index + 1),
            };
            let data_bytes = sizes[range.clone()].iter().sum();
            shards.push(Shard { file_name, header: header(own)?, tensors: range.clone(), data_bytes });
        }
        let index = (shards.len() > 1).then(|| index_file(stem, &tensors, &shards));
        Ok(Self { tensors, shards, index })
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        let shards = self.shards.iter().map(|shard| shard.header.len() as u64 + shard.data_bytes);
        shards.sum::<u64>() + self.index.as_ref().map_or(0, |index| index.content.len() as u64)
    }

    /// The tensors in the order in which they are written.
    pub fn tensors(&self) -> &[Planned] {
        &self.tensors
    }

    /// Writes every file into `folder`; `fill` is called once a tensor, in order, and gives all its bytes.
    /// Nothing is synced to the disk: that is the atomic folder's part.
    ///
    /// # Errors
    /// Too little space (asked for beforehand), a file that exists, a failing disk, a tensor that `fill` did
    /// not give as planned, or what `fill` returns.
    pub fn write(
        &self,
        folder: &Path,
        mut fill: impl FnMut(&Planned, &mut TensorSink<'_>) -> Result<()>,
    ) -> Result<Vec<WrittenFile>> {
        require_space(folder, self.total_bytes())?;
        let mut written = Vec::with_capacity(self.shards.len() + 1);
        for shard in &self.shards {
            let bytes = shard.header.len() as u64 + shard.data_bytes;
            let mut file = FileOut::create(&folder.join(&shard.file_name), bytes)?;
            file.put(&shard.header)?;
            for tensor in &self.tensors[shard.tensors.clone()] {
                let mut sink = TensorSink::new(&mut file, tensor, planned_bytes(tensor)?);
                fill(tensor, &mut sink)?;
                sink.finish()?;
            }
            file.finish()?;
            written.push(WrittenFile { name: shard.file_name.clone(), bytes });
        }
        if let Some(WholeFile { name, content }) = &self.index {
            let mut file = FileOut::create(&folder.join(name), content.len() as u64)?;
            file.put(content)?;
            file.finish()?;
            written.push(WrittenFile { name: name.clone(), bytes: content.len() as u64 });
        }
        Ok(written)
    }
}

fn check_names(tensors: &[Planned]) -> Result<()> {
    let mut seen = HashSet::new();
    for Planned { name, .. } in tensors {
        if name == "__metadata__" || !seen.insert(name) {
            let what = text!("Two tensors would be called {name}", "有两个张量都叫 {name}");
            return Err(UserError::bad_input(what).at_item(name));
        }
    }
    Ok(())
}

fn planned_bytes(tensor: &Planned) -> Result<u64> {
    let Planned { name, dtype, shape } = tensor;
    byte_len(shape, *dtype).map(|bytes| bytes as u64).ok_or_else(|| {
        let what = text!("{name}: the shape {shape:?} overflows", "{name} 的形状 {shape:?} 溢出");
        UserError::bad_input(what).at_item(name)
    })
}

/// Fills one file after the other, in order, as `split_torch_state_dict_into_shards` of huggingface_hub does.
/// There is always one file, even without tensors.
fn split(sizes: &[u64], limit: u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for (index, &size) in sizes.iter().enumerate() {
        if index > start && bytes.saturating_add(size) > limit {
            ranges.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    ranges.push(start..sizes.len());
    ranges
}

/// Length and JSON of a file's header, padded with spaces so that the data are aligned to 8 bytes.
fn header(tensors: &[Planned]) -> Result<Vec<u8>> {
    let mut end = 0;
    let mut infos = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let begin = end;
        end = begin + planned_bytes(tensor)? as usize;
        let info = TensorInfo {
            dtype: header_dtype(tensor.dtype),
            shape: tensor.shape.clone(),
            data_offsets: (begin, end),
        };
        infos.push((tensor.name.clone(), info));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let internal = |err: String| {
        UserError::failure(Text::fixed("The file's header could not be made", "无法生成文件头部")).detail(err)
    };
    let metadata = Metadata::new(Some(metadata), infos).map_err(|err| internal(err.to_string()))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|err| internal(err.to_string()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// `<stem>.safetensors.index.json`.
fn index_file(stem: &str, tensors: &[Planned], shards: &[Shard]) -> WholeFile {
    let total: u64 = shards.iter().map(|shard| shard.data_bytes).sum();
    let weight_map: BTreeMap<&str, &str> = shards
        .iter()
        .flat_map(|shard| tensors[shard.tensors.clone()].iter().map(move |tensor| (tensor, shard)))
        .map(|(tensor, shard)| (tensor.name.as_str(), shard.file_name.as_str()))
        .collect();
    let index = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    let content = format!("{index:#}\n").into_bytes();
    WholeFile { name: format!("{stem}.safetensors.index.json"), content }
}

fn header_dtype(dtype: FileDtype) -> Dtype {
    match dtype {
        FileDtype::F64 => Dtype::F64,
        FileDtype::F32 => Dtype::F32,
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::BF16,
        FileDtype::I64 => Dtype::I64,
        FileDtype::I32 => Dtype::I32,
        FileDtype::I16 => Dtype::I16,
        FileDtype::I8 => Dtype::I8,
        FileDtype::U64 => Dtype::U64,
        FileDtype::U32 => Dtype::U32,
        FileDtype::U16 => Dtype::U16,
        FileDtype::U8 => Dtype::U8,
        FileDtype::Bool => Dtype::BOOL,
    }
}

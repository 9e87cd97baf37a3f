//! The tensors of a model folder or of one file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use protocol::{Result, Text, UserError, text};

use super::dtype::{FileDtype, OutOfRange, convert, decode_f32};
use super::folder::{Index, Source};
use super::made::Made;
use super::mapping::Mapping;
use super::stored::Stored;
use super::{folder, gguf, header, pickle, quantised};

/// Every tensor of a model by name; the bytes stay in the mapped files until they are asked for.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) files: Vec<Arc<Mapping>>,
    pub(super) tensors: BTreeMap<String, Located>,
}

#[derive(Debug)]
pub(super) struct Located {
    pub content: Content,
    /// Index into `files`; of a tensor made from several files, the first.
    pub file: usize,
}

#[derive(Debug)]
pub(super) enum Content {
    /// In the file as it is.
    Stored(Stored),
    Made(Made),
}

impl Content {
    pub fn dtype(&self) -> FileDtype {
        match self {
            Self::Stored(stored) => stored.dtype,
            Self::Made(made) => made.dtype,
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Stored(stored) => &stored.shape,
            Self::Made(made) => &made.shape,
        }
    }

    /// Bytes in the file.
    fn stored_bytes(&self) -> usize {
        match self {
            Self::Stored(stored) => stored.byte_len(),
            Self::Made(made) => made.stored_bytes,
        }
    }

    fn elements(&self) -> usize {
        self.shape().iter().product()
    }
}

/// Form of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The format in which its elements are given.
    pub dtype: FileDtype,
    /// The format in the file: the same, or one that is dequantised, such as `Q4_K`.
    pub stored_as: &'static str,
    pub shape: &'a [usize],
    pub file: &'a Path,
}

impl TensorInfo<'_> {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the elements as given.
    pub fn byte_len(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

impl Checkpoint {
    /// A Hugging Face folder: `model.safetensors`, its shards, `pytorch_model.bin` or its shards, or a GGUF
    /// model, whichever is there first; or the path of a GGUF file. Reads headers only.
    ///
    /// # Errors
    /// No weights, missing shards (all listed), a malformed file, an index that disagrees with its shards.
    pub fn open(folder: &Path) -> Result<Self> {
        let checkpoint = match folder::find(folder)? {
            Source::Single(file) => open_file(&file),
            Source::Sharded(index) => Self::open_shards(&index),
            Source::Gguf(files) => {
                let (files, tensors) = gguf::open(&files)?;
                Ok(Self { files, tensors })
            }
        }?;
        quantised::unfold(checkpoint, folder)
    }

    fn open_shards(index: &Index) -> Result<Self> {
        let mut checkpoint = Self { files: Vec::new(), tensors: BTreeMap::new() };
        let mut twice = BTreeSet::new();
        for (shard, path) in &index.shards {
            for (name, located) in checkpoint.map(path)? {
                // A tensor that lies in several shards counts where the index puts it.
                match index.shard_of.get(&name) {
                    Some(owner) if owner != shard => {}
                    _ => {
                        if checkpoint.tensors.insert(name.clone(), located).is_some() {
                            twice.insert(name);
                        }
                    }
                }
            }
        }
        let absent = index.shard_of.iter().filter(|(name, _)| !checkpoint.tensors.contains_key(*name));
        let mut wrong: Vec<String> =
            absent.map(|(name, shard)| format!("{name} is not in {shard}")).collect();
        wrong.extend(twice.into_iter().map(|name| format!("{name} is in several shards")));
        if wrong.is_empty() {
            return Ok(checkpoint);
        }
        let what = Text::fixed("The index and its shards disagree", "索引与分片不一致");
        Err(UserError::bad_input(what).in_file(&index.path).details(wrong))
    }

    fn map(&mut self, path: &Path) -> Result<Vec<(String, Located)>> {
        let mapping = Mapping::open(path)?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let tensors = match extension {
            "bin" | "pt" | "pth" => pickle::read(&mapping)?,
            _ => header::read_header(&mapping)?,
        };
        let file = self.files.len();
        self.files.push(Arc::new(mapping));
        let located = |stored| Located { content: Content::Stored(stored), file };
        Ok(tensors.into_iter().map(|(name, stored)| (name, located(stored))).collect())
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let Located { content, file } = self.tensors.get(name)?;
        let stored_as = match content {
            Content::Stored(stored) => stored.dtype.name(),
            Content::Made(made) => made.stored_as,
        };
        let (dtype, shape) = (content.dtype(), content.shape());
        Some(TensorInfo { dtype, stored_as, shape, file: self.files[*file].path() })
    }

    /// The elements in row-major order, little-endian: the mapped bytes themselves unless the file holds
    /// a strided view, or something that has to be dequantised or put in order.
    ///
    /// # Errors
    /// No such tensor.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let Located { content, file } = self.locate(name)?;
        Ok(match content {
            Content::Stored(stored) => stored.read(&self.files[*file]),
            Content::Made(made) => Cow::Owned(made.recipe.bytes()),
        })
    }

    /// The file that a tensor lies in and its bytes' range there, if they are contiguous.
    pub(super) fn region(&self, name: &str) -> Result<Option<(Arc<Mapping>, std::ops::Range<usize>)>> {
        let Located { content: Content::Stored(stored), file } = self.locate(name)? else { return Ok(None) };
        let start = stored.layout.start();
        let range = start..start + stored.byte_len();
        Ok(stored.layout.is_contiguous().then(|| (Arc::clone(&self.files[*file]), range)))
    }

    /// Asks the system to bring a tensor's pages into memory soon: a hint, which may be refused.
    pub(super) fn fetch_ahead(&self, name: &str) {
        if let Ok(Some((file, range))) = self.region(name) {
            file.fetch_ahead(range);
        }
    }

    /// Do both names stand for the same elements of the same file (tied weights of a PyTorch file)?
    pub fn same_storage(&self, one: &str, other: &str) -> bool {
        match (self.tensors.get(one), self.tensors.get(other)) {
            (Some(one), Some(other)) => match (&one.content, &other.content) {
                (Content::Stored(a), Content::Stored(b)) => one.file == other.file && a == b,
                _ => false,
            },
            _ => false,
        }
    }

    /// A float tensor as f32, in chunks of at most `chunk` elements, in row-major order.
    ///
    /// # Errors
    /// No such tensor, no floats, or what `each` returns.
    pub fn f32_chunks(
        &self,
        name: &str,
        chunk: usize,
        mut each: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let dtype = self.float_dtype(name)?;
        let bytes = self.bytes(name)?;
        let mut numbers = vec![0f32; chunk.clamp(1, (bytes.len() / dtype.size()).max(1))];
        for raw in bytes.chunks(numbers.len() * dtype.size()) {
            let numbers = &mut numbers[..raw.len() / dtype.size()];
            decode_f32(raw, dtype, numbers);
            each(numbers)?;
        }
        Ok(())
    }

    /// A float tensor as f32, in row-major order.
    ///
    /// # Errors
    /// No such tensor, or no floats.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let dtype = self.float_dtype(name)?;
        let bytes = self.bytes(name)?;
        let mut numbers = vec![0f32; bytes.len() / dtype.size()];
        decode_f32(&bytes, dtype, &mut numbers);
        Ok(numbers)
    }

    /// A float tensor's bytes in another float format, rounded to the nearest even.
    ///
    /// # Errors
    /// No such tensor, no floats, or a number that the format cannot hold.
    pub fn convert_into(&self, name: &str, to: FileDtype, destination: &mut [u8]) -> Result<()> {
        let from = self.float_dtype(name)?;
        convert(&self.bytes(name)?, from, destination, to).map_err(|err| out_of_range(name, to, err))
    }

    /// Elements of all tensors; tied ones count once.
    pub fn parameters(&self) -> u64 {
        self.distinct().map(|content| content.elements() as u64).sum()
    }

    /// Bytes of all tensors as stored; tied ones count once.
    pub fn total_bytes(&self) -> u64 {
        self.distinct().map(|content| content.stored_bytes() as u64).sum()
    }

    /// The files that hold the tensors.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path())
    }

    /// Tensors with a storage of their own.
    fn distinct(&self) -> impl Iterator<Item = &Content> {
        let mut seen = BTreeSet::new();
        self.tensors.values().filter_map(move |located| {
            let fresh = match &located.content {
                Content::Stored(stored) => {
                    stored.byte_len() == 0 || seen.insert((located.file, stored.layout.start()))
                }
                Content::Made(_) => true,
            };
            fresh.then_some(&located.content)
        })
    }

    fn locate(&self, name: &str) -> Result<&Located> {
        self.tensors.get(name).ok_or_else(|| {
            let what = text!("The weights hold no tensor {name}", "权重中没有张量 {name}");
            let error = UserError::bad_input(what).at_item(name);
            match self.files.first() {
                Some(file) => error.in_file(file.path()),
                None => error,
            }
        })
    }

    fn float_dtype(&self, name: &str) -> Result<FileDtype> {
        let Located { content, file } = self.locate(name)?;
        let dtype = content.dtype();
        if dtype.is_float() {
            return Ok(dtype);
        }
        let what = text!("{name} holds {dtype} numbers, not floats", "{name} 存储的是 {dtype}，不是浮点数");
        Err(UserError::bad_input(what).in_file(self.files[*file].path()).at_item(name))
    }
}

/// One file, such as an adapter's: a pickle if its name ends in `.bin`, `.pt` or `.pth`, else safetensors.
///
/// # Errors
/// The file cannot be read or is malformed.
pub fn open_file(path: &Path) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint { files: Vec::new(), tensors: BTreeMap::new() };
    let tensors = checkpoint.map(path)?;
    checkpoint.tensors.extend(tensors);
    Ok(checkpoint)
}

/// The error for a number that does not fit a format.
pub(super) fn out_of_range(name: &str, to: FileDtype, err: OutOfRange) -> UserError {
    let OutOfRange { value, index } = err;
    let what = text!(
        "{value} (element {index} of {name}) is outside the range of {to}",
        "{name} 的第 {index} 个元素 {value} 超出 {to} 的范围"
    );
    UserError::bad_input(what).at_item(name).mend(Text::fixed("use bf16 or f32", "请使用 bf16 或 f32"))
}

//! GGUF models: tensors under their Hugging Face names, a config.json made of the metadata, and the way back.
//!
//! The container itself is [`data::gguf`], which the tokenizer is read from, too. Here are the formats of numbers
//! ([`blocks`]), the orders of rows ([`rows`]), and the table of architectures ([`arch`]).

pub mod arch;
mod assemble;
mod blocks;
mod rows;
mod write;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::gguf::{Gguf, Metadata, TensorEntry};
use protocol::{Result, Text, UserError, text};

use super::checkpoint::Located;
use super::mapping::Mapping;
use arch::{Arch, Config, Reading};

pub use data::gguf::parse;
pub use write::{BlockSink, Writer, put_module};

/// The files of a model, opened.
struct Model {
    files: Vec<Arc<Mapping>>,
    heads: Vec<Gguf>,
}

impl Model {
    fn open(paths: &[PathBuf]) -> Result<Self> {
        let files = paths.iter().map(|path| Mapping::open(path).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let heads = files
            .iter()
            .map(|file| parse(&file[..], file.len() as u64).map_err(|err| err.in_file(file.path())))
            .collect::<Result<Vec<_>>>()?;
        let model = Self { files, heads };
        model.check_parts()?;
        Ok(model)
    }

    /// The parts belong together: no tensor twice, and as many as the first part promises.
    fn check_parts(&self) -> Result<()> {
        let mut names = HashSet::new();
        for (part, entry) in self.entries() {
            if !names.insert(&entry.name) {
                let name = &entry.name;
                let what = text!("{name} is in several parts", "{name} 出现在多个分片中");
                return Err(UserError::bad_input(what).in_file(self.files[part].path()));
            }
        }
        let promised = self.metadata().u64("split.tensors.count");
        let count = names.len() as u64;
        match promised {
            Some(promised) if promised != count => {
                let what = text!(
                    "The parts hold {count} tensors, the first one speaks of {promised}",
                    "各分片共有 {count} 个张量，而第一个分片声明有 {promised} 个"
                );
                Err(UserError::bad_input(what).in_file(self.path()))
            }
            _ => Ok(()),
        }
    }

    fn path(&self) -> &Path {
        self.files[0].path()
    }

    fn metadata(&self) -> &Metadata {
        &self.heads[0].metadata
    }

    /// Every tensor, with the number of its file.
    fn entries(&self) -> impl Iterator<Item = (usize, &TensorEntry)> {
        let parts = self.heads.iter().enumerate();
        parts.flat_map(|(part, head)| head.tensors.iter().map(move |entry| (part, entry)))
    }

    /// Calls `work` with the architecture and the metadata.
    fn reading<T>(&self, work: impl FnOnce(&'static Arch, &Reading<'_>) -> Result<T>) -> Result<T> {
        let dims: HashMap<&str, &[u64]> =
            self.entries().map(|(_, entry)| (entry.name.as_str(), entry.dims.as_slice())).collect();
        let id = self.metadata().str("general.architecture").unwrap_or_default();
        let reading = Reading {
            arch: id,
            metadata: self.metadata(),
            tensors: &dims,
            numbers: &|name| self.small(name),
            problems: RefCell::default(),
        };
        let arch = arch::of_file(&reading).ok_or_else(|| unknown(id).in_file(self.path()))?;
        work(arch, &reading)
    }

    /// Numbers of a vector: frequency factors.
    fn small(&self, name: &str) -> Option<Vec<f32>> {
        let (part, entry) = self.entries().find(|(_, entry)| entry.name == name)?;
        if entry.dims.len() != 1 || !blocks::is_read(entry.kind) {
            return None;
        }
        let mut numbers = vec![0f32; usize::try_from(entry.dims[0]).ok()?];
        blocks::decode(entry.kind, &self.files[part][range(entry)], &mut numbers);
        Some(numbers)
    }
}

/// Where a tensor lies in its file, which was checked when the head was read.
fn range(entry: &TensorEntry) -> std::ops::Range<usize> {
    entry.start as usize..(entry.start + entry.bytes) as usize
}

/// The mapped files, and every tensor under its Hugging Face name.
type Opened = (Vec<Arc<Mapping>>, BTreeMap<String, Located>);

/// Opens the files of one model. Reads heads only.
///
/// # Errors
/// A malformed file, an architecture that is not known, a tensor in a format that is not read.
pub(super) fn open(paths: &[PathBuf]) -> Result<Opened> {
    let model = Model::open(paths)?;
    let tensors = model.reading(|arch, reading| {
        let heads = reading.heads();
        refuse(reading, model.path())?;
        assemble::tensors(&model, arch, heads)
    })?;
    Ok((model.files, tensors))
}

/// The config.json that the metadata of a model stand for, and the file they are in.
///
/// # Errors
/// As [`open`]; metadata that describe no model.
pub fn config(paths: &[PathBuf]) -> Result<(Config, PathBuf)> {
    let model = Model::open(paths)?;
    let config = model.reading(|arch, reading| {
        let mut config = Config::new();
        (arch.config)(reading, &mut config);
        refuse(reading, model.path())?;
        Ok(config)
    })?;
    Ok((config, model.path().to_owned()))
}

/// All problems at once, if there are any.
fn refuse(reading: &Reading<'_>, file: &Path) -> Result<()> {
    let mut problems = reading.problems.borrow().clone();
    if problems.is_empty() {
        return Ok(());
    }
    problems.dedup();
    Err(UserError::bad_input(Text::fixed(
        "The GGUF file's metadata do not describe a model that can be built",
        "GGUF 文件的元数据描述的模型无法构建",
    ))
    .details(problems)
    .in_file(file))
}

fn unknown(id: &str) -> UserError {
    let known = arch::known().join(", ");
    UserError::bad_input(text!(
        "GGUF models of architecture `{id}` are not read",
        "不支持读取架构为 `{id}` 的 GGUF 模型"
    ))
    .mend(text!(
        "choose the model's Hugging Face folder; GGUF is read for: {known}",
        "请选择该模型的 Hugging Face 文件夹；可读取的 GGUF 架构有：{known}"
    ))
    .at_item("general.architecture")
}

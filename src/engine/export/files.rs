//! Writing a model folder, tensor by tensor, from the mapped one.

use std::path::Path;

use burn::tensor::{DType, Device};
use data::Tokenizer;
use protocol::{Control, Result, Text, UserError, text};
use serde_json::Value as Json;

use crate::models::ModelFolder;
use crate::nn::{Param, ParamId, Value};
use crate::weights::{
    FileDtype, Planned, ShardPlan, TensorSink, load_tensor, read_f32, without_quantization,
};

/// Files of a model folder that travel with it, when they are there, besides those of its tokenizer.
const CARRIED: [&str; 3] = ["preprocessor_config.json", "USE_POLICY.md", "NOTICE"];

/// The dtype of floats in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// As each tensor is stored now.
    Keep,
    As(FileDtype),
    /// GGUF's 8-bit blocks.
    Q8_0,
}

impl StoredAs {
    /// # Errors
    /// When the word is not `keep`, `f32`, `f16`, `bf16` or `q8_0`.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "keep" | "" => Ok(Self::Keep),
            "f32" | "float32" => Ok(Self::As(FileDtype::F32)),
            "f16" | "float16" => Ok(Self::As(FileDtype::F16)),
            "bf16" | "bfloat16" => Ok(Self::As(FileDtype::BF16)),
            "q8_0" => Ok(Self::Q8_0),
            _ => Err(UserError::bad_input(text!(
                "`{name}` is no dtype to store",
                "`{name}` 不是可用的存储精度"
            ))
            .at_item("--dtype")
            .mend(Text::fixed("use keep, f32, f16 or bf16", "请使用 keep、f32、f16 或 bf16"))),
        }
    }

    fn of(self, now: FileDtype) -> FileDtype {
        match self {
            Self::As(dtype) if now.is_float() => dtype,
            Self::Keep | Self::As(_) | Self::Q8_0 => now,
        }
    }
}

/// The value of a base parameter as f32, read when asked for.
pub type ReadBase<'a> = &'a dyn Fn() -> Result<Value>;

/// Writes a model folder.
pub struct ModelWriter<'a> {
    pub folder: &'a ModelFolder,
    pub stored_as: StoredAs,
    pub shard_bytes: u64,
    /// The new value of a parameter, None where it stays; gets a reader of the old value.
    pub changed: &'a dyn Fn(ParamId, ReadBase<'_>) -> Result<Option<Value>>,
    /// Tensors written and in all.
    pub progress: &'a dyn Fn(u64, u64),
    pub control: &'a Control,
}

impl ModelWriter<'_> {
    /// Returns the names of the files.
    ///
    /// # Errors
    /// When a tensor cannot be stored as asked, the disk is full, or the user stopped.
    pub fn write(&self, dir: &Path) -> Result<Vec<String>> {
        let plan = self.shards()?;
        let (mut done, total) = (0, plan.tensors().len() as u64);
        let written = plan.write(dir, |tensor, sink| {
            if self.control.stop_wanted() {
                return Err(UserError::failure(Text::fixed("The export was stopped", "导出已中止")));
            }
            self.write_tensor(tensor, sink)?;
            done += 1;
            (self.progress)(done, total);
            Ok(())
        })?;
        let mut files: Vec<String> = written.into_iter().map(|file| file.name).collect();
        files.push(self.write_config(dir)?);
        files.extend(self.carry(dir)?);
        Ok(files)
    }

    fn shards(&self) -> Result<ShardPlan> {
        ShardPlan::new("model", self.planned()?, self.shard_bytes)
    }

    /// Bytes of the files that [`write`](Self::write) makes.
    ///
    /// # Errors
    /// When the tensors cannot be laid out.
    pub fn bytes(&self) -> Result<u64> {
        let size = |name: &String| std::fs::metadata(self.folder.dir.join(name)).map_or(0, |file| file.len());
        let carried: u64 = self.carried().iter().map(size).sum();
        let made: u64 =
            self.of_gguf()?.iter().chain(self.of_extension()).map(|(_, content)| content.len() as u64).sum();
        Ok(self.shards()?.total_bytes() + self.config_json()?.len() as u64 + carried + made)
    }

    /// Every tensor of the folder's files, under its own name; from the parameters where there are none.
    fn planned(&self) -> Result<Vec<Planned>> {
        let params = &self.folder.model().params;
        let Some(checkpoint) = &self.folder.checkpoint else {
            let dtype = self.config_dtype();
            let plan =
                |param: &Param| Planned { name: param.name.clone(), dtype, shape: param.shape.clone() };
            return Ok(params.iter().map(|(_, param)| plan(param)).collect());
        };
        let plan = |name: &str| {
            let info = checkpoint.info(name)?;
            let dtype = self.stored_as.of(info.dtype);
            let mut shape = info.shape.to_vec();
            if let (Some(param), Some(rows)) = (self.grown(name), shape.first_mut()) {
                *rows = param.shape[0];
            }
            Some(Planned { name: name.to_owned(), dtype, shape })
        };
        // A tied head that old files hold a second time would contradict the embedding once that changes.
        let kept = checkpoint.names().filter(|name| !self.folder.repeats_embedding(name));
        Ok(kept.filter_map(plan).collect())
    }

    fn write_tensor(&self, tensor: &Planned, sink: &mut TensorSink<'_>) -> Result<()> {
        let model = self.folder.model();
        let id = self.folder.param_of(&tensor.name);
        let read = || -> Result<Value> {
            let Some(checkpoint) = &self.folder.checkpoint else { return Ok(Value::Absent) };
            let cpu = Device::flex();
            let value = match tensor.shape.len() {
                1 => Value::Vector(load_tensor::<1>(checkpoint, &tensor.name, &cpu, DType::F32)?),
                _ => Value::Matrix(load_tensor::<2>(checkpoint, &tensor.name, &cpu, DType::F32)?),
            };
            let growth = model.growth.as_ref().filter(|_| self.grown(&tensor.name).is_some());
            Ok(match growth {
                Some(growth) => growth.grown(value),
                None => value,
            })
        };
        let mut changed = match id {
            Some(id) => (self.changed)(id, &read)?,
            None => None,
        };
        if changed.is_none() && self.folder.checkpoint.is_some() && self.grown(&tensor.name).is_some() {
            changed = Some(read()?);
        }
        match (changed, &self.folder.checkpoint) {
            (Some(value), _) => {
                let numbers = read_f32(&value)?;
                if let Some(bad) = numbers.iter().find(|number| !number.is_finite()) {
                    return Err(UserError::failure(text!(
                        "A merged weight is {bad}",
                        "合并后的权重出现 {bad}"
                    ))
                    .at_item(&tensor.name));
                }
                sink.put_f32(&numbers)
            }
            (None, Some(checkpoint)) => sink.put_stored(checkpoint, &tensor.name),
            (None, None) => Err(UserError::failure(Text::fixed("A tensor has no value", "张量没有值"))
                .at_item(id.map_or_else(|| tensor.name.clone(), |id| model.params.get(id).name.clone()))),
        }
    }

    /// The parameter of a tensor that gets rows for new tokens.
    fn grown(&self, tensor: &str) -> Option<&Param> {
        let model = self.folder.model();
        model.growth.as_ref()?;
        let id = self.folder.param_of(tensor).filter(|id| model.vocabulary_params().contains(id))?;
        Some(model.params.get(id))
    }

    /// Files of the tokenizer in place of the folder's own, where it has new tokens.
    fn of_extension(&self) -> &[(String, Vec<u8>)] {
        self.folder.model().growth.as_ref().map_or(&[], |growth| growth.extension.tokenizer_files())
    }

    /// dtype that a folder without weights is written in.
    fn config_dtype(&self) -> FileDtype {
        let config = self.folder.config.raw();
        let word = ["dtype", "torch_dtype"].iter().find_map(|key| config.get(*key).and_then(Json::as_str));
        let named = match word {
            Some("bfloat16") => FileDtype::BF16,
            Some("float16") => FileDtype::F16,
            _ => FileDtype::F32,
        };
        self.stored_as.of(named)
    }

    /// config.json with the dtype that is now stored.
    fn write_config(&self, dir: &Path) -> Result<String> {
        crate::files::AtomicFile::write(&dir.join("config.json"), &self.config_json()?)?;
        Ok("config.json".into())
    }

    fn config_json(&self) -> Result<Vec<u8>> {
        let mut config = self.folder.config.raw().clone();
        without_quantization(&mut config);
        if let Some(growth) = &self.folder.model().growth {
            set_vocabulary(&mut config, growth.rows);
        }
        if let StoredAs::As(dtype) = self.stored_as {
            let name = match dtype {
                FileDtype::BF16 => "bfloat16",
                FileDtype::F16 => "float16",
                _ => "float32",
            };
            let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
            config.insert(key.into(), name.into());
        }
        serde_json::to_vec_pretty(&config)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))
    }

    /// Names of the files that travel with the model.
    fn carried(&self) -> Vec<String> {
        // config.json is written anew.
        let tokenizer = Tokenizer::FILES.into_iter().filter(|name| *name != "config.json");
        let names = tokenizer.chain(CARRIED).map(str::to_owned);
        let names = names.chain(licence_files(&self.folder.dir)).chain(class_files(&self.folder.dir));
        let made = self.of_extension();
        let own = |name: &String| !made.iter().any(|(new, _)| new == name);
        names.filter(own).filter(|name| self.folder.dir.join(name).is_file()).collect()
    }

    /// Tokenizer, template, generation and licence files.
    fn carry(&self, dir: &Path) -> Result<Vec<String>> {
        let carried = self.carried();
        for name in &carried {
            let from = self.folder.dir.join(name);
            std::fs::copy(&from, dir.join(name)).map_err(|err| {
                UserError::io(Text::fixed("copy a file of the model", "复制模型文件"), &from, &err)
            })?;
        }
        let mut names = carried;
        let gguf = self.of_gguf()?;
        for (name, content) in gguf.iter().chain(self.of_extension()) {
            crate::files::AtomicFile::write(&dir.join(name), content)?;
            names.push(name.clone());
        }
        Ok(names)
    }

    /// Tokenizer files that only a GGUF file's metadata hold, where none of that name lies beside it.
    fn of_gguf(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let files = data::Tokenizer::files_of_gguf(&self.folder.dir)?;
        Ok(files.into_iter().filter(|(name, _)| !self.folder.dir.join(name).is_file()).collect())
    }
}

/// Every key that says how many tokens there are.
fn set_vocabulary(config: &mut serde_json::Map<String, Json>, rows: usize) {
    for key in ["vocab_size", "padded_vocab_size"] {
        if let Some(size) = config.get_mut(key) {
            *size = rows.into();
        }
    }
    if let Some(Json::Object(text)) = config.get_mut("text_config") {
        set_vocabulary(text, rows);
    }
}

/// Bytes of a model folder's files once written as asked, whatever its tensors then hold.
///
/// # Errors
/// When its tensors cannot be laid out.
pub fn model_bytes(folder: &ModelFolder, stored_as: StoredAs, shard_bytes: u64) -> Result<u64> {
    let control = Control::default();
    let (changed, progress) = (&|_, _: ReadBase<'_>| Ok(None), &|_, _| {});
    ModelWriter { folder, stored_as, shard_bytes, changed, progress, control: &control }.bytes()
}

/// Names in a folder that begin like a licence.
pub fn licence_files(dir: &Path) -> Vec<String> {
    names_of(dir, |name| {
        let upper = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| upper.starts_with(start))
    })
}

/// The Python classes that models without one in transformers are published with (`auto_map` of config.json). They
/// are never run here; others need them to load the folder.
fn class_files(dir: &Path) -> Vec<String> {
    let starts = ["configuration_", "modeling_", "tokenization_", "generation_", "quantization", "quantizer"];
    names_of(dir, |name| {
        let python = Path::new(name).extension().is_some_and(|extension| extension == "py");
        python && starts.iter().any(|start| name.starts_with(start))
    })
}

/// Names of a folder's entries that are wanted, in order.
fn names_of(dir: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| wanted(name)).collect();
    names.sort_unstable();
    names
}

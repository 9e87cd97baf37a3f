//! One file for llama.cpp and the programs around it, with tokenizer and chat template inside, and Ollama's Modelfile
//! beside it.

use std::path::Path;

use burn::tensor::{DType, Device};
use data::Tokenizer;
use data::gguf::{Metadata, NewTensor, TensorKind, Value as Meta};
use protocol::{ExportRequest, Result, Text, UserError, text};
use serde_json::Value as Json;

use super::{Job, StoredAs, Target, ollama};
use crate::files::AtomicFile;
use crate::models::ModelFolder;
use crate::nn::{Param, ParamId, Value};
use crate::weights::gguf::arch::{self, Arch, Config, Form, Heads, Module, Writing};
use crate::weights::gguf::{BlockSink, Writer, put_module};
use crate::weights::{FileDtype, load_tensor, read_f32};

pub const TARGET: Target = Target {
    id: "gguf",
    name: Text::fixed("GGUF", "GGUF"),
    help: Text::fixed(
        "One file for llama.cpp, Ollama and LM Studio, the adapter merged in; with a Modelfile for Ollama",
        "供 llama.cpp、Ollama、LM Studio 使用的单个文件，已合并适配器；附 Ollama 的 Modelfile",
    ),
    write,
    bytes: |folder, request| bytes(folder, request),
    is_adapter: false,
    dtypes: &["keep", "bf16", "f16", "q8_0", "f32"],
};

/// Numbers of `general.file_type`, by the kind of most tensors.
const FILE_TYPES: [(TensorKind, u32); 4] =
    [(TensorKind::F32, 0), (TensorKind::F16, 1), (TensorKind::Q8_0, 7), (TensorKind::BF16, 32)];
/// Version of the quantised formats.
const QUANTIZATION_VERSION: u32 = 2;
/// Beginning of the file name.
const NAME: &str = "model";

/// What will be written: known before anything is.
struct Plan {
    writer: Writer,
    file: String,
    metadata: Metadata,
    contents: Vec<Content>,
    heads: Heads,
    unit_rows: bool,
    notes: Vec<Text>,
    tokenizer: Option<Tokenizer>,
}

/// Where a tensor's numbers come from.
enum Content {
    Param(ParamId, &'static Module),
    Numbers(Vec<f32>),
}

fn bytes(folder: &ModelFolder, request: &ExportRequest) -> Result<u64> {
    let plan = plan(folder, StoredAs::from_name(&request.dtype)?)?;
    let modelfile = ollama::modelfile(plan.tokenizer.as_ref(), &plan.file);
    Ok(plan.writer.total_bytes() + modelfile.text.len() as u64)
}

fn write(job: &Job<'_>, dir: &Path) -> Result<Vec<String>> {
    let plan = plan(job.folder, job.stored_as)?;
    let total = plan.contents.len() as u64;
    plan.writer.write(&dir.join(&plan.file), |index, sink| {
        if job.control.stop_wanted() {
            return Err(UserError::failure(Text::fixed("The export was stopped", "导出已中止")));
        }
        match &plan.contents[index] {
            Content::Numbers(numbers) => sink.put(numbers)?,
            Content::Param(id, module) => put(job, *id, module, &plan, sink)?,
        }
        (job.progress)(index as u64 + 1, total);
        Ok(())
    })?;
    let modelfile = ollama::modelfile(plan.tokenizer.as_ref(), &plan.file);
    AtomicFile::write(&dir.join(ollama::FILE), modelfile.text.as_bytes())?;
    let mut notes = job.notes.borrow_mut();
    notes.extend(plan.notes);
    notes.extend(modelfile.note);
    if let Some(tokenizer) = &plan.tokenizer {
        notes.extend(tokenizer.differs_from_gguf(&plan.metadata)?);
    }
    let card = job.card.write(dir)?;
    Ok(vec![plan.file, ollama::FILE.into(), card])
}

fn plan(folder: &ModelFolder, stored_as: StoredAs) -> Result<Plan> {
    let arch = arch_of(folder)?;
    if folder.model().growth.is_some() {
        return Err(cannot(folder).detail("the tokenizer was extended").mend(Text::fixed(
            "export the merged model first (--to merged), and that one to GGUF",
            "请先导出合并后的模型（--to merged），再将其导出为 GGUF",
        )));
    }
    let main = main_kind(folder, stored_as);
    let (info, params) = (&folder.info, &folder.model().params);
    let config = text_config(folder);
    let mut writing = Writing::new(arch.id, &config, info);
    (arch.metadata)(&mut writing);
    if !writing.refused.is_empty() {
        let refused = writing.refused.into_iter().map(|what| format!("llama.cpp does not have: {what}"));
        return Err(cannot(folder).details(refused));
    }
    let tokenizer = tokenizer_of(folder)?;
    let mut metadata = general(folder, arch, main);
    for (key, value) in writing.metadata.entries() {
        metadata.insert(key.clone(), value.clone());
    }
    match &tokenizer {
        Some(tokenizer) => {
            for (key, value) in tokenizer.to_gguf(info.vocabulary, arch.id)?.entries() {
                metadata.insert(key.clone(), value.clone());
            }
        }
        None => no_tokenizer(arch, info.vocabulary, &mut metadata, &mut writing.notes),
    }
    let (mut tensors, mut contents) = (Vec::new(), Vec::new());
    for (name, numbers) in writing.extra {
        tensors.push(planned(name, &[numbers.len()], TensorKind::F32)?);
        contents.push(Content::Numbers(numbers));
    }
    for (id, param) in params.iter() {
        for (module, name) in arch.of_hf(&param.name) {
            let shape = stored_shape(param, module);
            let kind = kind_of(&name, &shape, main);
            tensors.push(planned(name, &shape, kind)?);
            contents.push(Content::Param(id, module));
        }
    }
    let unit_rows = writing.unit_rows;
    let writer = Writer::new(&metadata, tensors);
    let file = format!("{NAME}-{}.gguf", main.name.to_lowercase());
    let heads = Heads { queries: info.heads, keys: info.kv_heads };
    Ok(Plan { writer, file, metadata, contents, heads, unit_rows, notes: writing.notes, tokenizer })
}

/// The config of the text model: of one that also sees, its part.
fn text_config(folder: &ModelFolder) -> Config {
    let mut config = folder.config.raw().clone();
    if let Some(text) = config.get("text_config").and_then(Json::as_object).cloned() {
        config.extend(text);
    }
    config
}

/// The layout of llama.cpp that has a place for every parameter.
fn arch_of(folder: &ModelFolder) -> Result<&'static Arch> {
    let params = &folder.model().params;
    let without_place = |arch: &Arch| -> Vec<String> {
        let names = params.iter().map(|(_, param)| param.name.clone());
        names.filter(|name| arch.of_hf(name).is_empty()).collect()
    };
    let mut missing: Option<Vec<String>> = None;
    for arch in arch::of_family(folder.family.id) {
        let names = without_place(arch);
        if names.is_empty() {
            return Ok(arch);
        }
        missing.get_or_insert(names);
    }
    let lines = missing.map(|names| {
        names.into_iter().take(20).map(|name| format!("GGUF has no place for {name}")).collect()
    });
    Err(cannot(folder)
        .details(lines.unwrap_or_else(|| vec!["no layout of GGUF is known for this family".to_owned()])))
}

fn cannot(folder: &ModelFolder) -> UserError {
    let family = folder.family.name.en.as_ref();
    UserError::bad_input(text!(
        "This model ({family}) cannot be written as GGUF",
        "该模型（{family}）无法写为 GGUF"
    ))
    .at_item("--to")
    .mend(Text::fixed(
        "export the merged model as a Hugging Face folder",
        "请导出为合并后的 Hugging Face 文件夹",
    ))
}

/// None where the folder has no tokenizer at all: a damaged one is an error.
fn tokenizer_of(folder: &ModelFolder) -> Result<Option<Tokenizer>> {
    let there = Tokenizer::is_there(&folder.dir)?;
    there.then(|| Tokenizer::open(&folder.dir)).transpose()
}

fn no_tokenizer(arch: &Arch, rows: usize, metadata: &mut Metadata, notes: &mut Vec<Text>) {
    metadata.insert("tokenizer.ggml.model", Meta::Text("none".into()));
    metadata.insert(format!("{}.vocab_size", arch.id), Meta::U32(rows as u32));
    notes.push(Text::fixed(
        "The model folder has no tokenizer, so that the file has none",
        "模型文件夹中没有分词器，因此文件中也没有",
    ));
}

/// The kind of the matrices: as asked, or the one that the model has most of, as far as GGUF has it.
fn main_kind(folder: &ModelFolder, stored_as: StoredAs) -> TensorKind {
    match stored_as {
        StoredAs::As(dtype) => kind_of_dtype(dtype),
        StoredAs::Q8_0 => TensorKind::Q8_0,
        StoredAs::Keep => {
            let checkpoint = folder.checkpoint.as_ref();
            let infos = checkpoint.into_iter().flat_map(|all| all.names().filter_map(|name| all.info(name)));
            let matrices = infos.filter(|info| info.shape.len() > 1 && info.dtype.is_float());
            let largest = matrices.max_by_key(|info| info.elements());
            largest.map_or(TensorKind::F32, |info| kind_of_dtype(info.dtype))
        }
    }
}

fn kind_of_dtype(dtype: FileDtype) -> TensorKind {
    match dtype {
        FileDtype::F16 => TensorKind::F16,
        FileDtype::BF16 => TensorKind::BF16,
        _ => TensorKind::F32,
    }
}

/// As the converter chooses: vectors, norms and positions stay in f32, and rows that are no whole blocks in f16.
fn kind_of(name: &str, shape: &[usize], main: TensorKind) -> TensorKind {
    let precise = shape.len() < 2
        || name.ends_with("_norm.weight")
        || name == "position_embd.weight"
        || !name.ends_with(".weight");
    let columns = shape.last().copied().unwrap_or(1) as u64;
    match precise {
        true => TensorKind::F32,
        false if !columns.is_multiple_of(main.block) => TensorKind::F16,
        false => main,
    }
}

/// The shape that a module of a parameter has in the file.
fn stored_shape(param: &Param, module: &Module) -> Vec<usize> {
    let mut shape = param.shape.clone();
    if let Some(rows) = shape.first_mut() {
        *rows /= module.part.1;
    }
    if module.form == Form::Transposed && shape.len() == 2 {
        shape.reverse();
    }
    shape
}

fn planned(name: String, shape: &[usize], kind: TensorKind) -> Result<NewTensor> {
    let dims: Vec<u64> = shape.iter().rev().map(|dim| *dim as u64).collect();
    let bytes = kind.byte_len(&dims).ok_or_else(|| {
        UserError::bad_input(text!("{name}: the shape {shape:?} overflows", "{name} 的形状 {shape:?} 溢出"))
    })?;
    Ok(NewTensor { name, dims, kind, bytes })
}

/// What says which model this is.
fn general(folder: &ModelFolder, arch: &Arch, main: TensorKind) -> Metadata {
    let mut metadata = Metadata::default();
    let mut put = |key: &str, value: Meta| metadata.insert(format!("general.{key}"), value);
    put("architecture", Meta::Text(arch.id.into()));
    put("type", Meta::Text("model".into()));
    let name = folder.dir.file_stem().map(|name| name.to_string_lossy().into_owned());
    put("name", Meta::Text(name.unwrap_or_else(|| NAME.into())));
    put("size_label", Meta::Text(size_label(folder.model().params.elements())));
    let kind = FILE_TYPES.iter().find(|(kind, _)| *kind == main);
    put("file_type", Meta::U32(kind.map_or(0, |(_, number)| *number)));
    put("quantization_version", Meta::U32(QUANTIZATION_VERSION));
    sampling(folder, &mut metadata);
    metadata
}

/// How the model likes to be sampled, by its generation_config.json.
fn sampling(folder: &ModelFolder, metadata: &mut Metadata) {
    let file = std::fs::read(folder.dir.join("generation_config.json")).ok();
    let config: Option<Json> = file.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(config) = config else { return };
    if let Some(number) = config["top_k"].as_i64().and_then(|number| i32::try_from(number).ok()) {
        metadata.insert("general.sampling.top_k", Meta::I32(number));
    }
    for (key, name) in [
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("temperature", "temp"),
        ("repetition_penalty", "penalty_repeat"),
    ] {
        if let Some(number) = config[key].as_f64() {
            metadata.insert(format!("general.sampling.{name}"), Meta::F32(number as f32));
        }
    }
}

/// `1.1B`: at least two digits.
fn size_label(parameters: u64) -> String {
    let (scaled, unit) = match parameters as f64 {
        n if n > 1e12 => (n / 1e12, "T"),
        n if n > 1e9 => (n / 1e9, "B"),
        n if n > 1e6 => (n / 1e6, "M"),
        n => (n / 1e3, "K"),
    };
    let digits = usize::from(scaled.round() < 10.0) + usize::from(scaled.round() < 1.0);
    format!("{scaled:.digits$}{unit}")
}

/// One tensor: read, merged, and put in the file's order.
fn put(job: &Job<'_>, id: ParamId, module: &Module, plan: &Plan, sink: &mut BlockSink<'_>) -> Result<()> {
    let param = job.folder.model().params.get(id);
    let read = || -> Result<Value> {
        let (Some(checkpoint), Some(name)) = (&job.folder.checkpoint, job.folder.file_name(&param.name))
        else {
            let what = Text::fixed("A tensor has no value", "张量没有值");
            return Err(UserError::failure(what).at_item(&param.name));
        };
        let cpu = Device::flex();
        Ok(match param.shape.len() {
            1 => Value::Vector(load_tensor::<1>(checkpoint, &name, &cpu, DType::F32)?),
            _ => Value::Matrix(load_tensor::<2>(checkpoint, &name, &cpu, DType::F32)?),
        })
    };
    let merged = job.merged(id, &read)?;
    let numbers = match &merged {
        Some(value) => read_f32(value)?,
        None => read_f32(&read()?)?,
    };
    if let Some(bad) = numbers.iter().find(|number| merged.is_some() && !number.is_finite()) {
        return Err(UserError::failure(text!("A merged weight is {bad}", "合并后的权重出现 {bad}"))
            .at_item(&param.name));
    }
    put_module(module, plan.heads, plan.unit_rows, (&numbers, &param.shape), sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_two_digits() {
        let labels =
            [(260_032, "260K"), (124_439_808, "124M"), (1_100_048_384, "1.1B"), (8_030_261_248, "8.0B")];
        for (parameters, label) in labels {
            assert_eq!(size_label(parameters), label);
        }
    }

    #[test]
    fn kinds_are_the_converters() {
        let q8 = TensorKind::Q8_0;
        assert_eq!(kind_of("blk.0.attn_q.weight", &[8, 64], q8), q8);
        assert_eq!(kind_of("blk.0.attn_q.weight", &[64, 40], q8), TensorKind::F16);
        assert_eq!(kind_of("blk.0.attn_q.bias", &[64], q8), TensorKind::F32);
        assert_eq!(kind_of("blk.0.attn_q_norm.weight", &[4, 64], q8), TensorKind::F32);
        assert_eq!(kind_of("position_embd.weight", &[64, 64], q8), TensorKind::F32);
    }
}

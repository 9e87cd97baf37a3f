//! From a folder to a model on a device. Everything is checked before anything is allocated.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use burn::tensor::{DType, Device, Tensor, TensorData};
use protocol::{ModelRef, Result, Text, UserError, text};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value as Json};

use super::{Builder, ConfigJson, FAMILIES, Family, Growth, Model, ModelInfo, family_of};
use crate::nn::ops::own;
use crate::nn::packed::Outputs;
use crate::nn::{
    Elsewhere, Initial, Packed, Param, ParamId, ParamStore, Quantised, Quantization, Stages, Stream, Value,
    float_dtype,
};
use crate::weights::{Checkpoint, StoredMatrix, Wanted, load_tensor};

/// No published model has as many parameters; a config that does is damaged or hostile.
const MOST_PARAMETERS: u128 = 1 << 45;

/// A model folder that was opened and checked, but not loaded.
pub struct ModelFolder {
    pub dir: PathBuf,
    pub config: ConfigJson,
    pub family: &'static Family,
    pub info: ModelInfo,
    blueprint: Model,
    /// None when the folder is only a config (training from scratch).
    pub checkpoint: Option<Checkpoint>,
    /// How many of the first blocks leave their matrices with the checkpoint.
    streamed: usize,
}

impl ModelFolder {
    /// Opens a folder with weights.
    ///
    /// # Errors
    /// When config.json cannot be understood, or tensors and config disagree: all mismatches at once.
    pub fn open(dir: &Path, overrides: &Map<String, Json>) -> Result<Self> {
        let config = ConfigJson::open(dir, overrides)?;
        // What nobody knows is told before its files are looked at.
        family_of(&config).ok_or_else(|| unknown_family(&config))?;
        let checkpoint = Checkpoint::open(dir)?;
        let names = checkpoint.names().map(str::to_owned);
        let mut folder = Self::from_config(dir, config.with_tensors(names))?;
        folder.check(&checkpoint)?;
        folder.checkpoint = Some(checkpoint);
        Ok(folder)
    }

    /// The folder of a request, to be loaded as the request says.
    ///
    /// # Errors
    /// As [`open`](Self::open); a quantization that nobody knows.
    pub fn of(model: &ModelRef) -> Result<Self> {
        let quantization = Quantization::from_name(&model.quantization)?;
        Ok(Self::open(&model.path, &model.overrides)?.quantised(quantization))
    }

    /// Opens a folder for its config alone.
    ///
    /// # Errors
    /// When config.json cannot be understood.
    pub fn open_config(dir: &Path, overrides: &Map<String, Json>) -> Result<Self> {
        Self::from_config(dir, ConfigJson::open(dir, overrides)?)
    }

    /// A model without a folder.
    ///
    /// # Errors
    /// When the config cannot be understood.
    pub fn from_config(dir: &Path, config: ConfigJson) -> Result<Self> {
        let family = family_of(&config).ok_or_else(|| unknown_family(&config))?;
        let mut builder = Builder::default();
        let (decoder, info) = (family.build)(&config, &mut builder)?;
        refuse_giant(&config, &builder.params)?;
        let blueprint = Model {
            dir: dir.to_owned(),
            family,
            info: info.clone(),
            decoder,
            params: builder.params,
            sites: builder.sites,
            growth: None,
            device: Device::flex(),
            dtype: DType::F32,
            quantization: None,
            stream: None,
            stages: None,
        };
        Ok(Self { dir: dir.to_owned(), config, family, info, blueprint, checkpoint: None, streamed: 0 })
    }

    /// The same, whose matrices will be kept in few bits.
    pub fn quantised(mut self, quantization: Option<Quantization>) -> Self {
        self.blueprint.quantization = quantization;
        self
    }

    /// Gives the model rows for new tokens: what it is from now on, whatever its files hold.
    ///
    /// # Errors
    /// As [`Model::resize`].
    pub fn resize(&mut self, growth: Option<Arc<Growth>>) -> Result<()> {
        self.blueprint.resize(growth)?;
        self.info = self.blueprint.info.clone();
        Ok(())
    }

    /// Parameters and sites, not loaded.
    pub fn model(&self) -> &Model {
        &self.blueprint
    }

    /// The same, to keep: a model that knows its shapes and has no weights.
    pub fn into_model(self) -> Model {
        self.blueprint
    }

    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.blueprint
    }

    /// The parameter that a tensor of the files stands for.
    pub fn param_of(&self, file_name: &str) -> Option<ParamId> {
        let params = &self.blueprint.params;
        let respelled = |(ours, theirs): &(&str, &str)| {
            file_name.strip_prefix(theirs).and_then(|rest| params.find(&format!("{ours}{rest}")))
        };
        params.find(file_name).or_else(|| self.family.spellings.iter().find_map(respelled))
    }

    /// The name that the folder's files use for a parameter.
    pub fn file_name(&self, name: &str) -> Option<String> {
        let checkpoint = self.checkpoint.as_ref()?;
        names(self.family, name).into_iter().find(|name| checkpoint.info(name).is_some())
    }

    /// Whether a tensor of the files is a second copy of a tied embedding.
    pub fn repeats_embedding(&self, file_name: &str) -> bool {
        self.info.tied_head && names(self.family, "lm_head.weight").iter().any(|name| name == file_name)
    }

    fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        let wanted: Vec<Wanted> = self
            .blueprint
            .params
            .iter()
            .map(|(_, param)| {
                let wanted = Wanted::new(param.name.clone(), param.shape.clone());
                names(self.family, &param.name).into_iter().skip(1).fold(wanted, Wanted::or)
            })
            .collect();
        let ignorable = |name: &str| (self.family.ignorable)(name) || self.repeats_embedding(name);
        checkpoint.check(&wanted, &ignorable)
    }

    /// The same, of which the first `blocks` blocks will leave their matrices with the checkpoint, and bring them to the
    /// device when they work ([`Stream`]). Matrices in few bits stay on the device.
    pub fn streaming(self, blocks: usize) -> Self {
        Self { streamed: blocks.min(self.info.num_layers), ..self }
    }

    /// The same, whose blocks will be on several devices.
    pub fn spread(mut self, stages: Option<Stages>) -> Self {
        self.blueprint.stages = stages;
        self
    }

    /// Bytes of weights, as `dtype`, that can be read in a second: measured on the beginning of one matrix. None where
    /// nothing tells.
    pub fn reading_speed(&self, dtype: DType) -> Option<f64> {
        let model = &self.blueprint;
        let matrices = model.streamable().map(|(id, _)| model.params.get(id));
        let largest = matrices.max_by_key(|param| param.elements())?;
        self.checkpoint.as_ref()?.reading_speed(&self.file_name(&largest.name)?, dtype)
    }

    /// A matrix in the few bits that the model keeps it in: as [`load`](Self::load) packs it. None where it stays
    /// dense.
    ///
    /// # Errors
    /// When a file cannot be read, or holds what cannot be quantised.
    pub fn packed(&self, id: ParamId) -> Result<Option<Quantised>> {
        let found = self.blueprint.packed().find(|(packed, _)| *packed == id);
        let (Some((_, outputs)), Some(checkpoint), Some(quantization)) =
            (found, &self.checkpoint, self.blueprint.quantization)
        else {
            return Ok(None);
        };
        let name = &self.blueprint.params.get(id).name;
        let name = self.file_name(name).unwrap_or_else(|| name.clone());
        checkpoint.quantised(&name, quantization, outputs).map(Some)
    }

    /// Puts the weights on a device, as `dtype`; matrices in few bits are packed one by one, so that the dense model
    /// never exists as a whole.
    ///
    /// # Errors
    /// When a file cannot be read or quantised; `progress` gets loaded and total bytes.
    pub fn load(
        mut self,
        device: &Device,
        dtype: DType,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model> {
        let Some(checkpoint) = self.checkpoint.take() else {
            return Err(UserError::bad_input(Text::fixed(
                "The model folder has no weights",
                "模型文件夹中没有权重",
            ))
            .in_file(&self.dir));
        };
        let family = self.family;
        let checkpoint = Arc::new(checkpoint);
        let total: u64 = self.blueprint.params.elements();
        let mut done = 0;
        let packed = self.packing();
        let blocks = self.streamed_matrices();
        let mut streamed: Vec<Vec<Weak<Elsewhere>>> = vec![Vec::new(); self.streamed];
        self.blueprint.device = device.clone();
        let model = &self.blueprint;
        let places: Vec<Device> =
            model.params.iter().map(|(_, param)| model.place_of(&param.name).clone()).collect();
        for (param, device) in self.blueprint.params.iter_mut().zip(&places) {
            let name = names(family, &param.name)
                .into_iter()
                .find(|name| checkpoint.info(name).is_some())
                .unwrap_or_else(|| param.name.clone());
            let block = blocks.get(&param.name);
            param.value = match (packed.get(&param.name), block, param.shape.len()) {
                (Some(packing), ..) => {
                    packed_value(checkpoint.quantised(&name, packing.kind, packing.outputs)?, device)
                }
                (None, Some(block), _) => {
                    let source = StoredMatrix::new(Arc::clone(&checkpoint), name, dtype)?;
                    let matrix = Arc::new(Elsewhere::new(Box::new(source), device));
                    streamed[*block].push(Arc::downgrade(&matrix));
                    Value::Elsewhere(matrix)
                }
                (None, None, 1) => Value::Vector(load_tensor::<1>(&checkpoint, &name, device, dtype)?),
                (None, None, _) => Value::Matrix(load_tensor::<2>(&checkpoint, &name, device, dtype)?),
            };
            done += param.elements() as u64;
            progress(done, total);
        }
        self.blueprint.grow_read();
        self.blueprint.stream = (self.streamed > 0).then(|| Stream::new(streamed));
        Ok(self.placed(device, dtype))
    }

    /// A second model on the device of a first one, whose folder and new tokens are the same: it takes over the first's
    /// `values`, in the order of the parameters, and reads nothing.
    pub fn beside(mut self, values: Vec<Value>, device: &Device, dtype: DType) -> Model {
        for (param, value) in self.blueprint.params.iter_mut().zip(values) {
            param.value = value;
        }
        self.placed(device, dtype)
    }

    /// By name, the matrices that are kept in few bits.
    fn packing(&self) -> HashMap<String, Packing> {
        let Some(kind) = self.blueprint.quantization else { return HashMap::new() };
        let name = |id| self.blueprint.params.get(id).name.clone();
        self.blueprint.packed().map(|(id, outputs)| (name(id), Packing { kind, outputs })).collect()
    }

    /// By name, the matrices that stay with the checkpoint, and their block.
    fn streamed_matrices(&self) -> HashMap<String, usize> {
        let model = &self.blueprint;
        let chosen = model.streamable().filter(|(_, block)| *block < self.streamed);
        chosen.map(|(id, block)| (model.params.get(id).name.clone(), block)).collect()
    }

    /// Draws random weights instead of reading them: normal with the config's `initializer_range`,
    /// biases and what is added to 1 are 0, norms 1.
    pub fn initialise(mut self, device: &Device, dtype: DType, seed: u64) -> Model {
        let range = self.info.initializer_range;
        random_weights(&mut self.blueprint.params, range, device, dtype, seed);
        let packed = self.packing();
        for (index, param) in self.blueprint.params.iter_mut().enumerate() {
            if let (Some(packing), [rows, columns]) = (packed.get(&param.name), param.shape.as_slice()) {
                let (values, shape) = (initial_values(param, range, seed, index as u64), [*rows, *columns]);
                param.value =
                    packed_value(Quantised::new(&values, shape, packing.kind, packing.outputs), device);
            }
        }
        self.placed(device, dtype)
    }

    fn placed(mut self, device: &Device, dtype: DType) -> Model {
        self.blueprint.device = device.clone();
        self.blueprint.dtype = dtype;
        self.blueprint.settle();
        // Here, and never inside of a pass: what is tried runs and waits.
        for layer in 0..self.blueprint.info.num_layers {
            own::settle(self.blueprint.device_of(layer), dtype);
        }
        own::settle(device, dtype);
        self.blueprint
    }
}

/// How a matrix is kept in few bits.
struct Packing {
    kind: Quantization,
    outputs: Outputs,
}

fn packed_value(host: Quantised, device: &Device) -> Value {
    Value::Packed(Arc::new(Packed::new(host, device)))
}

/// Sizes that are each possible may not be so together; counts of bytes need not be checked for overflow after this.
fn refuse_giant(config: &ConfigJson, params: &ParamStore) -> Result<()> {
    let elements = |param: &Param| param.shape.iter().map(|size| *size as u128).product::<u128>();
    let total: u128 = params.iter().map(|(_, param)| elements(param)).sum();
    if total > MOST_PARAMETERS {
        config.problem(format!("{total} parameters in all, wanted at most {MOST_PARAMETERS}"));
    }
    config.finish()
}

/// Spellings of a parameter's name: the canonical one first.
fn names(family: &Family, name: &str) -> Vec<String> {
    let respelled = |(ours, theirs): &(&str, &str)| Some(format!("{theirs}{}", name.strip_prefix(ours)?));
    std::iter::once(name.to_owned()).chain(family.spellings.iter().filter_map(respelled)).collect()
}

fn unknown_family(config: &ConfigJson) -> UserError {
    let kind = config.model_type();
    let known: Vec<_> = FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
    let known = known.join(", ");
    UserError::bad_input(text!("Models of type `{kind}` are not supported", "不支持 `{kind}` 类型的模型"))
        .mend(text!("supported types are: {known}", "支持的类型有：{known}"))
        .at_item("model_type")
        .in_file(config.file())
}

/// Fills a store with random values, in the order of its parameters, from one stream a parameter.
pub fn random_weights(params: &mut ParamStore, range: f64, device: &Device, dtype: DType, seed: u64) {
    for (index, param) in params.iter_mut().enumerate() {
        let values = initial_values(param, range, seed, index as u64);
        param.value = on_device(values, &param.shape, device).cast(float_dtype(dtype));
    }
}

/// What a parameter of an adapter begins with, f32; its stream of random numbers is its own.
pub fn initial_value(param: &Param, device: &Device, seed: u64, stream: u64) -> Value {
    on_device(initial_values(param, 1.0, seed, stream), &param.shape, device)
}

fn on_device(values: Vec<f32>, shape: &[usize], device: &Device) -> Value {
    let data = TensorData::new(values, shape.to_vec());
    match shape.len() {
        1 => Value::Vector(Tensor::from_data(data, device)),
        _ => Value::Matrix(Tensor::from_data(data, device)),
    }
}

fn initial_values(param: &Param, range: f64, seed: u64, stream: u64) -> Vec<f32> {
    let len = param.elements();
    match param.initial {
        Initial::Zeros => vec![0.0; len],
        Initial::Ones => vec![1.0; len],
        Initial::Normal => draw(len, seed, stream, &|rng| normal(rng) * range),
        Initial::Spread(deviation) => draw(len, seed, stream, &|rng| normal(rng) * deviation),
        Initial::Uniform(bound) => draw(len, seed, stream, &|rng| (2.0 * unit(rng) - 1.0) * bound),
    }
}

fn draw(len: usize, seed: u64, stream: u64, number: &dyn Fn(&mut ChaCha8Rng) -> f64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    (0..len).map(|_| number(&mut rng) as f32).collect()
}

/// Between 0 and 1, neither of them.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (unit(rng), unit(rng));
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

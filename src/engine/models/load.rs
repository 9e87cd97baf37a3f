//! From a folder to a model on a device. Everything is checked before anything is allocated.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use protocol::{Result, Text, UserError, text};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value as Json};

use super::{Builder, ConfigJson, FAMILIES, Family, Model, ModelInfo, family_of};
use crate::nn::{Param, ParamId, ParamStore, Value, float_dtype};
use crate::weights::{Checkpoint, Wanted, load_tensor};

/// A model folder that was opened and checked, but not loaded.
pub struct ModelFolder {
    pub dir: PathBuf,
    pub config: ConfigJson,
    pub family: &'static Family,
    pub info: ModelInfo,
    blueprint: Model,
    /// None when the folder is only a config (training from scratch).
    pub checkpoint: Option<Checkpoint>,
}

impl ModelFolder {
    /// Opens a folder with weights.
    ///
    /// # Errors
    /// When config.json cannot be understood, or tensors and config disagree: all mismatches at once.
    pub fn open(dir: &Path, overrides: &Map<String, Json>) -> Result<Self> {
        let mut folder = Self::open_config(dir, overrides)?;
        let checkpoint = Checkpoint::open(dir)?;
        folder.check(&checkpoint)?;
        folder.checkpoint = Some(checkpoint);
        Ok(folder)
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
        let family = family_of(config.model_type()).ok_or_else(|| unknown_family(&config))?;
        let mut builder = Builder::default();
        let (decoder, info) = (family.build)(&config, &mut builder)?;
        let blueprint = Model {
            family,
            info: info.clone(),
            decoder,
            params: builder.params,
            sites: builder.sites,
            device: Device::flex(),
            dtype: DType::F32,
        };
        Ok(Self { dir: dir.to_owned(), config, family, info, blueprint, checkpoint: None })
    }

    /// Parameters and sites, not loaded.
    pub fn model(&self) -> &Model {
        &self.blueprint
    }

    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.blueprint
    }

    /// The parameter that a tensor of the files stands for.
    pub fn param_of(&self, file_name: &str) -> Option<ParamId> {
        let params = &self.blueprint.params;
        let long = || params.find(&format!("{}{file_name}", self.family.optional_prefix));
        params.find(file_name).or_else(long)
    }

    /// The name that the folder's files use for a parameter.
    pub fn file_name(&self, name: &str) -> Option<String> {
        let checkpoint = self.checkpoint.as_ref()?;
        names(self.family, name).into_iter().find(|name| checkpoint.info(name).is_some())
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
        let tied = self.info.tied_head;
        let ignorable = |name: &str| (self.family.ignorable)(name) || (tied && name == "lm_head.weight");
        checkpoint.check(&wanted, &ignorable)
    }

    /// Puts the weights on a device, as `dtype`.
    ///
    /// # Errors
    /// When a file cannot be read; `progress` gets loaded and total bytes.
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
        let total: u64 = self.blueprint.params.elements();
        let mut done = 0;
        for param in self.blueprint.params.iter_mut() {
            let name = names(family, &param.name)
                .into_iter()
                .find(|name| checkpoint.info(name).is_some())
                .unwrap_or_else(|| param.name.clone());
            param.value = match param.shape.len() {
                1 => Value::Vector(load_tensor::<1>(&checkpoint, &name, device, dtype)?),
                _ => Value::Matrix(load_tensor::<2>(&checkpoint, &name, device, dtype)?),
            };
            done += param.elements() as u64;
            progress(done, total);
        }
        Ok(self.placed(device, dtype))
    }

    /// Draws random weights instead of reading them: normal with the config's `initializer_range`,
    /// biases 0, norms 1.
    pub fn initialise(mut self, device: &Device, dtype: DType, seed: u64) -> Model {
        random_weights(&mut self.blueprint.params, self.info.initializer_range, device, dtype, seed);
        self.placed(device, dtype)
    }

    fn placed(mut self, device: &Device, dtype: DType) -> Model {
        self.blueprint.device = device.clone();
        self.blueprint.dtype = dtype;
        self.blueprint
    }
}

/// Spellings of a parameter's name: the canonical one first.
fn names(family: &Family, name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    if let Some(short) =
        name.strip_prefix(family.optional_prefix).filter(|_| !family.optional_prefix.is_empty())
    {
        all.push(short.to_owned());
    }
    all
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
        let data = TensorData::new(values, param.shape.clone());
        param.value = match param.shape.len() {
            1 => Value::Vector(Tensor::from_data(data, device)),
            _ => Value::Matrix(Tensor::from_data(data, device)),
        }
        .cast(float_dtype(dtype));
    }
}

fn initial_values(param: &Param, range: f64, seed: u64, stream: u64) -> Vec<f32> {
    let len = param.elements();
    match (param.shape.len(), param.name.ends_with(".bias")) {
        (1, true) => vec![0.0; len],
        (1, false) => vec![1.0; len],
        _ => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            (0..len).map(|_| (normal(&mut rng) * range) as f32).collect()
        }
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let unit = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let (u, v) = (unit(rng.next_u64()), unit(rng.next_u64()));
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

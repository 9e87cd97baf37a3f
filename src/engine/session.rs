//! What stays loaded between two commands: one model, and adapters that take turns on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use data::Encoder;
use protocol::config::DataConfig;
use protocol::{ModelRef, Prompt, Result, Text, UserError};

use crate::device::{self, Chosen};
use crate::methods::{Adapter, Member, Merged, Stack, check_weights, load_adapter};
use crate::models::{Model, ModelFolder};
use crate::nn::{AdapterView, Quantization};
use crate::room::blocks_elsewhere;
use crate::tokens::{common_tokens, growth_on, tokenizer_with};

/// What a loaded model was loaded from and how: folder, dtype, quantization, overrides.
type Key = (PathBuf, DType, Option<Quantization>, String);

/// The work thread's memory.
pub struct Session {
    pub chosen: Chosen,
    loaded: Option<Loaded>,
}

/// A model on the device with the adapters loaded so far.
pub struct Loaded {
    key: Key,
    pub model: Model,
    adapters: BTreeMap<PathBuf, Arc<dyn Adapter>>,
    /// What the adapters that speak are, and how they act on the model.
    speaking: (Vec<(PathBuf, f64)>, Speaking),
    /// The adapter whose tokens the model has now.
    tokens_from: Option<PathBuf>,
    /// Or why there is none: ids can be scored without a tokenizer.
    encoder: Result<Arc<Encoder>>,
    /// The newest of other templates that were asked for, by what the run file calls it.
    templated: Option<(String, Arc<Encoder>)>,
}

/// How adapters act on the loaded model.
enum Speaking {
    Base,
    /// Beside the matrices.
    Beside(Stack),
    /// In the matrices, whose earlier values are kept.
    Within(Merged),
}

impl Session {
    pub fn new(chosen: Chosen) -> Self {
        Self { chosen, loaded: None }
    }

    /// Frees the device: a run is about to begin.
    pub fn release(&mut self) {
        if self.loaded.take().is_some() {
            self.chosen.device.memory_cleanup();
        }
    }

    /// The model of a request, loaded if it is not the one at hand, with its adapters.
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub fn load(&mut self, wanted: &ModelRef, progress: &mut dyn FnMut(u64, u64)) -> Result<&Loaded> {
        let dtype = device::compute_dtype(&wanted.dtype, &self.chosen)?;
        let overrides = serde_json::Value::Object(wanted.overrides.clone()).to_string();
        let quantization = Quantization::from_name(&wanted.quantization)?;
        let key = (wanted.path.clone(), dtype, quantization, overrides);
        if self.loaded.as_ref().is_none_or(|loaded| loaded.key != key) {
            self.release();
            let folder = ModelFolder::of(wanted)?;
            let streamed = blocks_elsewhere(&folder, dtype, &self.chosen)?;
            let model = folder.streaming(streamed).load(&self.chosen.device, dtype, progress)?;
            let encoder = open_encoder(&wanted.path, None, None);
            self.loaded = Some(Loaded {
                key,
                model,
                adapters: BTreeMap::new(),
                speaking: (Vec::new(), Speaking::Base),
                tokens_from: None,
                encoder,
                templated: None,
            });
        }
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        for dir in &wanted.adapters {
            if !loaded.adapters.contains_key(dir) {
                loaded.use_tokens(std::slice::from_ref(dir))?;
                loaded.adapters.insert(dir.clone(), load_adapter(dir, &loaded.model)?.into());
            }
        }
        Ok(loaded)
    }

    /// As [`load`](Self::load), with those adapters at work that the request names: the one of that number, or all of
    /// them where they have weights; none without a number.
    ///
    /// # Errors
    /// When there is no such adapter, or it cannot act as it is asked to.
    pub fn speak(
        &mut self,
        wanted: &ModelRef,
        number: Option<usize>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<&Loaded> {
        self.load(wanted, progress)?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        loaded.set_speaking(speakers(wanted, number)?, wanted.merged)?;
        Ok(loaded)
    }

    /// Makes the loaded model's [`encoder_for`](Loaded::encoder_for) ready for a template.
    ///
    /// # Errors
    /// When the template cannot be read.
    pub fn use_template(&mut self, template: &str) -> Result<()> {
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        if loaded.templated.as_ref().is_none_or(|(known, _)| known != template) {
            let encoder = open_encoder(&loaded.key.0, loaded.tokens_from.as_ref(), Some(template))?;
            loaded.templated = Some((template.to_owned(), encoder));
        }
        Ok(())
    }
}

impl Loaded {
    /// The adapters at work, as layers see them.
    pub fn adapter(&self) -> Option<&dyn AdapterView> {
        match &self.speaking.1 {
            Speaking::Beside(stack) => Some(stack),
            Speaking::Base | Speaking::Within(_) => None,
        }
    }

    /// Leaves the base alone.
    fn silence(&mut self) {
        let before = std::mem::replace(&mut self.speaking, (Vec::new(), Speaking::Base));
        if let Speaking::Within(merged) = before.1 {
            merged.undo(&mut self.model);
        }
    }

    /// Gives the model the tokens that adapters were made with, or its own again. Nobody speaks any more where these
    /// are others.
    fn use_tokens(&mut self, adapters: &[PathBuf]) -> Result<()> {
        let extension = common_tokens(adapters)?;
        let now = self.model.growth.as_ref().map(|growth| &growth.extension.record);
        if now == extension.as_ref().map(|extension| &extension.record) {
            return Ok(());
        }
        self.silence();
        self.tokens_from = adapters.first().filter(|_| extension.is_some()).cloned();
        self.model.resize(growth_on(extension, self.model.base_vocabulary())?)?;
        self.encoder = open_encoder(&self.key.0, self.tokens_from.as_ref(), None);
        self.templated = None;
        Ok(())
    }

    fn set_speaking(&mut self, wanted: Vec<(PathBuf, f64)>, merged: bool) -> Result<()> {
        let dirs: Vec<PathBuf> = wanted.iter().map(|(dir, _)| dir.clone()).collect();
        self.use_tokens(&dirs)?;
        if self.speaking.0 == wanted && merged == matches!(self.speaking.1, Speaking::Within(_)) {
            return Ok(());
        }
        self.silence();
        let member = |(dir, weight): &(PathBuf, f64)| {
            Some(Member { adapter: self.adapters.get(dir)?.clone(), weight: *weight })
        };
        let members: Vec<Member> = wanted.iter().filter_map(member).collect();
        let speaking = match (members.is_empty(), merged) {
            (true, _) => Speaking::Base,
            (false, true) => Speaking::Within(Merged::into(&mut self.model, &members)?),
            (false, false) => Speaking::Beside(Stack::new(&self.model, members)?),
        };
        self.speaking = (wanted, speaking);
        Ok(())
    }

    /// # Errors
    /// When the model's folder has no tokenizer that can be used, or a template that cannot be read.
    pub fn encoder(&self) -> Result<&Encoder> {
        self.encoder.as_deref().map_err(Clone::clone)
    }

    /// The encoder that a prompt is rendered with.
    ///
    /// # Errors
    /// As [`encoder`](Self::encoder).
    pub fn encoder_for(&self, prompt: &Prompt) -> Result<&Encoder> {
        match (prompt, &self.templated) {
            (Prompt::Templated { template, .. }, Some((known, encoder))) if known == template => Ok(encoder),
            _ => self.encoder(),
        }
    }
}

/// Folders and weights of the adapters that a request wants at work.
fn speakers(wanted: &ModelRef, number: Option<usize>) -> Result<Vec<(PathBuf, f64)>> {
    let Some(number) = number else { return Ok(Vec::new()) };
    if !wanted.weights.is_empty() {
        check_weights(wanted)?;
        return Ok(wanted.adapters.iter().cloned().zip(wanted.weights.iter().copied()).collect());
    }
    let dir = wanted.adapters.get(number).ok_or_else(|| {
        UserError::bad_input(Text::fixed("There is no adapter of that number", "没有该编号的适配器"))
    })?;
    Ok(vec![(dir.clone(), 1.0)])
}

/// With the model's own template, or with another one.
/// With the model's own template, or with another one; with the tokens of an adapter where it has its own.
///
/// # Errors
/// When the folder has no tokenizer that can be used, or the template cannot be read.
pub(crate) fn open_encoder(
    path: &Path,
    adapter: Option<&PathBuf>,
    template: Option<&str>,
) -> Result<Arc<Encoder>> {
    let mut data = DataConfig::default();
    if let Some(template) = template {
        template.clone_into(&mut data.template);
    }
    let tokenizer = Arc::new(tokenizer_with(path, adapter)?);
    Ok(Arc::new(Encoder::with_tokenizer(tokenizer, &data, path, None)?))
}

fn nothing_loaded() -> UserError {
    UserError::failure(Text::fixed("No model is loaded", "没有加载模型"))
}

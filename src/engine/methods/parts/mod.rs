//! Adapters put together from parts at places of a model: what the small methods are made of.

mod files;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use protocol::{Result, TargetReport, Text};
use serde_json::{Map, Value as Json};

use super::peft::{self, PREFIX};
use super::{Adapter, Footprint};
use crate::models::{Front, Model, initial_value};
use crate::nn::{
    AdapterView, BlockAdapter, Decay, HeldBeside, Initial, Param, ParamId, ParamStore, Reads, SiteAdapter,
    SiteId, Space, Value,
};

pub use files::{Stored, declare_copy, does_not_fit, read, shapes, vector};

/// What stands at one matrix of the model.
pub trait SitePart: SiteAdapter {
    /// Whether its gradient needs what the matrix reads.
    fn reads(&self) -> bool {
        false
    }

    /// The base parameter with this part worked into it, from its f32 value; None where the part leaves it alone.
    fn merged(&self, params: &ParamStore, base: ParamId, value: &Value) -> Option<Value>;
}

/// New parameters beside a frozen model, and where each of them works.
#[derive(Clone)]
pub struct Parts {
    pub params: ParamStore,
    pub sites: BTreeMap<SiteId, Arc<dyn SitePart>>,
    pub blocks: BTreeMap<usize, Arc<dyn BlockAdapter>>,
    /// Base parameter → the trained copy of it.
    replacements: BTreeMap<ParamId, ParamId>,
    /// `adapter_config.json`, without the base's path.
    pub config: Map<String, Json>,
    /// Why this cannot become part of the base's own matrices.
    pub not_mergeable: Option<Text>,
    /// Elements for every token that the parts of one block keep for their gradients.
    pub kept: usize,
    /// One line for each place: module path and elements.
    targets: Vec<(String, u64)>,
}

impl Parts {
    pub fn new(config: Map<String, Json>) -> Self {
        Self {
            params: ParamStore::new(Space::Adapter),
            sites: BTreeMap::new(),
            blocks: BTreeMap::new(),
            replacements: BTreeMap::new(),
            config,
            not_mergeable: None,
            kept: 0,
            targets: Vec::new(),
        }
    }

    /// Declares a new trained parameter of the part at module path `path`.
    pub fn declare(
        &mut self,
        path: &str,
        name: String,
        shape: &[usize],
        decay: Decay,
        initial: Initial,
    ) -> ParamId {
        let mut param = Param::new(name, shape, decay).initially(initial);
        param.trainable = true;
        self.count(path, param.elements() as u64);
        self.params.declare(param)
    }

    /// Declares a trained copy of a base parameter, called `name` in the adapter's file.
    pub fn replace(&mut self, model: &Model, base: ParamId, name: String) {
        let source = model.params.get(base);
        let mut param = Param::new(name, &source.shape, source.decay);
        param.trainable = true;
        let path = source.name.rsplit_once('.').map_or(source.name.as_str(), |(path, _)| path);
        self.count(path, param.elements() as u64);
        let copy = self.params.declare(param);
        self.replacements.insert(base, copy);
    }

    fn count(&mut self, path: &str, elements: u64) {
        match self.targets.iter_mut().find(|(known, _)| known == path) {
            Some((_, sum)) => *sum += elements,
            None => self.targets.push((path.to_owned(), elements)),
        }
    }

    /// Gives every parameter the value that training begins with: copies those of the base, others as declared.
    pub fn begin(mut self, model: &Model, seed: u64) -> Self {
        for (base, copy) in &self.replacements {
            let value = model.params.get(*base).value.clone();
            self.params.get_mut(*copy).value = value.cast(FloatDType::F32);
        }
        draw(&mut self.params, &model.device, seed);
        self
    }

    /// What training would add.
    pub fn footprint(self, model: &Model, base: &Path) -> Footprint {
        let reads = Reads::of(&model.sites, |site| {
            let part = self.sites.get(&site.id).is_some_and(|part| part.reads());
            part || self.replacements.contains_key(&site.weight)
        });
        let report = |(path, parameters)| TargetReport { path, rank: 0, alpha: 0.0, parameters };
        Footprint {
            extra_bytes: 0,
            beside: HeldBeside { kept: self.kept, matrix: 0, reads },
            front: Front::default(),
            own: Vec::new(),
            stored: None,
            targets: self.targets.into_iter().map(report).collect(),
            adapter_config: peft::with_base(self.config, &base.display().to_string()),
            added: self.params,
        }
    }
}

/// Draws what has no value yet.
pub fn draw(params: &mut ParamStore, device: &Device, seed: u64) {
    /// Apart from those of LoRA and of random models.
    const STREAMS: u64 = 0x20_0000;
    for (index, param) in params.iter_mut().enumerate() {
        if matches!(param.value, Value::Absent) {
            param.value = initial_value(param, device, seed, STREAMS + index as u64);
        }
    }
}

impl AdapterView for Parts {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn site(&self, site: SiteId) -> Option<&dyn SiteAdapter> {
        self.sites.get(&site).map(|part| part.as_ref() as &dyn SiteAdapter)
    }

    fn replacement(&self, base: ParamId) -> Option<ParamId> {
        self.replacements.get(&base).copied()
    }

    fn block(&self, layer: usize) -> Option<&dyn BlockAdapter> {
        self.blocks.get(&layer).map(Arc::as_ref)
    }
}

impl Adapter for Parts {
    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.params
    }

    fn apart(&self) -> Box<dyn Adapter> {
        Box::new(self.clone())
    }

    fn view(&self) -> &dyn AdapterView {
        self
    }

    fn save(&self, dir: &Path, base: &str) -> Result<()> {
        let config = peft::with_base(self.config.clone(), base);
        peft::write(dir, &config, &self.params, &|name| format!("{PREFIX}{name}"))
    }

    fn merged(&self, base: ParamId, value: &Value) -> Option<Value> {
        if let Some(copy) = self.replacements.get(&base) {
            return Some(self.params.get(*copy).value.clone());
        }
        self.sites.values().find_map(|part| part.merged(&self.params, base, value))
    }

    fn not_mergeable(&self) -> Option<&Text> {
        self.not_mergeable.as_ref()
    }
}

//! What a method adds to a model, from shapes alone: nothing is loaded and nothing is drawn. The same code declares
//! the parameters here and where training attaches the method, so that the two cannot differ.

use protocol::TargetReport;
use serde_json::{Map, Value as Json};

use super::{front, peft};
use crate::models::{Front, Model};
use crate::nn::{HeldBeside, ParamId, ParamStore, Site};

/// The parameters of a method on one model.
pub struct Footprint {
    /// Parameters of the model itself that are trained.
    pub own: Vec<ParamId>,
    /// What the method adds; empty where the model itself is trained.
    pub added: ParamStore,
    /// What the adapter's files hold, where that is laid out otherwise than what is trained.
    pub stored: Option<ParamStore>,
    /// What its products hold in training.
    pub beside: HeldBeside,
    /// What the method has in front of every row.
    pub front: Front,
    /// Every matrix that is adapted, in the model's order.
    pub targets: Vec<TargetReport>,
    /// `adapter_config.json` of the result; empty where the model itself is trained.
    pub adapter_config: Map<String, Json>,
    /// Of the result's files besides the adapter's own: an extended tokenizer.
    pub extra_bytes: u64,
}

impl Footprint {
    /// Trained elements, of the method on this model.
    pub fn trainable(&self, model: &Model) -> u64 {
        self.own_elements(model) + self.added.trainable_elements()
    }

    /// Trained elements of the model itself.
    pub fn own_elements(&self, model: &Model) -> u64 {
        self.own.iter().map(|id| model.params.get(*id).elements() as u64).sum()
    }

    /// Whether parameters of the model itself are trained.
    pub fn is_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether a matrix of the model is itself trained, and not only what stands beside it.
    pub fn trains(&self, model: &Model, site: &Site) -> bool {
        let elements = model.params.get(site.weight).elements() as u64;
        let whole = |target: &TargetReport| target.path == site.path && target.parameters >= elements;
        self.is_own() && self.targets.iter().any(whole)
    }

    /// Whether the result is an adapter folder rather than a model.
    pub fn is_adapter(&self) -> bool {
        !self.adapter_config.is_empty()
    }

    /// The parameters in the adapter's files.
    pub fn in_files(&self) -> &ParamStore {
        self.stored.as_ref().unwrap_or(&self.added)
    }

    /// Bytes of the adapter's files.
    pub fn adapter_bytes(&self) -> u64 {
        if self.is_adapter() {
            file_bytes(&self.adapter_config, self.in_files()) + self.extra_bytes
        } else {
            0
        }
    }
}

/// Bytes of an adapter folder's files, by their config and tensors.
pub(super) fn file_bytes(config: &Map<String, Json>, params: &ParamStore) -> u64 {
    front::bytes(config, params).unwrap_or_else(|| peft::bytes(config, params))
}

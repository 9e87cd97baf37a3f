//! What a method adds to a model, from shapes alone: nothing is loaded and nothing is drawn. The same code declares
//! the parameters here and where training attaches the method, so that the two cannot differ.

use protocol::TargetReport;
use serde_json::{Map, Value as Json};

use super::peft;
use crate::models::Model;
use crate::nn::{ParamId, ParamStore};

/// The parameters of a method on one model.
pub struct Footprint {
    /// Parameters of the model itself that are trained.
    pub own: Vec<ParamId>,
    /// What the method adds; empty where the model itself is trained.
    pub added: ParamStore,
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

    /// Whether the result is an adapter folder rather than a model.
    pub fn is_adapter(&self) -> bool {
        !self.adapter_config.is_empty()
    }

    /// Bytes of the adapter's files.
    pub fn adapter_bytes(&self) -> u64 {
        if self.is_adapter() { peft::bytes(&self.adapter_config, &self.added) + self.extra_bytes } else { 0 }
    }
}

//! A set of LoRA sites with their parameters.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::Result;

use super::site::LoraSite;
use super::{files, stored};
use crate::methods::Adapter;
use crate::nn::{AdapterView, ParamId, ParamStore, SiteAdapter, SiteId, Space, Value};

/// A LoRA adapter on one model.
#[derive(Clone)]
pub struct LoraAdapter {
    pub(super) params: ParamStore,
    pub(super) sites: BTreeMap<SiteId, LoraSite>,
    /// Base parameter → the adapter's copy of it, trained whole.
    pub(super) replacements: BTreeMap<ParamId, ParamId>,
    pub(super) identity: files::Identity,
}

impl LoraAdapter {
    pub(super) fn new(identity: files::Identity) -> Self {
        Self {
            params: ParamStore::new(Space::Adapter),
            sites: BTreeMap::new(),
            replacements: BTreeMap::new(),
            identity,
        }
    }

    fn matrix(&self, id: ParamId) -> Option<burn::tensor::Tensor<2>> {
        match &self.params.get(id).value {
            Value::Matrix(matrix) => Some(matrix.clone()),
            Value::Vector(_) | Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => None,
        }
    }

    /// The factors of the ordinary LoRA that a site is; None where they are not loaded.
    pub(super) fn factors(&self, site: &LoraSite) -> Option<[burn::tensor::Tensor<2>; 2]> {
        let start = match site.start {
            Some([a, b]) => Some([self.matrix(a)?, self.matrix(b)?]),
            None => None,
        };
        Some(site.joined(self.matrix(site.a)?, self.matrix(site.b)?, start))
    }

    /// A bias of the base with what LoRA's own bias adds.
    fn merge_bias(&self, base: ParamId, bias: &Value) -> Option<Value> {
        let own = self
            .sites
            .values()
            .find_map(|site| site.bias.filter(|[frozen, _]| *frozen == base).map(|[_, own]| (site, own)));
        let (site, own) = own?;
        match (bias, &self.params.get(own).value) {
            (Value::Vector(bias), Value::Vector(own)) => {
                Some(Value::Vector(bias.clone() + own.clone() * site.scale))
            }
            _ => None,
        }
    }

    fn merge_site(&self, site: &LoraSite, weight: burn::tensor::Tensor<2>) -> Option<Value> {
        let [a, b] = self.factors(site)?;
        let sum = site.merge(weight.clone(), a.clone(), b.clone());
        let Some(magnitude) = site.magnitude else { return Some(Value::Matrix(sum)) };
        let Value::Vector(magnitude) = &self.params.get(magnitude).value else { return None };
        let factors = magnitude.clone() / site.row_norm(weight, a, b);
        Some(Value::Matrix(site.rescaled(sum, factors)))
    }
}

impl AdapterView for LoraAdapter {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn site(&self, site: SiteId) -> Option<&dyn SiteAdapter> {
        self.sites.get(&site).map(|site| site as &dyn SiteAdapter)
    }

    fn replacement(&self, base: ParamId) -> Option<ParamId> {
        self.replacements.get(&base).copied()
    }
}

impl Adapter for LoraAdapter {
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
        files::save(self, dir, base)
    }

    fn copy_from(&mut self, other: &dyn Adapter) -> Result<()> {
        stored::take(self, other.params())
    }

    fn merged(&self, base: ParamId, value: &Value) -> Option<Value> {
        let replaced = self.replacements.get(&base).map(|id| self.params.get(*id).value.clone());
        let start = replaced.clone().unwrap_or_else(|| value.clone());
        let site = self.sites.values().find(|site| site.weight == base);
        match (site, start.matrix()) {
            (Some(site), Some(weight)) => self.merge_site(site, weight),
            (Some(_), None) => replaced,
            (None, _) => self.merge_bias(base, &start).or(replaced),
        }
    }
}

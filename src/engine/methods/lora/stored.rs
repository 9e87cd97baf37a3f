//! An adapter as its files have it: one ordinary LoRA on each matrix, whatever it is made of, on the base as it is.
//!
//! Parts of a fused matrix become one LoRA of rank·parts with alpha·parts (the same scale); a start that takes its part of
//! the weights becomes PEFT's conversion, A' = [A; A₀] and B' = [B, −B₀] (`path_initial_model_for_weight_conversion`).
//! Both are exact, and so is the way back.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use protocol::{Result, Text, UserError};

use super::adapter::LoraAdapter;
use super::site::LoraSite;
use crate::methods::adapter::{mismatches, refuse_mismatch};
use crate::nn::{Param, ParamId, ParamStore, Space, Value};

/// The parameters in the adapter's files; values where there are some.
pub fn stored(adapter: &LoraAdapter) -> ParamStore {
    let mut store = ParamStore::new(Space::Adapter);
    let joined = || adapter.sites.values().filter(|site| is_joined(site));
    let starts: BTreeSet<ParamId> = joined().filter_map(|site| site.start).flatten().collect();
    let sites: BTreeMap<ParamId, &LoraSite> =
        joined().flat_map(|site| [(site.a, site), (site.b, site)]).collect();
    for (id, param) in adapter.params.iter().filter(|(id, _)| !starts.contains(id)) {
        let Some(site) = sites.get(&id) else {
            store.declare(param.clone());
            continue;
        };
        let of_a = site.a == id;
        let shape = if of_a {
            [site.stored_rank(), param.shape[1]]
        } else {
            [outputs(adapter, site), site.stored_rank()]
        };
        let mut joined = Param::new(param.name.clone(), &shape, param.decay);
        joined.trainable = param.trainable;
        if let Some([a, b]) = adapter.factors(site) {
            joined.value = Value::Matrix(if of_a { a } else { b });
        }
        store.declare(joined);
    }
    store
}

/// Whether a site's files hold something else than its parameters.
fn is_joined(site: &LoraSite) -> bool {
    site.slices.is_some() || site.start.is_some()
}

fn outputs(adapter: &LoraAdapter, site: &LoraSite) -> usize {
    match &site.slices {
        Some(slices) => slices.fused.groups * slices.fused.period(),
        None => adapter.params.get(site.b).shape[0],
    }
}

/// Takes over what files hold.
///
/// # Errors
/// When parameters are missing or have other shapes, or a LoRA on a whole matrix is no sum of ones on its parts.
pub fn take(adapter: &mut LoraAdapter, from: &ParamStore) -> Result<()> {
    refuse_mismatch(mismatches(&stored(adapter), from))?;
    let sites: Vec<LoraSite> = adapter.sites.values().filter(|site| is_joined(site)).cloned().collect();
    for param in adapter.params.iter_mut() {
        if let Some(id) = from.find(&param.name) {
            param.value = from.get(id).value.clone();
        }
    }
    let problems: Vec<String> =
        sites.iter().filter_map(|site| take_site(adapter, site, from).err()).collect();
    refuse_mismatch(problems)
}

/// Splits the factors that now stand in the places of A and B; an error is a line for the user.
fn take_site(adapter: &mut LoraAdapter, site: &LoraSite, from: &ParamStore) -> Result<(), String> {
    let found =
        [site.a, site.b].map(|id| from.find(&adapter.params.get(id).name).map(|id| &from.get(id).value));
    let [Some(Value::Matrix(a)), Some(Value::Matrix(b))] = found else { return Ok(()) };
    let rank = site.slices.as_ref().map_or(site.rank, super::slices::Slices::joint_rank);
    let part = |at: usize| [a.clone().narrow(0, at * rank, rank), b.clone().narrow(1, at * rank, rank)];
    let own = part(0);
    set(adapter, site, [site.a, site.b], own)?;
    if let Some(start) = site.start {
        let [a, b] = part(1);
        set(adapter, site, start, [a, b.neg()])?;
    }
    Ok(())
}

fn set(
    adapter: &mut LoraAdapter,
    site: &LoraSite,
    [a_id, b_id]: [ParamId; 2],
    [a, b]: [Tensor<2>; 2],
) -> Result<(), String> {
    let compact = match &site.slices {
        None => b,
        Some(slices) => {
            let compact = slices.gather(&b);
            let rest = (slices.scatter(compact.clone()) - b).abs().max();
            let rest = crate::weights::read_f32(&Value::Vector(rest)).map_err(|err| err.to_string())?;
            if rest.first().is_none_or(|rest| *rest != 0.0) {
                return Err(format!("{}: not made of parts", adapter.params.get(b_id).name));
            }
            compact
        }
    };
    adapter.params.get_mut(a_id).value = Value::Matrix(a);
    adapter.params.get_mut(b_id).value = Value::Matrix(compact);
    Ok(())
}

/// There is nothing that a start could take its factors from.
pub fn no_weights(path: &str) -> UserError {
    UserError::bad_input(Text::fixed(
        "This start takes its factors from the weights, which are not loaded",
        "该初始化方式从权重计算因子，但权重尚未加载",
    ))
    .at_item(path)
    .mend(Text::fixed("use `init = \"default\"`", "请使用 `init = \"default\"`"))
}

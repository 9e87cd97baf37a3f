//! Numbers against transformers and PEFT, for every golden case of the families and methods that exist.
//! `EMBERWRIGHT_TEST_DEVICE` (`cpu`, `cuda:0`, `wgpu` in a build with that feature) chooses where they are computed; on an
//! NVIDIA GPU tolerances are ten times as wide.

mod adapterhub;
mod cpm;
mod halves;
mod methods;
mod models;
mod pissa;
mod quantised;
mod seed;

pub use models::integers;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use engine::device::{Chosen, choose};
use engine::models::{FAMILIES, Model, ModelFolder};
use engine::nn::{Quantization, Value};
use engine::weights::{open_file, read_f32};
use serde_json::Value as Json;

use crate::common;

/// The device under test.
pub fn chosen() -> Chosen {
    choose(&std::env::var("EMBERWRIGHT_TEST_DEVICE").unwrap_or_else(|_| "cpu".into())).unwrap()
}

/// Factor on every tolerance of the index, which is for f32 on a CPU.
pub fn slack(chosen: &Chosen) -> f64 {
    if chosen.report.kind == protocol::DeviceKind::Cuda { 10.0 } else { 1.0 }
}

pub fn load(dir: &Path, device: &Device) -> Model {
    load_in(dir, device, DType::F32)
}

pub fn load_in(dir: &Path, device: &Device, dtype: DType) -> Model {
    load_quantised(dir, device, dtype, None)
}

pub fn load_quantised(dir: &Path, device: &Device, dtype: DType, kind: Option<Quantization>) -> Model {
    let folder = ModelFolder::open(dir, &serde_json::Map::new()).unwrap().quantised(kind);
    folder.load(device, dtype, &mut |_, _| {}).unwrap()
}

pub fn json(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Index entries of a kind whose base family is known, with the case's folder; counts what is not at hand.
pub fn cases(kind: &str) -> Vec<(Json, PathBuf)> {
    let index = json(&common::golden("index.json").unwrap());
    let known = |entry: &Json| {
        let model_type = entry["model_type"].as_str();
        model_type.is_none_or(|name| FAMILIES.iter().any(|family| family.model_types.contains(&name)))
    };
    let wanted: Vec<Json> = index["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == kind && known(entry))
        .cloned()
        .collect();
    let total = wanted.len();
    let found: Vec<(Json, PathBuf)> = wanted
        .into_iter()
        .filter_map(|entry| common::golden(entry["case"].as_str().unwrap()).map(|dir| (entry, dir)))
        .collect();
    common::skipped(total - found.len(), &format!("golden cases of kind {kind}"));
    found
}

pub fn floats(file: &Path, name: &str) -> Vec<f32> {
    open_file(file).unwrap().read_f32(name).unwrap()
}

pub fn values(value: &Value) -> Vec<f32> {
    read_f32(value).unwrap()
}

/// Largest absolute difference; infinite where one is not a number.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) })
}

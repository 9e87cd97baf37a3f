//! GGUF models: the head, the architecture that it names, config and tensors made of both.

use burn::tensor::{DType, Device};
use engine::export::export;
use engine::models::{ConfigJson, FAMILIES, Family, ModelFolder};
use engine::weights::{Checkpoint, FileDtype, Planned, ShardPlan, read_f32};
use protocol::{Control, ExportRequest, ExportTarget, ModelRef, Result};
use serde_json::Map;

use super::{DECLARED, read_tensors};
use crate::common::root;
use crate::harness::{Input, Run, Target};

const FILE: &str = "model.gguf";

pub fn target() -> Target {
    Target { memory: DECLARED, ..Target::new(seeds, start) }
}

fn start() -> Run {
    Box::new(|folder| {
        let checkpoint = Checkpoint::open(folder)?;
        let said = read_tensors(&checkpoint)?;
        let model = ModelFolder::open(folder, &Map::new())?;
        Ok(format!("{} {said}", model.family.id))
    })
}

/// A small model of every family that GGUF is written for, in two formats of numbers.
fn seeds() -> Vec<Input> {
    let fixtures = ["kinds.gguf", "refused.gguf"];
    let fixtures = fixtures.map(|name| std::fs::read(root().join("tests/fixtures/gguf").join(name)).unwrap());
    let mut seeds: Vec<Input> = fixtures.map(|bytes| Input::of(FILE, bytes)).to_vec();
    for family in FAMILIES {
        let folder = model(family);
        for dtype in ["f32", "q8_0"] {
            if let Ok(bytes) = exported(folder.path(), dtype) {
                seeds.push(Input::of(FILE, bytes));
            }
        }
    }
    assert!(seeds.len() > 10, "hardly a family is written as GGUF");
    seeds
}

/// A folder with the family's tiny model.
fn model(family: &Family) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), family.tiny).unwrap();
    let config = ConfigJson::from_map(serde_json::from_str(family.tiny).unwrap());
    let model =
        ModelFolder::from_config(dir.path(), config).unwrap().initialise(&Device::flex(), DType::F32, 1);
    let planned = model.params.iter().map(|(_, param)| Planned {
        name: param.name.clone(),
        dtype: FileDtype::F32,
        shape: param.shape.clone(),
    });
    let plan = ShardPlan::new("model", planned.collect(), u64::MAX).unwrap();
    plan.write(dir.path(), |tensor, sink| {
        let id = model.params.find(&tensor.name).unwrap();
        sink.put_f32(&read_f32(&model.params.get(id).value)?)
    })
    .unwrap();
    dir
}

fn exported(model: &std::path::Path, dtype: &str) -> Result<Vec<u8>> {
    let out = model.join(dtype);
    let request = ExportRequest {
        model: ModelRef { path: model.into(), ..ModelRef::default() },
        target: ExportTarget("gguf".into()),
        dtype: dtype.into(),
        out: out.clone(),
        merge_into: protocol::MergeInto::Original,
        verify: false,
        rows: None,
        shard_bytes: u64::MAX,
    };
    export(&request, &Device::flex(), DType::F32, &Control::default(), &|_, _| {})?;
    let file = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "gguf"));
    Ok(std::fs::read(file.unwrap()).unwrap())
}

//! Adapter folders: `adapter_config.json` and the tensors beside it, or OpenDelta's files, put on a small model.

use burn::tensor::{DType, Device};
use engine::methods::{Attach, OPENDELTA_FILES, adapter_bytes, attach, load_adapter, opendelta_from_peft};
use engine::models::{ConfigJson, FAMILIES, Model, ModelFolder};
use protocol::config::MethodConfig;
use serde_json::json;

use crate::harness::{Input, Run, Target};

const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

pub fn target() -> Target {
    Target::new(seeds, start)
}

fn model() -> Model {
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let config = ConfigJson::from_map(serde_json::from_str(family.tiny).unwrap());
    let folder = ModelFolder::from_config("model".as_ref(), config).unwrap();
    folder.initialise(&Device::flex(), DType::F32, 1)
}

fn start() -> Run {
    let model = model();
    Box::new(move |folder| {
        let adapter = load_adapter(folder, &model)?;
        let bytes = adapter_bytes(&model, folder)?;
        Ok(format!("{} parameters {}", adapter.params().iter().count(), bytes.ilog2()))
    })
}

fn seeds() -> Vec<Input> {
    let settings = [
        json!({"rank": 2, "targets": "auto"}),
        json!({"rank": 1, "targets": ["q"], "rslora": true}),
        json!({"rank": 2, "targets": ["down"], "alpha": 3.5}),
    ];
    let delta = json!({"rank": 2, "targets": ["q", "v"]});
    settings.into_iter().map(|settings| save(settings, false)).chain([save(delta, true)]).collect()
}

fn save(settings: serde_json::Value, as_delta: bool) -> Input {
    let serde_json::Value::Object(params) = settings else { panic!("an object") };
    let config = MethodConfig { params, ..MethodConfig::default() };
    let mut model = model();
    let context = Attach { seed: 1, learning_rate: 1e-4 };
    let adapter = attach(&mut model, &config, &context).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), "base").unwrap();
    if as_delta {
        opendelta_from_peft(folder.path()).unwrap();
        return Input::copied(folder.path(), &OPENDELTA_FILES);
    }
    Input::copied(folder.path(), &FILES)
}

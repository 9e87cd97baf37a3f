//! `config.json` of every family: sizes that no model has must neither allocate nor loop.

use burn::tensor::Device;
use engine::memory::{Needs, forecast};
use engine::models::{FAMILIES, Family, Front, ModelFolder, Rows};
use engine::nn::HeldBeside;
use engine::train::Layout;
use protocol::Result;
use serde_json::{Map, Value, json};

use super::DECLARED;
use crate::common::{golden, skipped};
use crate::harness::{Input, Run, Target};

pub const FILE: &str = "config.json";
/// Sizes up to which a pass over three tokens is prepared.
const SMALL: usize = 4096;
/// The largest size that is read.
const LARGEST: u64 = 1 << 24;
/// Golden configs; the complete set lies beside the project.
const CASES: [&str; 16] = [
    "gpt2-base",
    "llama-gqa-llama3",
    "llama-rope-yarn",
    "llama-rope-dynamic",
    "mistral-sliding",
    "gemma2-softcap",
    "gemma3-text",
    "phi3-longrope",
    "minicpm3-mla",
    "mixtral-moe",
    "qwen2moe-shared",
    "falcon-new",
    "bloom-alibi",
    "seed/chatglm-6b-v1",
    "seed/baichuan2-13b",
    "seed/cpmbee-model",
];

pub fn target() -> Target {
    let start = || -> Run { Box::new(|folder| describe(&ModelFolder::open_config(folder, &Map::new())?)) };
    Target { memory: DECLARED, ..Target::new(seeds, start) }
}

/// What is asked of a model before its weights are read.
fn describe(folder: &ModelFolder) -> Result<String> {
    let (model, info) = (folder.model(), &folder.info);
    let needs = Needs {
        model,
        frozen: model.params.elements(),
        quantization: None,
        trained: 0,
        element: 4,
        optimizer_bytes: 0,
        rows: 1,
        time: 3,
        front: Front::default(),
        beside: HeldBeside::default(),
        answer: 3,
        accumulates: true,
        packed: false,
        base_learns: false,
        fused: true,
        own: Default::default(),
        workers: 1,
    };
    let need = forecast(&needs, &Layout::keeping(0), 1 << 40);
    assert!(need.total >= need.weights);
    let names = model.params.iter().map(|(_, param)| folder.param_of(&param.name)).filter(Option::is_some);
    assert_eq!(names.count(), model.params.iter().count());
    if info.head_dim <= SMALL && info.hidden <= SMALL && info.heads <= SMALL {
        drop(model.decoder.positions(info, &Rows::fresh(&[1, 2, 3], 1), &Device::flex()));
    }
    Ok(format!("{} {} {} {}", folder.family.id, info.num_layers.min(9), info.tied_head, info.views.len()))
}

/// A family's smallest model, and the same with each of its sizes as large as a size may be.
fn tiny(family: &Family) -> Vec<Input> {
    let config: Map<String, Value> = serde_json::from_str(family.tiny).unwrap();
    let sizes = config.iter().filter(|(_, value)| value.is_u64()).map(|(key, _)| key);
    let enlarged = sizes.map(|key| {
        let mut config = config.clone();
        config.insert(key.clone(), LARGEST.into());
        Input::of(FILE, Value::Object(config).to_string())
    });
    std::iter::once(Input::of(FILE, family.tiny)).chain(enlarged).collect()
}

fn seeds() -> Vec<Input> {
    let mut seeds: Vec<Input> = FAMILIES.iter().flat_map(|family| tiny(family)).collect();
    let mut missing = 0;
    for case in CASES {
        let folder = golden(case).map(|folder| folder.join("model"));
        let found =
            folder.map(|folder| [FILE, "config.legacy.json"].map(|name| std::fs::read(folder.join(name))));
        missing += usize::from(found.is_none());
        seeds.extend(found.into_iter().flatten().flatten().map(|bytes| Input::of(FILE, bytes)));
    }
    skipped(missing, "golden configs");
    let scalings = [
        json!({"rope_type": "linear", "factor": 2.0}),
        json!({"rope_type": "dynamic", "factor": 2.0}),
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 1.0}),
        json!({"rope_type": "longrope", "short_factor": [1.0, 1.5, 2.0, 3.0], "long_factor": [1.0, 2.0, 3.0, 4.0],
            "original_max_position_embeddings": 32, "rope_theta": 10000.0}),
        json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
    ];
    let llama = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    for scaling in scalings {
        let mut config: Value = serde_json::from_str(llama.tiny).unwrap();
        config["rope_scaling"] = scaling;
        config["head_dim"] = 8.into();
        seeds.push(Input::of(FILE, config.to_string()));
    }
    seeds
}

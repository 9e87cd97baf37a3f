//! A very small model of a family, with random weights, in a folder of any container.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use engine::models::{ConfigJson, Family, Model, ModelFolder};
use engine::nn::{AdapterView, Initial, Param, Value};
use engine::weights::{FileDtype, Planned, ShardPlan, read_f32, write_torch};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

/// How the weights lie in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Safetensors,
    /// Several files and an index.
    Sharded,
    /// `pytorch_model.bin`.
    Pickle,
}

impl Container {
    pub const ALL: [Self; 3] = [Self::Safetensors, Self::Sharded, Self::Pickle];
}

/// A model folder that was made up.
pub struct Made {
    dir: TempDir,
    /// Name, shape and elements, as they were written.
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Made {
    pub fn new(family: &Family, container: Container) -> Self {
        Self::of(family, family.tiny, container)
    }

    /// A model of another config.
    pub fn of(family: &Family, config: &str, container: Container) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config: Map<String, Json> = serde_json::from_str(config).unwrap();
        let model = random(family, config.clone());
        let tensors: Vec<_> = model
            .params
            .iter()
            .map(|(_, param)| (param.name.clone(), param.shape.clone(), read_f32(&param.value).unwrap()))
            .collect();
        let made = Self { dir, tensors };
        made.write("config.json", &Json::Object(config));
        made.weights(container);
        made.tokenizer(model.info.vocabulary);
        made
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn open(&self) -> ModelFolder {
        ModelFolder::open(self.path(), &Map::new()).unwrap()
    }

    pub fn load(&self) -> Model {
        load(self.path())
    }

    fn write(&self, name: &str, value: &Json) {
        std::fs::write(self.path().join(name), value.to_string()).unwrap();
    }

    fn weights(&self, container: Container) {
        if container == Container::Pickle {
            return write_torch(&self.path().join("pytorch_model.bin"), &self.tensors).unwrap();
        }
        let limit = if container == Container::Sharded { 20_000 } else { u64::MAX };
        let planned = self.tensors.iter().map(|(name, shape, _)| Planned {
            name: name.clone(),
            dtype: FileDtype::F32,
            shape: shape.clone(),
        });
        let plan = ShardPlan::new("model", planned.collect(), limit).unwrap();
        let written = plan.write(self.path(), |tensor, sink| {
            let (.., elements) = self.tensors.iter().find(|(name, ..)| *name == tensor.name).unwrap();
            sink.put_f32(elements)
        });
        assert_eq!(written.unwrap().len() > 2, container == Container::Sharded);
    }

    /// Whole words as tokens, the tokens around a chat of ChatGLM, and a template.
    fn tokenizer(&self, rows: usize) {
        let words = ["ember", "light", "wood", "iron", "river", "stone", "cloud", "user", "assistant"];
        let mut vocabulary = vec!["<unk>", "<s>", "</s>"];
        vocabulary.extend(words);
        let specials = [("[gMASK]", 90), ("<sop>", 91)];
        assert!(rows > 91, "tiny models have 96 tokens");
        let special = |(content, id): (&str, usize)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
        };
        let mut ids: Map<String, Json> =
            vocabulary.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        ids.extend(specials.iter().map(|(word, id)| ((*word).to_owned(), (*id).into())));
        let added = specials.into_iter().chain([("<unk>", 0), ("<s>", 1), ("</s>", 2)]).map(special);
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null,
            "decoder": null, "model": { "type": "WordLevel", "vocab": ids, "unk_token": "<unk>" },
        });
        self.write("tokenizer.json", &tokenizer);
        let template = "{% for m in messages %}{{ m.role }} {% if m.role == 'assistant' %}[gMASK] <sop> {{ m.content }} </s> \
            {% else %}{{ m.content }} {% endif %}{% endfor %}{% if add_generation_prompt %}assistant [gMASK] <sop> {% endif %}";
        self.write(
            "tokenizer_config.json",
            &json!({ "eos_token": "</s>", "unk_token": "<unk>", "chat_template": template }),
        );
    }
}

/// On the CPU, as it is stored.
pub fn load(dir: &Path) -> Model {
    let folder = ModelFolder::open(dir, &Map::new()).unwrap();
    folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap()
}

/// Logits of one row.
pub fn logits(model: &Model, ids: &[u32], adapter: Option<&dyn AdapterView>) -> Vec<f32> {
    let all = model.logits(ids, 1, adapter).unwrap();
    read_f32(&Value::Vector(all.flatten(0, 2))).unwrap()
}

/// Weights that leave no switch without effect: gains off 1, biases off 0.
fn random(family: &Family, config: Map<String, Json>) -> Model {
    let folder = ModelFolder::from_config(&PathBuf::new(), ConfigJson::from_map(config)).unwrap();
    assert_eq!(folder.family.id, family.id, "the tiny config of one family is claimed by another");
    let mut model = folder.initialise(&Device::flex(), DType::F32, 7);
    for (index, param) in model.params.iter_mut().enumerate() {
        stir(param, index as u64);
    }
    model
}

/// Matrices so large that attention is far from uniform, gains and biases moved by up to a fifth.
fn stir(param: &mut Param, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let elements = read_f32(&param.value).unwrap();
    let stirred: Vec<f32> = match param.initial {
        Initial::Normal | Initial::Spread(_) | Initial::Uniform(_) => {
            elements.iter().map(|x| x * 6.0 + 0.02 * unit()).collect()
        }
        Initial::Ones | Initial::Zeros => elements.iter().map(|x| x + 0.2 * unit()).collect(),
    };
    let flat = burn::tensor::Tensor::<1>::from_data(stirred.as_slice(), &Device::flex());
    param.value = Value::from_flat(flat, &param.shape);
}

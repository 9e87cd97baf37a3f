//! Members of the families: their sites, what is refused, and their logits against transformers.

use burn::tensor::{DType, Device};
use engine::methods::{self, Attach};
use engine::models::{ConfigJson, FAMILIES, Family, Model, ModelFolder};
use engine::nn::{Role, Value};
use engine::weights::{open_file, read_f32};
use protocol::config::MethodConfig;
use serde_json::{Map, Value as Json, json};

use crate::common;

fn folder_with(family: &Family, changes: &Json) -> protocol::Result<ModelFolder> {
    let mut map: Map<String, Json> = serde_json::from_str(family.tiny).unwrap();
    map.extend(changes.as_object().unwrap().clone());
    ModelFolder::from_config(std::path::Path::new("tiny"), ConfigJson::from_map(map))
}

fn model(family: &Family) -> Model {
    folder_with(family, &json!({})).unwrap().initialise(&Device::flex(), DType::F32, 3)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, it| if it.is_nan() { f32::INFINITY } else { most.max(it) })
}

fn lora(targets: Json, rank: u64) -> MethodConfig {
    let params = json!({ "rank": rank, "alpha": 8.0, "targets": targets });
    MethodConfig {
        kind: "lora".into(),
        params: params.as_object().unwrap().clone(),
        ..MethodConfig::default()
    }
}

#[test]
fn default_targets_and_every_role_are_found_and_routers_only_by_name() {
    for family in FAMILIES {
        let mut model = model(family);
        let targets = |model: &Model, word: &str| -> Vec<Role> {
            let sites = methods::select_sites(model, &json!([word]));
            sites.unwrap_or_else(|err| panic!("{}: {err}", family.id)).iter().map(|site| site.role).collect()
        };
        let by_default = targets(&model, "auto");
        let words: std::collections::BTreeSet<&str> = by_default.iter().map(|role| role.word()).collect();
        assert_eq!(words, family.default_targets.iter().copied().collect(), "{}", family.id);
        assert!(!targets(&model, "all-linear").contains(&Role::Router), "{}", family.id);

        let all = &model.sites;
        assert!(
            all.iter().all(|site| site.layer.is_some() || matches!(site.role, Role::Embedding | Role::Head))
        );
        let routers = all.iter().any(|site| site.role == Role::Router);
        assert_eq!(routers, ["mixtral", "qwen2_moe", "qwen3_moe"].contains(&family.id), "{}", family.id);
        if routers {
            let chosen = lora(json!(["router", "q"]), 1);
            let weighed = methods::footprint(&model, &chosen, std::path::Path::new("base")).unwrap();
            let attach = Attach { seed: 1, learning_rate: 0.1 };
            let adapter = methods::attach(&mut model, &chosen, &attach).unwrap().unwrap();
            assert_eq!(weighed.trainable(&model), adapter.params().trainable_elements(), "{}", family.id);
            assert!(adapter.params().iter().any(|(_, param)| param.name.contains("gate.lora_B")));
        }
    }
}

/// Parameters by hand: embedding and head, then for each layer attention, router, experts and norms.
#[test]
fn parameters_of_mixtures_are_counted_with_all_experts() {
    let count = |id: &str| {
        let family = FAMILIES.iter().find(|family| family.id == id).unwrap();
        folder_with(family, &json!({})).unwrap().model().params.elements()
    };
    let attention = 2 * 32 * 32 + 2 * 32 * 16 + 2 * 32;
    assert_eq!(count("mixtral"), 2 * 96 * 32 + 32 + 2 * (attention + 4 * 32 + 4 * 3 * 32 * 48));
    let biases = 32 + 16 + 16;
    let sparse = 4 * 32 + 4 * 3 * 32 * 24 + 3 * 32 * 40 + 32;
    assert_eq!(count("qwen2_moe"), 2 * 96 * 32 + 32 + 2 * (attention + biases) + 3 * 32 * 48 + sparse);
}

#[test]
fn configs_that_cannot_be_are_refused_with_the_reason() {
    let cases = [
        ("baichuan", json!({ "position": "learned" }), "position"),
        ("bloom", json!({ "hidden_size": 37 }), "not divisible"),
        ("chatglm", json!({ "post_layer_norm": false }), "post_layer_norm"),
        ("chatglm", json!({ "multi_query_group_num": 3 }), "cannot share"),
        ("chatglm", json!({ "kv_channels": 6 }), "half a head"),
        ("chatglm-6b", json!({ "position_encoding_2d": false }), "position_encoding_2d"),
        ("chatglm-6b", json!({ "num_attention_heads": 16 }), "quarters"),
        ("falcon", json!({ "parallel_attn": false }), "do not go together"),
        ("falcon", json!({ "num_kv_heads": 4 }), "share 4 key heads"),
        ("gpt_neox", json!({ "rotary_pct": 0.4 }), "rotary dimensions"),
        ("phi", json!({ "tie_word_embeddings": true }), "tied head"),
        ("mistral", json!({ "sliding_window": 0 }), "sliding_window"),
        ("mistral", json!({ "num_hidden_layers": 16_000_000 }), "num_hidden_layers"),
        ("mistral", json!({ "num_key_value_heads": 3 }), "cannot share"),
        ("qwen2", json!({ "layer_types": ["full_attention"] }), "layer_types"),
        ("qwen2", json!({ "layer_types": ["full_attention", "linear_attention"] }), "layer_types"),
        ("gemma", json!({ "use_bidirectional_attention": true }), "use_bidirectional_attention"),
        ("gemma2", json!({ "query_pre_attn_scalar": -1 }), "query_pre_attn_scalar"),
        ("gemma2", json!({ "final_logit_softcapping": 0 }), "final_logit_softcapping"),
        ("gemma3", json!({ "model_type": "gemma3" }), "text_config"),
        ("gemma3", json!({ "sliding_window_pattern": 0 }), "sliding_window_pattern"),
        ("phi3", json!({ "partial_rotary_factor": 0.4 }), "rotary dimensions"),
        ("phi3", json!({ "rope_scaling": { "type": "longrope", "short_factor": [1.0] } }), "long_factor"),
        ("minicpm", json!({ "sparse_config": {} }), "sparse_config"),
        ("minicpm", json!({ "num_experts": 8 }), "num_experts"),
        ("minicpm3", json!({ "num_key_value_heads": 2 }), "key heads"),
        ("cohere", json!({ "hidden_act": "snake" }), "snake"),
        ("granite", json!({ "logits_scaling": 0 }), "logits_scaling"),
        ("mixtral", json!({ "num_experts_per_tok": 5 }), "experts"),
        ("mixtral", json!({ "num_local_experts": 4096, "num_hidden_layers": 4096 }), "too many"),
        ("mistral", json!({ "hidden_size": 1 << 24, "intermediate_size": 1 << 24 }), "parameters in all"),
        ("qwen3_moe", json!({ "mlp_only_layers": "all" }), "mlp_only_layers"),
        ("qwen3_moe", json!({ "decoder_sparse_step": 0 }), "decoder_sparse_step"),
    ];
    for (id, changes, reason) in cases {
        let family = FAMILIES.iter().find(|family| family.id == id).unwrap();
        let error = folder_with(family, &changes).err().unwrap_or_else(|| panic!("{id}: {changes}"));
        assert!(
            error.details.iter().any(|line| line.contains(reason)),
            "{id}: {changes}: {:?}",
            error.details
        );
    }
}

/// transformers 4 and 5 spell rotary embeddings differently.
#[test]
fn both_spellings_of_a_rotary_embedding_give_the_same_views() {
    let factors = json!({ "short_factor": [1.0, 1.1], "long_factor": [1.0, 4.0] });
    let mut long = factors.as_object().unwrap().clone();
    long.insert("rope_type".into(), "longrope".into());
    long.insert("partial_rotary_factor".into(), 0.5.into());
    let mut su = factors.as_object().unwrap().clone();
    su.insert("type".into(), "su".into());
    let cases = [
        (
            "gemma3",
            json!({ "rope_theta": 5e5, "rope_local_base_freq": 2e4, "rope_scaling": { "rope_type": "linear", "factor": 8.0 } }),
            json!({ "rope_scaling": null, "rope_parameters": {
                "full_attention": { "rope_type": "linear", "factor": 8.0, "rope_theta": 5e5 },
                "sliding_attention": { "rope_type": "default", "rope_theta": 2e4 } } }),
        ),
        ("phi3", json!({ "rope_scaling": su }), json!({ "rope_scaling": null, "rope_parameters": long })),
        (
            "glm4",
            json!({ "rope_theta": 5e4, "partial_rotary_factor": 0.5 }),
            json!({ "rope_parameters": { "rope_theta": 5e4, "partial_rotary_factor": 0.5, "rope_type": "default" } }),
        ),
    ];
    for (id, old, new) in cases {
        let family = FAMILIES.iter().find(|family| family.id == id).unwrap();
        let info = |changes: &Json| folder_with(family, changes).unwrap().info;
        let (old, new) = (info(&old), info(&new));
        assert_eq!(old.views, new.views, "{id}");
        assert_ne!(new.views, info(&json!({ "rope_theta": 7e4, "rope_scaling": null })).views, "{id}");
    }
}

/// The text part of a model that sees pictures: its config is nested, its files have longer names and the vision
/// tower besides.
#[test]
fn gemma_3_is_read_out_of_a_model_that_sees_pictures() {
    let family = FAMILIES.iter().find(|family| family.id == "gemma3").unwrap();
    let text: Map<String, Json> = serde_json::from_str(family.tiny).unwrap();
    let plain = folder_with(family, &json!({})).unwrap();
    let nested = json!({ "model_type": "gemma3", "text_config": text, "vision_config": {} });
    let whole = ConfigJson::from_map(nested.as_object().unwrap().clone());
    let whole = ModelFolder::from_config(std::path::Path::new("whole"), whole).unwrap();
    assert!(whole.info.variant.is_some() && plain.info.variant.is_none());
    let names = |folder: &ModelFolder| -> Vec<String> {
        folder.model().params.iter().map(|(_, param)| param.name.clone()).collect()
    };
    assert_eq!(names(&whole), names(&plain));
    for name in ["language_model.model.norm.weight", "model.language_model.norm.weight", "model.norm.weight"]
    {
        assert_eq!(whole.param_of(name), plain.model().params.find("model.norm.weight"), "{name}");
    }
    assert!(whole.repeats_embedding("language_model.lm_head.weight"));
    for name in
        ["vision_tower.vision_model.head.weight", "model.multi_modal_projector.mm_input_projection_weight"]
    {
        assert!((family.ignorable)(name) && whole.param_of(name).is_none(), "{name}");
    }
}

/// Switches that the golden cases leave off, and config.json without what the classes have by themselves.
#[test]
fn logits_of_other_members_are_those_of_transformers() {
    let folders = common::root().join("tests/fixtures/reference/families");
    let mut seen = 0;
    for dir in std::fs::read_dir(folders).unwrap().map(|entry| entry.unwrap().path()) {
        let folder = ModelFolder::open(&dir, &Map::new()).unwrap();
        let model = folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
        let expected = open_file(&dir.join("expected.safetensors")).unwrap();
        let ids = expected.bytes("input_ids").unwrap();
        let ids: Vec<u32> =
            ids.chunks_exact(8).map(|id| i64::from_le_bytes(id.try_into().unwrap()) as u32).collect();
        let got = model.logits(&ids, 2, None).unwrap().flatten(0, 2);
        let got = read_f32(&Value::Vector(got)).unwrap();
        let want = expected.read_f32("logits").unwrap();
        assert_eq!(got.len(), want.len());
        let off = distance(&got, &want);
        println!("{}: logits differ by {off:.1e}", dir.file_name().unwrap().display());
        assert!(off < 2e-5, "{}: {off}", dir.display());
        seen += 1;
    }
    assert!(seen >= 21, "{seen} folders");
}

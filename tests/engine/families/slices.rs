//! Parts of fused matrices with factors of their own, on every family that has such matrices: gradients against slopes,
//! merging, and the way to PEFT's files and back.

use burn::tensor::{Device, Tensor, TensorData};
use engine::methods::{self, Adapter, Attach, load_adapter};
use engine::models::{FAMILIES, Family, Model};
use engine::nn::{Fused, Gradients, Role, Site, Value, ops};
use engine::train::{Backward, Clock, Layout, batch_loss};
use engine::weights::{open_file, read_f32, write_torch};
use protocol::Control;
use protocol::config::MethodConfig;
use serde_json::{Value as Json, json};

use super::contract::{ROW, batch};
use super::made::{self, Container, Made};
use crate::exports::merge;

fn attach(model: &mut Model, settings: Json) -> protocol::Result<Box<dyn Adapter>> {
    let params = settings.as_object().unwrap().clone();
    let config = MethodConfig { kind: "lora".into(), params, ..MethodConfig::default() };
    let weighed = methods::footprint(model, &config, "base".as_ref())?;
    let adapter = methods::attach(model, &config, &Attach { seed: 11, learning_rate: 1e-3 })?.unwrap();
    assert_eq!(weighed.trainable(model), adapter.params().trainable_elements());
    Ok(adapter)
}

/// B far from zero, and from symmetry.
fn shake(adapter: &mut dyn Adapter) {
    for param in adapter.params_mut().iter_mut().filter(|param| param.name.ends_with("lora_B.weight")) {
        let wave = |at: usize| ((at * 7919 % 83) as f32 - 41.0) / 200.0;
        let values: Vec<f32> = (0..param.elements()).map(wave).collect();
        let len = values.len();
        let flat = Tensor::<1>::from_data(TensorData::new(values, [len]), &Device::flex());
        param.value = Value::from_flat(flat, &param.shape);
    }
}

fn fused_sites(model: &Model) -> Vec<(&Site, &Fused)> {
    model.sites.iter().filter_map(|site| Some((site, site.fused.as_ref()?))).collect()
}

/// What is adapted: the first and the last part of every fused matrix.
fn outer_parts(model: &Model) -> Vec<&'static str> {
    let mut words: Vec<&str> = fused_sites(model)
        .iter()
        .flat_map(|(_, fused)| [fused.parts.first().unwrap().0.word(), fused.parts.last().unwrap().0.word()])
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn logits(model: &Model, adapter: Option<&dyn Adapter>) -> Vec<f32> {
    made::logits(model, &ROW, adapter.map(Adapter::view))
}

#[track_caller]
fn near(got: &[f32], want: &[f32], allowed: f32, what: &str) {
    let off = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off <= allowed, "{what}: {off}");
}

fn families() -> Vec<(&'static Family, Made)> {
    let made = FAMILIES.iter().map(|family| (*family, Made::new(family, Container::Safetensors)));
    let fused: Vec<_> = made.filter(|(_, made)| !fused_sites(&made.load()).is_empty()).collect();
    // Contiguous, per head, in (in, out) order, with unequal parts, and gate with up.
    for id in ["gpt2", "gpt_neox", "bloom", "falcon", "chatglm", "chatglm-6b", "baichuan", "phi3"] {
        assert!(fused.iter().any(|(family, _)| family.id == id), "{id} has no fused matrix");
    }
    fused
}

#[test]
fn slopes_are_the_gradients_and_only_the_named_rows_change() {
    for (family, made) in families() {
        let mut model = made.load();
        let words = outer_parts(&model);
        let mut adapter = attach(&mut model, json!({"rank": 2, "alpha": 3.0, "targets": words})).unwrap();
        shake(adapter.as_mut());
        slopes(family, &model, adapter.as_mut());
        for (site, fused) in fused_sites(&model) {
            let before = &model.params.get(site.weight).value;
            let after = adapter.merged(site.weight, before).unwrap();
            let (before, after) = (read_f32(before).unwrap(), read_f32(&after).unwrap());
            let column = |row: usize, input: usize| match site.kind {
                engine::nn::SiteKind::Conv1d => input * site.outputs + row,
                _ => row * site.inputs + input,
            };
            let last = fused.parts.len() - 1;
            for part in 0..=last {
                for row in fused.rows(part) {
                    let changed =
                        (0..site.inputs).any(|at| before[column(row, at)] != after[column(row, at)]);
                    assert_eq!(changed, part == 0 || part == last, "{}: {} row {row}", family.id, site.path);
                }
            }
        }
    }
}

fn slopes(family: &Family, model: &Model, adapter: &mut dyn Adapter) {
    let mut gradients = Gradients::new();
    let control = Control::default();
    let view = Some(adapter.view());
    let clock = Clock::off();
    let backward = Backward {
        model,
        adapter: view,
        dropout: None,
        layout: Layout::keeping(1),
        control: &control,
        clock: &clock,
    };
    backward.run(&batch(), 1.0, &mut gradients).unwrap().unwrap();
    let ids: Vec<_> = adapter.params().iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), gradients.len(), "{}", family.id);
    for id in ids {
        let gradient = gradients.remove(&id).unwrap();
        let length = read_f32(&Value::Vector(ops::sum_of_squares(vec![gradient.clone()]))).unwrap()[0].sqrt();
        let direction = gradient / f64::from(length.max(1e-12));
        let step = 2e-3 / f64::from(length).max(1.0);
        let mut moved = |by: f64| {
            let param = adapter.params_mut().get_mut(id);
            let kept = param.value.clone();
            param.value = Value::from_flat(kept.flat() + direction.clone() * by, &param.shape.clone());
            let loss = batch_loss(model, Some(adapter.view()), &batch()).unwrap();
            adapter.params_mut().get_mut(id).value = kept;
            loss
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        let off = (slope - f64::from(length)).abs();
        assert!(off < 0.05 * f64::from(length) + 5e-3, "{}: gradient {length}, slope {slope}", family.id);
    }
}

#[test]
fn merged_and_as_an_ordinary_lora_of_peft_it_says_the_same_and_comes_back_bit_for_bit() {
    for (family, made) in families() {
        let mut model = made.load();
        let words = outer_parts(&model);
        for settings in [
            json!({"rank": 2, "alpha": 3.0, "targets": words.clone()}),
            json!({"rank": 2, "alpha": 3.0, "targets": words, "rslora": true, "init": "pissa"}),
        ] {
            let mut adapter = attach(&mut model, settings.clone()).unwrap();
            near(
                &logits(&model, Some(adapter.as_ref())),
                &logits(&model, None),
                2e-4,
                "a start changes nothing",
            );
            shake(adapter.as_mut());
            let live = logits(&model, Some(adapter.as_ref()));
            let folder = tempfile::tempdir().unwrap();
            adapter.save(folder.path(), "base").unwrap();
            let read = load_adapter(folder.path(), &model).unwrap();
            near(&logits(&model, Some(read.as_ref())), &live, 3e-4, family.id);
            let wanted = methods::adapter_bytes(&model, folder.path()).unwrap();
            let files = ["adapter_config.json", "adapter_model.safetensors"];
            let sizes = files.map(|name| std::fs::metadata(folder.path().join(name)).unwrap().len());
            assert_eq!(sizes.iter().sum::<u64>(), wanted, "{}", family.id);

            let mut again = attach(&mut model, settings).unwrap();
            again.copy_from(read.as_ref()).unwrap();
            for ((_, a), (_, b)) in adapter.params().iter().zip(again.params().iter()) {
                assert_eq!(read_f32(&a.value).unwrap(), read_f32(&b.value).unwrap(), "{}", a.name);
            }
            let mut merged = made.load();
            merge(&mut merged, adapter.as_ref());
            near(&logits(&merged, None), &live, 5e-4, family.id);
        }
    }
}

fn gpt2() -> Made {
    Made::new(FAMILIES.iter().find(|family| family.id == "gpt2").unwrap(), Container::Safetensors)
}

/// As methods.md derives: rank·parts with alpha·parts, one block of A below the other, B in blocks.
#[test]
fn the_files_hold_the_rank_and_alpha_of_all_parts_and_zeros_between_the_blocks() {
    let mut model = gpt2().load();
    let mut adapter =
        attach(&mut model, json!({"rank": 4, "alpha": 6.0, "targets": ["q", "v"], "layers": "last 1"}))
            .unwrap();
    shake(adapter.as_mut());
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), "base").unwrap();
    let config: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["r"], &config["lora_alpha"]), (&json!(8), &json!(12)));
    assert_eq!(config["rank_pattern"], json!({}));
    let last = model.info.num_layers - 1;
    let path = format!("transformer.h.{last}.attn.c_attn");
    assert_eq!(config["target_modules"], json!([path]));
    let weights = open_file(&folder.path().join("adapter_model.safetensors")).unwrap();
    let b = weights.read_f32(&format!("base_model.model.{path}.lora_B.weight")).unwrap();
    let hidden = model.info.hidden;
    for (row, columns) in b.chunks(8).enumerate() {
        let own = match row / hidden {
            0 => Some(0..4),
            2 => Some(4..8),
            _ => None,
        };
        for (at, element) in columns.iter().enumerate() {
            let within = own.as_ref().is_some_and(|own| own.contains(&at));
            assert!(within || *element == 0.0, "row {row}, column {at}");
        }
        assert_eq!(own.is_some(), columns.iter().any(|element| *element != 0.0), "row {row}");
    }
}

#[test]
fn words_choose_parts_whole_matrices_and_layers() {
    let mut model = gpt2().load();
    let layers = model.info.num_layers as u64;
    let rank_of = |model: &mut Model, settings: Json| -> Vec<(String, Vec<usize>)> {
        let adapter = attach(model, settings).unwrap();
        adapter.params().iter().map(|(_, param)| (param.name.clone(), param.shape.clone())).collect()
    };
    let hidden = model.info.hidden;
    // The name of the matrix, or its role, is all of it; so are its parts beside its name.
    for targets in [json!(["qkv"]), json!(["c_attn"]), json!(["q", "c_attn"])] {
        let found = rank_of(&mut model, json!({"rank": 2, "targets": targets}));
        assert!(
            found[1].0.ends_with("attn.c_attn.lora_B.weight") && found[1].1 == [3 * hidden, 2],
            "{found:?}"
        );
    }
    for (targets, exclude) in [
        (json!(["q", "v"]), json!("")),
        (json!(["c_attn.q", "c_attn.v"]), json!("")),
        (json!(["transformer.h.*.c_attn.?"]), json!(["k"])),
        (json!(["qkv"]), json!(["k"])),
        (json!(["q", "v", "up"]), json!(["c_fc"])),
    ] {
        let found = rank_of(&mut model, json!({"rank": 2, "targets": targets, "exclude": exclude}));
        assert_eq!(found.len() as u64, 2 * layers, "{targets}");
        assert_eq!((&found[0].1, &found[1].1), (&vec![4, hidden], &vec![2 * hidden, 2]), "{targets}");
    }
    let found = rank_of(
        &mut model,
        json!({"rank": 2, "targets": "all-linear", "layers": "0", "rank_pattern": {"o": 3}}),
    );
    assert!(found.len() == 8 && found.iter().all(|(name, _)| name.contains(".h.0.")), "{found:?}");
    assert!(found.iter().any(|(name, shape)| name.contains("attn.c_proj.lora_A") && shape[0] == 3));
}

#[test]
fn what_does_not_go_together_is_said() {
    let mut model = gpt2().load();
    for (settings, word) in [
        (json!({"targets": ["q"], "dora": true}), "DoRA"),
        (json!({"targets": ["nothing"]}), "nothing"),
        (json!({"targets": ["q"], "exclude": ["typo"]}), "typo"),
        (json!({"targets": ["q"], "exclude": ["qkv"]}), "Nothing is left"),
        (json!({"targets": ["q"], "layers": "last 99"}), "last 99"),
        (json!({"targets": ["q", "v"], "rank_pattern": {"v": 4}}), "share rank and alpha"),
        (json!({"targets": ["o"], "rank": 3, "init": "orthogonal"}), "even"),
        (json!({"targets": ["o"], "init": "pissa", "dora": true}), "DoRA"),
        (json!({"targets": ["q"], "lora_bias": true}), "lora_bias"),
        (json!({"targets": ["q"], "rank": 4000}), "rank 4000"),
    ] {
        let refused = attach(&mut model, settings.clone()).err().unwrap_or_else(|| panic!("{settings}"));
        assert!(format!("{refused:?}").contains(word), "{settings}: {refused:?}");
    }
    // A LoRA on the whole matrix is no LoRA on its parts, though the shapes are the same.
    let mut whole = attach(&mut model, json!({"rank": 4, "targets": ["c_attn"]})).unwrap();
    shake(whole.as_mut());
    let folder = tempfile::tempdir().unwrap();
    whole.save(folder.path(), "base").unwrap();
    let read = load_adapter(folder.path(), &model).unwrap();
    let mut parts = attach(&mut model, json!({"rank": 2, "targets": ["q", "v"]})).unwrap();
    assert!(
        parts.copy_from(read.as_ref()).is_err_and(|err| format!("{err:?}").contains("not made of parts"))
    );
    assert_eq!(Role::ALL.len(), 13);
}

/// A bias beside B: moves the output by s·b, and is merged into the layer's own.
#[test]
fn a_bias_beside_b_is_applied_saved_and_merged() {
    let made = gpt2();
    let mut model = made.load();
    let settings =
        json!({"rank": 2, "alpha": 5.0, "targets": ["o", "qkv"], "lora_bias": true, "bias": "lora_only"});
    let mut adapter = attach(&mut model, settings).unwrap();
    shake(adapter.as_mut());
    for param in adapter.params_mut().iter_mut().filter(|param| param.name.ends_with("lora_B.bias")) {
        let values: Vec<f32> = (0..param.elements()).map(|at| (at as f32 * 0.7).sin()).collect();
        let len = values.len();
        param.value = Value::Vector(Tensor::from_data(TensorData::new(values, [len]), &Device::flex()));
    }
    let live = logits(&model, Some(adapter.as_ref()));
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), "base").unwrap();
    let read = load_adapter(folder.path(), &model).unwrap();
    assert_eq!(logits(&model, Some(read.as_ref())), live);
    merge(&mut model, read.as_ref());
    near(&logits(&model, None), &live, 2e-4, "merged");
    let config = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
    assert!(config.contains("\"lora_bias\": true"));
}

/// loralib's own file of a MergedLinear (`enable_lora=[True, False, True]`): names without `.weight`, B in one block.
#[test]
fn a_file_of_loralib_is_read_as_what_it_is() {
    let mut model = gpt2().load();
    let settings = json!({"rank": 2, "alpha": 6.0, "targets": ["q", "v"]});
    let mut adapter = attach(&mut model, settings).unwrap();
    shake(adapter.as_mut());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lora.pt");
    let tensors: Vec<_> = adapter
        .params()
        .iter()
        .map(|(_, param)| {
            let name = param.name.strip_suffix(".weight").unwrap().to_owned();
            (name, param.shape.clone(), read_f32(&param.value).unwrap())
        })
        .collect();
    write_torch(&file, &tensors).unwrap();
    let refused = load_adapter(&file, &model).err().unwrap();
    assert!(format!("{refused:?}").contains("lora.json"), "{refused:?}");
    for (settings, word) in [
        (json!({"lora_alpha": 6}), "enable_lora"),
        (json!({"lora_alpha": 6, "enable_lora": [true, true, true]}), "enable_lora"),
    ] {
        std::fs::write(folder.path().join("lora.json"), settings.to_string()).unwrap();
        let refused = load_adapter(&file, &model).err().unwrap();
        assert!(format!("{refused:?}").contains(word), "{refused:?}");
    }
    let settings = json!({"lora_alpha": 6, "enable_lora": [true, false, true]});
    std::fs::write(folder.path().join("lora.json"), settings.to_string()).unwrap();
    let read = load_adapter(&file, &model).unwrap();
    assert_eq!(logits(&model, Some(read.as_ref())), logits(&model, Some(adapter.as_ref())));
}

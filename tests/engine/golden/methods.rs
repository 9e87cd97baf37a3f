//! Twelve training steps of every LoRA variant and of full fine-tuning, the adapters that come out, their
//! logits, gradients and merged weights.

use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use data::Batch;
use engine::methods::{self, Adapter, Attach, load_adapter};
use engine::models::Model;
use engine::nn::{Gradients, Param, Quantization, Value, float_dtype};
use engine::optim::{self, Schedule};
use engine::train::{Backward, Clock, Layout, Learner, StepSettings, batch_loss};
use engine::weights::{load_tensor, open_file};
use protocol::Control;
use protocol::config::{MethodConfig, TrainConfig};
use serde_json::{Value as Json, json};

use super::quantised::misread;
use super::{cases, chosen, distance, floats, json as read_json, load, load_quantised, slack, values};
use crate::common;
use crate::exports::merge;

/// What a case begins with and ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// PEFT's folders.
    Folders,
    /// The trained tensors of the base.
    Trained,
    /// All tensors of what makes a soft prompt; the folders hold what comes out of it.
    Encoder,
    /// ChatGLM's own checkpoints of its prefix encoder.
    PrefixEncoder,
}

pub fn batch_of(micro: &Json) -> Batch {
    let rows: Vec<&Vec<Json>> =
        micro["input_ids"].as_array().unwrap().iter().map(|row| row.as_array().unwrap()).collect();
    let ids = rows.iter().flat_map(|row| row.iter().map(|id| id.as_u64().unwrap() as u32)).collect();
    let labels: Vec<i32> = micro["labels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|label| label.as_i64().unwrap() as i32))
        .collect();
    let len = rows[0].len();
    let learned = labels.chunks(len).flat_map(|row| &row[1..]).filter(|label| **label != -100).count() as u64;
    Batch { rows: rows.len(), len, ids, labels, learned, ..Batch::default() }
}

pub fn train_config(hyper: &Json) -> TrainConfig {
    let number = |key: &str| hyper[key].as_f64().unwrap();
    TrainConfig {
        learning_rate: number("lr"),
        betas: [hyper["betas"][0].as_f64().unwrap(), hyper["betas"][1].as_f64().unwrap()],
        eps: number("eps"),
        weight_decay: number("weight_decay"),
        max_grad_norm: number("max_grad_norm"),
        scheduler: hyper["scheduler"]["type"].as_str().unwrap().into(),
        warmup_steps: hyper["scheduler"]["warmup_steps"].as_u64().unwrap(),
        warmup_ratio: 0.0,
        ..TrainConfig::default()
    }
}

/// A case under test.
pub struct Case {
    pub name: String,
    pub dir: std::path::PathBuf,
    pub base: std::path::PathBuf,
    pub entry: Json,
    pub train: Json,
    pub expected: Json,
    /// Training steps.
    pub steps: usize,
    /// How the base's matrices are kept.
    pub quantization: Option<Quantization>,
}

pub fn all() -> Vec<Case> {
    let mut found = Vec::new();
    let mut missing = 0;
    for (entry, dir) in cases("method") {
        let name = entry["case"].as_str().unwrap().to_owned();
        let train = read_json(&dir.join("train.json"));
        match common::golden(train["base"].as_str().unwrap()) {
            Some(base) => {
                let expected = read_json(&dir.join("expected.json"));
                let quantization = match name.as_str() {
                    "method-qlora-nf4" => Some(Quantization::Nf4),
                    "method-qlora-nf4-dq" => Some(Quantization::Nf4Double),
                    _ => None,
                };
                let base = base.join("model");
                found.push(Case { name, dir, base, entry, train, expected, steps: 12, quantization });
            }
            None => missing += 1,
        }
    }
    common::skipped(missing, "golden method cases");
    found
}

impl Case {
    pub fn is_full(&self) -> bool {
        self.name.starts_with("method-full")
    }

    pub fn kept(&self) -> Kept {
        let is =
            |starts: &[&str]| starts.iter().any(|start| self.name.starts_with(&format!("method-{start}")));
        match () {
            () if is(&["full", "freeze", "bitfit"]) => Kept::Trained,
            () if is(&["ptuning-v2"]) => Kept::PrefixEncoder,
            () if is(&["prefix", "prompt", "ptuning"]) => Kept::Encoder,
            () => Kept::Folders,
        }
    }

    /// The method as a run file names it, where no folder does.
    fn method(&self) -> MethodConfig {
        let word = self.name.trim_start_matches("method-");
        let file = self.dir.join("final/adapter_config.json");
        let mut config = if file.exists() { read_json(&file) } else { Json::Null };
        let mut take = |key: &str| config.as_object_mut().and_then(|map| map.remove(key)).unwrap_or_default();
        let tokens = take("num_virtual_tokens");
        let width = take("encoder_hidden_size");
        let (kind, params) = match word {
            "bitfit" => ("bitfit", json!({})),
            "prompt" | "prompt-gpt2" => ("prompt", json!({ "tokens": tokens })),
            "prefix" | "prefix-gpt2" => ("prefix", json!({ "tokens": tokens })),
            "prefix-projection" => {
                ("prefix", json!({ "tokens": tokens, "projection": true, "projection_width": width }))
            }
            "ptuning-mlp" | "ptuning-lstm" => {
                let encoder = word.trim_start_matches("ptuning-");
                let layers = take("encoder_num_layers");
                let network = json!({ "encoder_width": width, "encoder_layers": layers });
                let mut params = json!({ "tokens": tokens, "encoder": encoder });
                params.as_object_mut().unwrap().extend(network.as_object().unwrap().clone());
                ("p-tuning", params)
            }
            word if word.starts_with("freeze") => ("freeze", json!({ "blocks": 1 })),
            word if word.starts_with("full") => ("full", json!({})),
            word => panic!("nobody knows how to train {word}"),
        };
        let Json::Object(params) = params else { unreachable!() };
        MethodConfig { kind: kind.into(), params, ..MethodConfig::default() }
    }

    pub fn tolerance(&self, key: &str) -> f64 {
        self.entry["tolerance"][key].as_f64().unwrap() * slack(&chosen())
    }

    fn learner(&self, adapter: &str) -> Learner {
        self.learner_in(adapter, DType::F32)
    }

    pub fn learner_in(&self, adapter: &str, dtype: DType) -> Learner {
        let mut model = load_quantised(&self.base, &chosen().device, dtype, self.quantization);
        if let Some(kind) = self.quantization {
            misread(&mut model, &self.dir.join("quantised_model"), kind);
        }
        let config = train_config(&self.train["hyperparameters"]);
        let adapter = match self.kept() {
            Kept::Folders => {
                self.subtract_principal_part(&mut model);
                Some(self.adapter(&self.dir.join(adapter), &model))
            }
            Kept::PrefixEncoder => Some(load_adapter(&self.dir.join(adapter), &model).unwrap()),
            Kept::Trained | Kept::Encoder => self.attached(&mut model, adapter),
        };
        let optimizer = optim::build(&config).unwrap();
        let mut learner = Learner::new(model, adapter, optimizer);
        self.scale_rates(&mut learner);
        learner
    }

    /// The method as the program attaches it, with the case's values in place of what it drew.
    fn attached(&self, model: &mut Model, state: &str) -> Option<Box<dyn Adapter>> {
        let context = Attach { seed: 0, learning_rate: 1.0 };
        let mut adapter = methods::attach(model, &self.method(), &context).unwrap();
        if let (Kept::Encoder, Some(adapter)) = (self.kept(), &mut adapter) {
            let file = self.dir.join(format!("{}_state.safetensors", state.trim_start_matches("initial_")));
            let stored = open_file(&file).unwrap();
            assert_eq!(stored.names().count(), adapter.params().iter().count(), "{}", self.name);
            for param in adapter.params_mut().iter_mut() {
                let data = TensorData::new(stored.read_f32(&param.name).unwrap(), param.shape.clone());
                param.value = match param.shape.len() {
                    1 => Value::Vector(Tensor::from_data(data, &model.device)),
                    _ => Value::Matrix(Tensor::from_data(data, &model.device)),
                };
            }
        }
        adapter
    }

    pub fn changes_base(&self) -> bool {
        self.name == "method-pissa"
    }

    /// PiSSA takes what its factors begin with out of the base weights: the case holds what is left.
    fn subtract_principal_part(&self, model: &mut Model) {
        if !self.changes_base() {
            return;
        }
        let rest = open_file(&self.dir.join("residual_base.safetensors")).unwrap();
        for name in rest.names() {
            let id = model.params.find(name).unwrap();
            let weight = load_tensor::<2>(&rest, name, &model.device, DType::F32).unwrap();
            model.params.get_mut(id).value = Value::Matrix(weight).cast(float_dtype(model.dtype));
        }
    }

    /// The adapter of a folder. One that belongs to changed base weights is refused as it stands, since the
    /// folder does not hold them; here they are at hand, and what is left is plain LoRA.
    fn adapter(&self, folder: &Path, model: &Model) -> Box<dyn Adapter> {
        if !self.changes_base() {
            return load_adapter(folder, model).unwrap();
        }
        assert!(load_adapter(folder, model).is_err_and(|err| err.to_string().contains("init_lora_weights")));
        let plain = tempfile::tempdir().unwrap();
        let weights = "adapter_model.safetensors";
        std::fs::copy(folder.join(weights), plain.path().join(weights)).unwrap();
        let mut config = read_json(&folder.join("adapter_config.json"));
        config["init_lora_weights"] = true.into();
        std::fs::write(plain.path().join("adapter_config.json"), config.to_string()).unwrap();
        load_adapter(plain.path(), model).unwrap()
    }

    /// LoRA+ trains B faster: the groups of the case say by how much.
    fn scale_rates(&self, learner: &mut Learner) {
        let base = self.train["hyperparameters"]["lr"].as_f64().unwrap();
        for group in self.train["parameter_groups"].as_array().unwrap() {
            for name in group["parameters"].as_array().unwrap() {
                let name = name.as_str().unwrap().replace("base_model.model.", "");
                if let Some(adapter) = &mut learner.adapter
                    && let Some(id) = adapter.params().find(&name)
                {
                    adapter.params_mut().get_mut(id).lr_scale = group["lr"].as_f64().unwrap() / base;
                }
            }
        }
    }

    pub fn check(&self, what: &str, got: f64, allowed: f64) {
        println!("{}: {what} differ by {got:.2e}, allowed {allowed:.2e}", self.name);
        assert!(got <= allowed, "{}: {what} differ by {got:.3e}, allowed {allowed:.3e}", self.name);
    }
}

/// Logits that a case holds: behind those of the virtual tokens, which nobody compares.
pub fn expected_logits(case: &Case, name: &str) -> Vec<f32> {
    let file = open_file(&case.dir.join("expected.safetensors")).unwrap();
    let eval = batch_of(&case.train["eval"]);
    let [rows, time, columns] = file.info(name).unwrap().shape[..] else {
        panic!("{name} has another shape")
    };
    assert_eq!(rows, eval.rows);
    let all = file.read_f32(name).unwrap();
    let behind = |(index, row): (usize, &[f32])| {
        let mut row = row[(time - eval.len) * columns..].to_vec();
        // Rows padded on the left are evaluated with their padding on the right.
        row.rotate_left(case.train["eval"]["left"][index].as_u64().unwrap_or(0) as usize * columns);
        row
    };
    all.chunks(time * columns).enumerate().flat_map(behind).collect()
}

pub fn logits(model: &Model, adapter: Option<&dyn Adapter>, eval: &Json) -> Vec<f32> {
    let batch = batch_of(eval);
    let all = model.logits(&batch.ids, batch.rows, adapter.map(Adapter::view)).unwrap();
    let flat = values(&Value::Vector(all.flatten(0, 2)));
    let mask = eval["attention_mask"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    flat.chunks(model.info.vocabulary)
        .zip(mask)
        .flat_map(|(row, seen)| row.iter().map(move |logit| if seen == 1 { *logit } else { 0.0 }))
        .collect()
}

fn eval_loss(learner: &Learner, eval: &Json) -> f64 {
    let batch = batch_of(eval);
    batch_loss(&learner.model, learner.adapter.as_deref().map(Adapter::view), &batch).unwrap()
        / batch.learned as f64
}

#[test]
fn twelve_steps_are_those_of_peft_and_torch() {
    all().iter().for_each(trains);
}

/// Losses, gradient norms, and what comes out at the end.
pub fn trains(case: &Case) {
    let config = train_config(&case.train["hyperparameters"]);
    let schedule = Schedule::new(&config, case.steps as u64).unwrap();
    let mut learner = case.learner("initial");
    let eval = &case.train["eval"];
    let before = case.expected["eval_loss_before"].as_f64().unwrap();
    case.check(
        "eval losses before",
        (eval_loss(&learner, eval) - before).abs(),
        case.tolerance("eval_loss_abs"),
    );
    let (mut loss, mut norm) = (0f64, 0f64);
    for (index, step) in case.train["steps"].as_array().unwrap().iter().enumerate() {
        let batches: Vec<Batch> = step["micro_batches"].as_array().unwrap().iter().map(batch_of).collect();
        // Graphs kept or rebuilt: the numbers must not depend on it.
        let settings = StepSettings::new(&config, Layout::keeping(index % 3));
        let lr = schedule.rate(index as u64);
        let want = &case.expected["steps"][index];
        assert!((lr - want["lr"].as_f64().unwrap()).abs() < 1e-9, "{}: rate of step {index}", case.name);
        let got = learner.step(&batches, index as u64, lr, &settings, &Control::default()).unwrap().unwrap();
        let (want_loss, want_norm) = (want["loss"].as_f64().unwrap(), want["grad_norm"].as_f64().unwrap());
        loss = loss.max((got.loss - want_loss).abs() / want_loss);
        norm = norm.max((got.grad_norm - want_norm).abs() / want_norm);
    }
    case.check("losses (relative)", loss, 1e-4 * slack(&chosen()));
    case.check("gradient norms (relative)", norm, 1e-3 * slack(&chosen()));
    let after = case.expected["eval_loss_after"].as_f64().unwrap();
    case.check(
        "eval losses after",
        (eval_loss(&learner, eval) - after).abs(),
        case.tolerance("eval_loss_abs"),
    );
    let got = logits(&learner.model, learner.adapter.as_deref(), eval);
    let want = expected_logits(case, "logits_final");
    case.check("final logits", distance(&got, &want), case.tolerance("logits_final_abs"));
    final_tensors(case, &learner);
    match &learner.adapter {
        Some(adapter) if adapter.not_mergeable().is_some() => saved(case, adapter.as_ref(), &learner.model),
        Some(_) => merged(case, learner, true),
        None => {}
    }
}

/// What comes out of an encoder is what PEFT stores, and a folder of ours gives the trained encoder back.
fn saved(case: &Case, adapter: &dyn Adapter, model: &Model) {
    let out = tempfile::tempdir().unwrap();
    adapter.save(out.path(), "base").unwrap();
    let made = floats(&out.path().join("adapter_model.safetensors"), "prompt_embeddings");
    if case.kept() == Kept::Encoder {
        let want = floats(&case.dir.join("final/adapter_model.safetensors"), "prompt_embeddings");
        case.check("states", distance(&made, &want), case.tolerance("final_tensors_abs"));
    }
    let again = load_adapter(out.path(), model).unwrap();
    for (_, param) in adapter.params().iter() {
        let read = again.params().get(again.params().find(&param.name).unwrap());
        assert_eq!(values(&read.value), values(&param.value), "{}: {}", case.name, param.name);
    }
}

fn final_tensors(case: &Case, learner: &Learner) {
    let (file, prefix) = match case.kept() {
        Kept::Trained => ("final/trainable.safetensors", ""),
        Kept::Encoder => ("final_state.safetensors", ""),
        Kept::PrefixEncoder => ("final/pytorch_model.bin", ""),
        Kept::Folders => ("final/adapter_model.safetensors", "base_model.model."),
    };
    let file = case.dir.join(file);
    let stored = open_file(&file).unwrap();
    let mut compared = 0;
    let excluded = case.entry["tolerance"]["final_tensors_excluded_elements"].as_array().unwrap();
    let exceptions = &case.entry["tolerance"]["final_tensors_abs_exceptions"];
    for (_, param) in learner.trained_params() {
        let name = format!("{prefix}{}", param.name);
        let mut got = values(&param.value);
        let mut want = stored.read_f32(&name).unwrap();
        for range in excluded.iter().filter(|range| name.ends_with(range["tensor"].as_str().unwrap())) {
            let (from, to) =
                (range["from"].as_u64().unwrap() as usize, range["to"].as_u64().unwrap() as usize);
            got[from..to].fill(0.0);
            want[from..to].fill(0.0);
        }
        let allowed = exceptions[&name]
            .as_f64()
            .map_or_else(|| case.tolerance("final_tensors_abs"), |own| own * slack(&chosen()));
        let off = distance(&got, &want);
        assert!(off <= allowed, "{}: {name} is off by {off:.3e}, allowed {allowed:.3e}", case.name);
        compared += 1;
    }
    assert!(compared > 0);
}

/// `weights`: whether the merged weights are those of the case too.
pub fn merged(case: &Case, learner: Learner, weights: bool) {
    let Learner { mut model, adapter, .. } = learner;
    let adapter = adapter.unwrap();
    merge(&mut model, adapter.as_ref());
    let file = case.dir.join("merged_expected.safetensors");
    let got = logits(&model, None, &case.train["eval"]);
    if !file.exists() {
        // Where nothing is said of the merged model, it has to do what the adapter did.
        let want = expected_logits(case, "logits_final");
        case.check("merged logits", distance(&got, &want), case.tolerance("merged_logits_abs"));
        return;
    }
    let want = floats(&file, "logits_final_merged");
    case.check("merged logits", distance(&got, &want), case.tolerance("merged_logits_abs"));
    for name in
        open_file(&file).unwrap().names().filter_map(|name| name.strip_prefix("weight.")).filter(|_| weights)
    {
        let param = model.params.get(model.params.find(name).unwrap());
        let off = distance(&values(&param.value), &floats(&file, &format!("weight.{name}")));
        assert!(off < 1e-4 * slack(&chosen()), "{}: merged {name} is off by {off:.2e}", case.name);
    }
}

#[test]
fn gradients_at_another_point_are_those_of_torch() {
    all().iter().for_each(has_gradients);
}

pub fn has_gradients(case: &Case) {
    let learner = case.learner("initial_nonzero");
    let file = case.dir.join("expected.safetensors");
    let eval = &case.train["eval"];
    if case.kept() != Kept::Trained {
        let got = logits(&learner.model, learner.adapter.as_deref(), eval);
        let off = distance(&got, &expected_logits(case, "logits_nonzero"));
        case.check("logits of a nonzero adapter", off, case.tolerance("logits_nonzero_abs"));
    }
    let batch = batch_of(eval);
    let mut gradients = Gradients::new();
    let control = Control::default();
    let backward = Backward {
        model: &learner.model,
        adapter: learner.adapter.as_deref().map(Adapter::view),
        dropout: None,
        layout: Layout::keeping(1),
        control: &control,
        clock: &Clock::off(),
    };
    backward.run(&batch, 1.0 / batch.learned as f32, &mut gradients).unwrap().unwrap();
    let expected = open_file(&file).unwrap();
    let mut compared = 0;
    for (id, param) in learner.trained_params() {
        let name = gradient_name(&expected, param, case.kept());
        let want = expected.read_f32(&name).unwrap();
        let got = values(&Value::Vector(gradients.remove(&id).unwrap()));
        let off = distance(&got, &want);
        let allowed = case.tolerance("grad_nonzero_abs");
        assert!(off <= allowed, "{}: {name} is off by {off:.3e}, allowed {allowed:.3e}", case.name);
        compared += 1;
    }
    assert!(compared > 0 && gradients.is_empty());
}

/// PEFT inserts the wrapper's own levels into the names of the live model.
fn gradient_name(expected: &engine::weights::Checkpoint, param: &Param, kept: Kept) -> String {
    if kept != Kept::Folders {
        return format!("grad_nonzero.{}", param.name);
    }
    let plain = format!("grad_nonzero.base_model.model.{}", param.name);
    let (path, leaf) = plain.rsplit_once('.').unwrap();
    [plain.clone(), format!("{plain}.weight"), format!("{path}.modules_to_save.{leaf}")]
        .into_iter()
        .find(|name| expected.contains(name))
        .unwrap_or_else(|| panic!("no gradient is expected for {}", param.name))
}

/// What we write is what PEFT would: same tensors, bit for bit, and a config it understands.
#[test]
fn an_adapter_that_is_read_and_written_is_the_same() {
    all().iter().filter(|case| case.kept() != Kept::Trained).for_each(survives_a_round_trip);
}

pub fn survives_a_round_trip(case: &Case) {
    let model = load(&case.base, &chosen().device);
    let adapter = case.adapter(&case.dir.join("final"), &model);
    let out = tempfile::tempdir().unwrap();
    adapter.save(out.path(), "base").unwrap();
    same_tensors(case, out.path());
    let (ours, theirs) = (
        read_json(&out.path().join("adapter_config.json")),
        read_json(&case.dir.join("final/adapter_config.json")),
    );
    for key in [
        "r",
        "lora_alpha",
        "peft_type",
        "use_dora",
        "use_rslora",
        "bias",
        "fan_in_fan_out",
        "modules_to_save",
        "feedforward_modules",
        "num_virtual_tokens",
        "token_dim",
        "num_attention_heads",
        "num_layers",
        "prefix_projection",
        "encoder_reparameterization_type",
    ] {
        assert_eq!(ours[key], theirs[key], "{}: {key}", case.name);
    }
    let sorted = |list: &Json| {
        let mut names: Vec<String> =
            list.as_array().into_iter().flatten().map(|name| name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&ours["target_modules"]), sorted(&theirs["target_modules"]), "{}", case.name);
}

fn same_tensors(case: &Case, written: &Path) {
    let ours = open_file(&written.join("adapter_model.safetensors")).unwrap();
    let theirs = open_file(&case.dir.join("final/adapter_model.safetensors")).unwrap();
    // PEFT also stores the unchanged matrices under adapted embeddings.
    let needed: Vec<&str> = theirs.names().filter(|name| !name.ends_with("base_layer.weight")).collect();
    assert_eq!(needed, ours.names().collect::<Vec<_>>(), "{}", case.name);
    for name in needed {
        assert_eq!(ours.bytes(name).unwrap(), theirs.bytes(name).unwrap(), "{}: {name}", case.name);
    }
}

//! PiSSA of our own start, held against PEFT's case.

use burn::tensor::Tensor;
use data::Batch;
use engine::methods::{self, Attach, load_adapter};
use engine::nn::Value;
use engine::optim::{self, Schedule};
use engine::train::{Layout, Learner, StepSettings};
use engine::weights::open_file;
use protocol::Control;
use protocol::config::{MethodConfig, TrainConfig};

use super::methods::{Case, all, batch_of, logits, merged, train_config};
use super::{chosen, distance, floats, json as read_json, load, slack, values};

/// Our own start instead of the case's: the same factors but for signs, which the optimizer does not see, on the base as it
/// is. Losses, norms and logits are those of PEFT on its changed weights, and what is saved stands on the original base.
#[test]
fn our_own_pissa_learns_what_peft_learns_and_is_saved_for_the_untouched_base() {
    for case in all().into_iter().filter(Case::changes_base) {
        let learner = case.own_pissa();
        starts_like_peft(&case, &learner);
        let config = train_config(&case.train["hyperparameters"]);
        let learner = learns_like_peft(&case, &config, learner);
        resumes(&case, &config, &learner);
        saved_plainly(&case, learner);
    }
}

impl Case {
    fn own_pissa(&self) -> Learner {
        let mut model = load(&self.base, &chosen().device);
        let theirs = read_json(&self.dir.join("initial/adapter_config.json"));
        let settings = serde_json::json!({
            "rank": theirs["r"], "alpha": theirs["lora_alpha"], "targets": theirs["target_modules"], "init": "pissa"
        });
        let params = settings.as_object().unwrap().clone();
        let method = MethodConfig { kind: "lora".into(), params, ..MethodConfig::default() };
        let adapter = methods::attach(&mut model, &method, &Attach { seed: 5, learning_rate: 1e-3 }).unwrap();
        let config = train_config(&self.train["hyperparameters"]);
        let optimizer = optim::build(&config).unwrap();
        Learner::new(model, adapter, optimizer)
    }
}

/// s·B·A of every matrix, and what PEFT left of the weights: W_res + s·B·A = W.
fn starts_like_peft(case: &Case, learner: &Learner) {
    let adapter = learner.adapter.as_ref().unwrap();
    let rest = open_file(&case.dir.join("residual_base.safetensors")).unwrap();
    let theirs = read_json(&case.dir.join("initial/adapter_config.json"));
    let scale = theirs["lora_alpha"].as_f64().unwrap() / theirs["r"].as_f64().unwrap();
    let matrix = |name: &str| -> Tensor<2> {
        match &adapter.params().get(adapter.params().find(name).unwrap()).value {
            Value::Matrix(matrix) => matrix.clone(),
            _ => panic!("{name} is no matrix"),
        }
    };
    let mut compared = 0;
    for name in rest.names() {
        let path = name.strip_suffix(".weight").unwrap();
        let (a, b) = (matrix(&format!("{path}.lora_A.weight")), matrix(&format!("{path}.lora_B.weight")));
        let part = values(&Value::Matrix(b.matmul(a) * scale));
        let whole = values(&learner.model.params.get(learner.model.params.find(name).unwrap()).value);
        let sum: Vec<f32> = rest.read_f32(name).unwrap().iter().zip(&part).map(|(a, b)| a + b).collect();
        let off = distance(&sum, &whole);
        assert!(off < 1e-4 * slack(&chosen()), "{name}: W_res + sBA is off W by {off:.2e}");
        compared += 1;
    }
    assert!(compared > 0);
    let eval = &case.train["eval"];
    let off =
        distance(&logits(&learner.model, Some(adapter.as_ref()), eval), &logits(&learner.model, None, eval));
    case.check("logits at the start and of the base", off, 1e-4 * slack(&chosen()));
}

fn learns_like_peft(case: &Case, config: &TrainConfig, mut learner: Learner) -> Learner {
    let schedule = Schedule::new(config, case.steps as u64).unwrap();
    let (mut loss, mut norm) = (0f64, 0f64);
    for (index, step) in case.train["steps"].as_array().unwrap().iter().enumerate() {
        let batches: Vec<Batch> = step["micro_batches"].as_array().unwrap().iter().map(batch_of).collect();
        let settings = StepSettings::new(config, Layout::keeping(index % 3));
        let lr = schedule.rate(index as u64);
        let got = learner.step(&batches, index as u64, lr, &settings, &Control::default()).unwrap().unwrap();
        let want = &case.expected["steps"][index];
        let (want_loss, want_norm) = (want["loss"].as_f64().unwrap(), want["grad_norm"].as_f64().unwrap());
        loss = loss.max((got.loss - want_loss).abs() / want_loss);
        norm = norm.max((got.grad_norm - want_norm).abs() / want_norm);
    }
    case.check("losses of our own start (relative)", loss, 1e-4 * slack(&chosen()));
    case.check("gradient norms of our own start (relative)", norm, 1e-3 * slack(&chosen()));
    let got = logits(&learner.model, learner.adapter.as_deref(), &case.train["eval"]);
    let want = floats(&case.dir.join("expected.safetensors"), "logits_final");
    case.check("final logits of our own start", distance(&got, &want), case.tolerance("logits_final_abs"));
    learner
}

/// A checkpoint holds the converted factors; set up anew, they are the same to the last bit.
fn resumes(case: &Case, config: &TrainConfig, learner: &Learner) {
    let saved = tempfile::tempdir().unwrap();
    let adapter = learner.adapter.as_ref().unwrap();
    adapter.save(saved.path(), "base").unwrap();
    let again = case.own_pissa();
    let mut fresh = again.adapter.unwrap();
    fresh.copy_from(load_adapter(saved.path(), &again.model).unwrap().as_ref()).unwrap();
    for ((_, ours), (_, theirs)) in adapter.params().iter().zip(fresh.params().iter()) {
        assert_eq!(values(&ours.value), values(&theirs.value), "{}", ours.name);
    }
    let eval = &case.train["eval"];
    let (before, after) = (
        logits(&learner.model, Some(adapter.as_ref()), eval),
        logits(&again.model, Some(fresh.as_ref()), eval),
    );
    assert_eq!(before, after, "{config:?}");
}

/// Plain LoRA of twice the rank on the weights as they were.
fn saved_plainly(case: &Case, learner: Learner) {
    let saved = tempfile::tempdir().unwrap();
    learner.adapter.as_ref().unwrap().save(saved.path(), "base").unwrap();
    let config = read_json(&saved.path().join("adapter_config.json"));
    assert_eq!(
        (&config["r"], &config["init_lora_weights"]),
        (&serde_json::json!(16), &serde_json::json!(true))
    );
    let model = load(&case.base, &chosen().device);
    let read = load_adapter(saved.path(), &model).unwrap();
    let eval = &case.train["eval"];
    let live = logits(&learner.model, learner.adapter.as_deref(), eval);
    let off = distance(&logits(&model, Some(read.as_ref()), eval), &live);
    case.check("logits of the saved adapter", off, 1e-4 * slack(&chosen()));
    let off = distance(&logits(&learner.model, None, eval), &logits(&model, None, eval));
    assert_eq!(off, 0.0, "the base itself is untouched");
    merged(case, learner, false);
}

//! Baichuan 2's NormHead: the rows of the head have length 1, whatever a method attaches to them.

use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use data::Batch;
use engine::methods::{self, Adapter, Attach};
use engine::models::{ConfigJson, FAMILIES, Model, ModelFolder};
use engine::nn::{Gradients, ParamId, Value};
use engine::train::{Backward, Clock, Layout, batch_loss};
use engine::weights::read_f32;
use protocol::Control;
use protocol::config::MethodConfig;
use serde_json::json;

const IDS: [u32; 8] = [5, 80, 33, 4, 17, 60, 2, 91];

fn model() -> Model {
    let family = FAMILIES.iter().find(|family| family.id == "baichuan").unwrap();
    let config = ConfigJson::from_map(serde_json::from_str(family.tiny).unwrap());
    let folder = ModelFolder::from_config(std::path::Path::new("."), config).unwrap();
    folder.initialise(&Device::flex(), DType::F32, 7)
}

fn logits(model: &Model, adapter: Option<&dyn Adapter>) -> Vec<f32> {
    let all = model.logits(&IDS, 1, adapter.map(Adapter::view)).unwrap();
    read_f32(&Value::Vector(all.flatten(0, 2))).unwrap()
}

#[track_caller]
fn near(a: &[f32], b: &[f32]) {
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(a.len() == b.len() && off < 2e-5, "logits differ by {off}");
}

fn head(model: &Model) -> ParamId {
    model.params.find("lm_head.weight").unwrap()
}

fn matrix(value: &Value) -> Tensor<2> {
    value.matrix().expect("a matrix")
}

/// Numbers in place of those that a method begins with.
/// The same in every run: finite differences would not bear every draw.
fn noise(value: &Value) -> Value {
    let matrix = matrix(value);
    let dims = matrix.dims();
    let draw = |at: usize| ((at as f32 * 12.9898).sin() * 437.585).fract() * 0.5;
    let drawn: Vec<f32> = (0..dims[0] * dims[1]).map(draw).collect();
    Value::Matrix(Tensor::from_data(TensorData::new(drawn, dims), &matrix.device()))
}

fn attach(model: &mut Model, settings: serde_json::Value) -> Option<Box<dyn Adapter>> {
    let config: MethodConfig = serde_json::from_value(settings).unwrap();
    methods::attach(model, &config, &Attach { seed: 1, learning_rate: 1e-3 }).unwrap()
}

#[test]
fn only_the_direction_of_a_row_counts_and_new_rows_are_measured_anew() {
    let mut model = model();
    let before = logits(&model, None);
    let weight = matrix(&model.params.get(head(&model)).value);
    let factors = Tensor::<2>::random([96, 1], Distribution::Uniform(0.5, 4.0), &model.device);
    let id = head(&model);
    model.params.get_mut(id).value = Value::Matrix(weight.clone() * factors);
    near(&before, &logits(&model, None));
    let unit = weight.clone() / weight.square().sum_dim(1).sqrt();
    model.params.get_mut(id).value = Value::Matrix(unit);
    near(&before, &logits(&model, None));
    assert!(before.iter().any(|logit| logit.abs() > 0.1));
}

#[test]
fn an_adapter_on_the_head_is_what_merging_makes_of_it() {
    for dora in [false, true] {
        let mut model = model();
        let plain = logits(&model, None);
        let settings = json!({"kind": "lora", "targets": ["head"], "rank": 2, "alpha": 4.0, "dora": dora});
        let mut adapter = attach(&mut model, settings).unwrap();
        near(&plain, &logits(&model, Some(adapter.as_ref())));
        for param in adapter.params_mut().iter_mut().filter(|param| param.shape.len() == 2) {
            param.value = noise(&param.value);
        }
        let adapted = logits(&model, Some(adapter.as_ref()));
        let id = head(&model);
        model.params.get_mut(id).value = adapter.merged(id, &model.params.get(id).value).unwrap();
        near(&adapted, &logits(&model, None));
        assert!(adapted.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 0.05));
    }
}

#[test]
fn a_head_that_is_saved_whole_replaces_the_models() {
    let mut model = model();
    let settings = json!({"kind": "lora", "targets": ["qkv"], "modules_to_save": ["lm_head"]});
    let mut adapter = attach(&mut model, settings).unwrap();
    let copy = adapter.params().find("lm_head.weight").unwrap();
    logits(&model, Some(adapter.as_ref()));
    let value = noise(&adapter.params().get(copy).value);
    adapter.params_mut().get_mut(copy).value = value.clone();
    let adapted = logits(&model, Some(adapter.as_ref()));
    let id = head(&model);
    model.params.get_mut(id).value = value;
    near(&adapted, &logits(&model, None));
}

/// Along its own gradient, the loss must change by the gradient's length.
#[test]
fn gradients_go_through_the_normalisation() {
    for settings in [
        json!({"kind": "full"}),
        json!({"kind": "lora", "targets": ["head"], "rank": 2}),
        json!({"kind": "lora", "targets": ["qkv"], "modules_to_save": ["lm_head"]}),
    ] {
        let mut model = model();
        let mut adapter = attach(&mut model, settings.clone());
        for param in adapter.iter_mut().flat_map(|adapter| adapter.params_mut().iter_mut()) {
            param.value = noise(&param.value);
        }
        let gradients = gradients(&model, adapter.as_deref());
        let wanted = |name: &str| name.starts_with("lm_head");
        let base = model.params.iter().filter(|(_, param)| param.trainable);
        let added = adapter.iter().flat_map(|adapter| adapter.params().iter());
        let heads: Vec<ParamId> =
            base.chain(added).filter(|(_, param)| wanted(&param.name)).map(|(id, _)| id).collect();
        assert!(!heads.is_empty());
        for id in heads {
            let gradient = gradients[&id].clone();
            let length = gradient.clone().square().sum().sqrt().into_scalar::<f32>();
            let mut loss_at = |shift: f32| {
                let store = match &mut adapter {
                    Some(adapter) => adapter.params_mut(),
                    None => &mut model.params,
                };
                let param = store.get_mut(id);
                let direction = Value::from_flat(gradient.clone() / length, &param.shape);
                param.value = Value::Matrix(matrix(&param.value) + matrix(&direction) * shift);
                let loss = batch_loss(&model, adapter.as_deref().map(Adapter::view), &batch()).unwrap();
                (loss / batch().learned as f64) as f32
            };
            let above = loss_at(1e-2);
            let below = loss_at(-2e-2);
            loss_at(1e-2);
            let slope = (above - below) / 2e-2;
            assert!((slope - length).abs() < 0.02 * length, "{settings}: slope {slope}, gradient {length}");
        }
    }
}

fn batch() -> Batch {
    let labels = IDS.iter().map(|id| *id as i32).collect();
    Batch { rows: 1, len: IDS.len(), ids: IDS.to_vec(), labels, learned: 7, ..Batch::default() }
}

fn gradients(model: &Model, adapter: Option<&dyn Adapter>) -> Gradients {
    let (control, clock) = (Control::default(), Clock::off());
    let adapter = adapter.map(Adapter::view);
    let backward = Backward {
        model,
        adapter,
        dropout: None,
        layout: Layout::keeping(0),
        control: &control,
        clock: &clock,
    };
    let mut gradients = Gradients::new();
    backward.run(&batch(), 1.0 / 7.0, &mut gradients).unwrap().unwrap();
    gradients
}

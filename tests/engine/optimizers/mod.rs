//! Every optimizer's numbers: against the papers' formulas in f64, and against torch, transformers and bitsandbytes
//! (`tests/reference/make_optimizers.py`).

mod reference;

use burn::tensor::{DType, Device, Tensor, TensorData};
use engine::nn::Value;
use engine::nn::ops::{self, Code, SIGNED_CODE, UNSIGNED_CODE};
use engine::optim::{self, Choice, OPTIMIZERS, Optimizer, Stored, Subject, Trained, Update};
use engine::weights::open_file;
use protocol::config::TrainConfig;
use serde_json::{Map, Value as Json, json};

use crate::golden::{chosen, distance, json as read, slack, values};

/// What the file names, and how a run file says it.
const CASES: [(&str, &str, &str); 9] = [
    ("adamw", "adamw", "{}"),
    ("paged-adamw", "paged-adamw", "{}"),
    ("adamw-8bit", "adamw-8bit", "{}"),
    ("adafactor", "adafactor", "{}"),
    ("lion", "lion", "{}"),
    ("sgd", "sgd", "{}"),
    ("sgd-nesterov", "sgd", r#"{"momentum": 0.8, "nesterov": true}"#),
    ("muon", "muon", "{}"),
    ("muon-original", "muon", r#"{"scale": "original"}"#),
];

fn fixture() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/reference/optimizers.json");
    read(path.as_ref())
}

fn config(id: &str, settings: &str) -> TrainConfig {
    let own: Map<String, Json> = serde_json::from_str(settings).unwrap();
    let mut config = TrainConfig { optimizer: id.into(), optimizer_settings: own, ..TrainConfig::default() };
    if !Choice::of(&config).unwrap().entry.ignores.contains(&"betas") {
        config.betas = [0.9, 0.95];
    }
    config
}

/// As in the script.
fn numbers(count: usize, mut state: u32) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

fn gradient(name: &str, count: usize, step: usize) -> Vec<f32> {
    let drawn = numbers(count, 1000 * (step as u32 + 1) + name.len() as u32);
    drawn.into_iter().map(|g| g * g.abs() * 0.1).collect()
}

fn tensor(numbers: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), (device, DType::F32))
}

/// One parameter of the file.
struct Param<'a> {
    name: &'a str,
    shape: Vec<usize>,
}

impl Param<'_> {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn subject(&self) -> Subject<'_> {
        let block_matrix = match self.shape.as_slice() {
            [outputs, inputs] => Some([*outputs, *inputs]),
            _ => None,
        };
        Subject { name: self.name, shape: &self.shape, block_matrix }
    }

    fn begin(&self) -> Vec<f32> {
        numbers(self.count(), self.name.len() as u32)
    }
}

fn params(fixture: &Json) -> Vec<Param<'_>> {
    let sides = |shape: &Json| serde_json::from_value(shape.clone()).unwrap();
    let shapes = fixture["shapes"].as_object().unwrap().iter();
    shapes.map(|(name, shape)| Param { name, shape: sides(shape) }).collect()
}

/// Update number `step` (from 0) of one parameter or several, with gradients that arrive eight times too large.
fn update(
    optimizer: &mut Optimizer,
    params: &[&Param<'_>],
    values: Vec<Tensor<1>>,
    step: usize,
    rate: f64,
) -> Vec<Tensor<1>> {
    let device = values[0].device();
    let trained = |(param, value): (&&'_ Param<'_>, Tensor<1>)| {
        let large: Vec<f32> = gradient(param.name, param.count(), step).iter().map(|g| g * 8.0).collect();
        (value, tensor(&large, &device))
    };
    let held: Vec<_> = params.iter().zip(values).map(trained).collect();
    let update = Update {
        lr: rate,
        weight_decay: 0.1,
        step: step as u32 + 1,
        grad_scale: Tensor::full([1], 0.125, (&device, DType::F32)),
    };
    let subjects = params.iter().map(|param| param.subject());
    let trained = subjects.zip(held).map(|(subject, (value, gradient))| Trained { subject, value, gradient });
    optimizer.update_all(trained.collect(), &update).unwrap()
}

/// What so many updates make of all of them.
fn trained(id: &str, settings: &str, params: &[&Param<'_>], rates: &[f64]) -> Vec<Vec<f32>> {
    let device = chosen().device;
    let mut optimizer = optim::build(&config(id, settings)).unwrap();
    let mut all: Vec<_> = params.iter().map(|param| tensor(&param.begin(), &device)).collect();
    for (step, rate) in rates.iter().enumerate() {
        all = update(&mut optimizer, params, all, step, *rate);
    }
    all.into_iter().map(|value| values(&Value::Vector(value))).collect()
}

fn rates(fixture: &Json) -> Vec<f64> {
    serde_json::from_value(fixture["rates"].clone()).unwrap()
}

#[test]
fn every_optimizer_is_tried() {
    for entry in OPTIMIZERS {
        assert!(CASES.iter().any(|(_, id, _)| *id == entry.id), "{} is not among the cases", entry.id);
    }
}

#[test]
fn updates_are_those_of_the_papers() {
    let fixture = fixture();
    let rates = rates(&fixture);
    for (case, id, settings) in CASES.iter().filter(|(case, ..)| *case != "adamw-8bit") {
        for param in params(&fixture) {
            let shape = &param.shape;
            let matrix = shape.len() == 2;
            let (rows, columns) = if matrix { (shape[0], shape[1]) } else { (1, shape[0]) };
            let subject = reference::Subject { rows, columns, matrix };
            let mut rule = reference::Rule::of(case, &subject);
            let mut want: Vec<f64> = param.begin().into_iter().map(f64::from).collect();
            for (step, rate) in rates.iter().enumerate() {
                let g: Vec<f64> =
                    gradient(param.name, param.count(), step).into_iter().map(f64::from).collect();
                rule.update(&mut want, &g, &subject, *rate, 0.1, step as u32 + 1);
            }
            let want: Vec<f32> = want.into_iter().map(|p| p as f32).collect();
            let off = distance(&trained(id, settings, &[&param], &rates)[0], &want);
            println!("{case}: {} is off by {off:.1e}", param.name);
            let allowed = if case.starts_with("muon") { 2e-5 } else { 1e-6 };
            assert!(off <= allowed * slack(&chosen()), "{case}: {} is off by {off:.2e}", param.name);
        }
    }
}

#[test]
fn updates_are_those_of_torch_transformers_and_bitsandbytes() {
    let fixture = fixture();
    let rates = rates(&fixture);
    for (case, id, settings) in CASES {
        let known = if case == "paged-adamw" { "adamw" } else { case };
        for param in params(&fixture) {
            let Some(want) = fixture["values"][known][param.name].as_array() else { continue };
            let want: Vec<f32> = want.iter().map(|value| value.as_f64().unwrap() as f32).collect();
            let thinned = if param.count() < 200 { 1 } else { 7 };
            let got = trained(id, settings, &[&param], &rates).remove(0);
            let got: Vec<f32> = got.into_iter().step_by(thinned).collect();
            let off = distance(&got, &want);
            println!("{case}: {} is off by {off:.1e}", param.name);
            // Torch takes Muon's products in bf16: a hundredth of what the matrix moved.
            let allowed = if case.starts_with("muon") { 6e-3 } else { 2e-6 };
            assert!(off <= allowed * slack(&chosen()), "{case}: {} is off by {off:.2e}", param.name);
        }
    }
}

/// More of them than a kernel takes at once.
#[test]
fn parameters_are_updated_together_as_each_alone() {
    let fixture = fixture();
    let rates = rates(&fixture);
    let names: Vec<String> = (0..9).map(|index| format!("parameter.{}", "x".repeat(index))).collect();
    let shapes = [[300, 20].as_slice(), &[4], &[7], &[64, 64]];
    let params: Vec<_> = names
        .iter()
        .zip(shapes.into_iter().cycle())
        .map(|(name, shape)| Param { name, shape: shape.to_vec() })
        .collect();
    for (case, id, settings) in CASES {
        let together = trained(id, settings, &params.iter().collect::<Vec<_>>(), &rates);
        for (param, got) in params.iter().zip(together) {
            let want = trained(id, settings, &[param], &rates).remove(0);
            assert!(distance(&got, &want) <= 1e-7 * slack(&chosen()), "{case}: {}", param.name);
        }
    }
}

#[test]
fn the_dynamic_maps_are_those_of_bitsandbytes() {
    let fixture = fixture();
    for (name, code) in [("signed", &*SIGNED_CODE), ("unsigned", &*UNSIGNED_CODE)] {
        let want: Vec<f64> = serde_json::from_value(fixture["maps"][name].clone()).unwrap();
        let want: Vec<f32> = want.into_iter().map(|value| value as f32).collect();
        assert_eq!((code.values.len(), code.middles.len()), (256, 255));
        assert_eq!(code.values, want, "{name}");
    }
}

/// Kernel and composition, a short last block, a block of zeros.
#[test]
fn codes_are_the_nearest_and_come_back() {
    let device = chosen().device;
    for (code, signed) in [(&*SIGNED_CODE, true), (&*UNSIGNED_CODE, false)] {
        let mut x: Vec<f32> =
            numbers(1000, 3).into_iter().map(|x| if signed { x } else { x.abs() }).collect();
        x[256..512].fill(0.0);
        x[512..768].iter_mut().for_each(|x| *x *= 1e-20);
        for (codes, scales) in [
            ops::encode_blocks(tensor(&x, &device), code),
            ops::compose::encode_blocks(tensor(&x, &device), code),
        ] {
            for back in [
                ops::decode_blocks(codes.clone(), scales.clone(), code),
                ops::compose::decode_blocks(codes, scales, code),
            ] {
                nearest(&x, &values(&Value::Vector(back)), code);
            }
        }
    }
}

fn nearest(x: &[f32], back: &[f32], code: &Code) {
    for (x, back) in x.chunks(256).zip(back.chunks(256)) {
        let most = x.iter().fold(0f32, |most, x| most.max(x.abs()));
        for (x, back) in x.iter().zip(back) {
            let best = code.values.iter().map(|v| (v * most - x).abs()).fold(f32::MAX, f32::min);
            assert!((x - back).abs() <= best + most * 1e-6, "{x} became {back}, {best} is possible");
        }
    }
}

/// Three updates, then three more after the way through a file: the same as six.
#[test]
fn states_come_back_from_a_checkpoint_bit_for_bit() {
    let fixture = fixture();
    let rates = rates(&fixture);
    let device = chosen().device;
    for (case, id, settings) in CASES {
        let dir = tempfile::tempdir().unwrap();
        let param = params(&fixture).pop().unwrap();
        let mut optimizer = optim::build(&config(id, settings)).unwrap();
        let mut value = vec![tensor(&param.begin(), &device)];
        for (step, rate) in rates.iter().enumerate() {
            if step == 3 {
                optimizer.slots.write(dir.path(), "states").unwrap();
                optimizer = optim::build(&config(id, settings)).unwrap();
                let file = open_file(&dir.path().join("states.safetensors")).unwrap();
                optimizer.slots.read(&file, &device).unwrap();
            }
            value = update(&mut optimizer, &[&param], value, step, *rate);
        }
        assert!(
            values(&Value::Vector(value.remove(0))) == trained(id, settings, &[&param], &rates)[0],
            "{case}"
        );
    }
}

#[test]
fn paged_states_are_on_the_host_and_change_no_figure() {
    let fixture = fixture();
    let rates = rates(&fixture);
    for param in params(&fixture) {
        let [here, there] = ["adamw", "paged-adamw"].map(|id| trained(id, "{}", &[&param], &rates));
        assert!(here == there, "{}", param.name);
        let mut optimizer = optim::build(&config("paged-adamw", "{}")).unwrap();
        let value = tensor(&param.begin(), &chosen().device);
        drop(update(&mut optimizer, &[&param], vec![value], 0, 0.1));
        let on_host = |stored: &Stored| matches!(stored, Stored::Host(_));
        assert_eq!(optimizer.slots.iter().filter(|(_, stored)| on_host(stored)).count(), 2);
    }
}

/// Bytes that a state takes where it lives.
fn bytes(stored: &Stored) -> usize {
    match stored {
        Stored::Floats(floats) => floats.clone().into_data().as_bytes().len(),
        Stored::Codes(codes) => codes.clone().into_data().as_bytes().len(),
        Stored::Host(data) => data.as_bytes().len(),
    }
}

#[test]
fn states_take_what_is_forecast() {
    let device = chosen().device;
    for (case, id, settings) in CASES {
        for shape in [vec![4095], vec![4096], vec![300, 200], vec![100_003]] {
            let param = Param { name: "p", shape };
            let config = config(id, settings);
            let mut optimizer = optim::build(&config).unwrap();
            let value = tensor(&param.begin(), &device);
            drop(update(&mut optimizer, &[&param], vec![value], 0, 0.1));
            let taken: usize = optimizer.slots.iter().map(|(_, stored)| bytes(stored)).sum();
            let told = Choice::of(&config).unwrap().bytes([param.subject()].into_iter(), false);
            assert_eq!(taken as u64, told, "{case}: {:?}", param.shape);
            if case == "adamw-8bit" && param.count() > 4096 {
                let each = taken as f64 / param.count() as f64;
                println!("{case}: {each:.3} bytes a number of {:?}", param.shape);
                assert!(each < 2.05);
            }
        }
    }
}

#[test]
fn what_an_optimizer_does_not_know_is_refused() {
    let refused = |config: &TrainConfig| Choice::of(config).map(|_| ()).unwrap_err().to_string();
    let usual = TrainConfig::default();
    assert!(refused(&TrainConfig { optimizer: "adanw".into(), ..usual.clone() }).contains("`adamw`"));
    let betas = TrainConfig { optimizer: "lion".into(), betas: [0.9, 0.5], ..usual.clone() };
    assert!(refused(&betas).contains("train.betas"));
    let own = |key: &str, value: Json| TrainConfig {
        optimizer: "sgd".into(),
        optimizer_settings: Map::from_iter([(key.to_owned(), value)]),
        ..TrainConfig::default()
    };
    assert!(refused(&own("momentun", json!(0.5))).contains("`momentum`"));
    assert!(refused(&own("momentum", json!(1.5))).contains("0 to 0.999999"));
    assert!(Choice::of(&TrainConfig { optimizer: "muon".into(), ..usual }).unwrap().suits(false).is_err());
}

//! What every family can do, whatever it is made of.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use data::{Batch, BeeBatch};
use engine::generate::{Decoding, argmax, score_rows};
use engine::models::{Family, Model, PassOptions, Rows};
use engine::nn::{Gradients, Value, ops};
use engine::train::{Backward, Clock, Layout, batch_loss};
use engine::weights::read_f32;
use protocol::{
    ChatMessage, Command, Control, Event, ExportRequest, GenerateRequest, ModelRef, Prompt, Sampling,
};
use serde_json::json;

use super::made::{Container, Made, load, logits};
use crate::exports;
use crate::project::run_file;
use crate::runs::support::Engine;

/// A row as [`Made`]'s template writes it: `user wood iron assistant [gMASK] <sop> river stone </s>`.
pub const ROW: [u32; 9] = [10, 5, 6, 11, 90, 91, 7, 8, 2];
/// Tokens of [`ROW`] before the answer: what a model that reads its prompt as a whole gets in one piece.
const PROMPT: usize = 6;

fn model_ref(path: &Path) -> ModelRef {
    ModelRef { path: path.to_owned(), dtype: "f32".into(), ..ModelRef::default() }
}

fn export(made: &Path, adapter: Option<&Path>, out: &Path, verify: bool) {
    let adapters: Vec<&Path> = adapter.into_iter().collect();
    let model = ModelRef { dtype: "f32".into(), ..exports::model_ref(made, &adapters) };
    let export = ExportRequest { verify, ..exports::request(model, "merged", out.to_owned()) };
    exports::ask(&mut Engine::start(), export).unwrap();
}

/// Every container gives the same elements, and so does what is written from it.
pub fn loads(family: &Family) {
    for container in Container::ALL {
        let made = Made::new(family, container);
        same(&made, &made.load());
        let out = made.path().join("written");
        export(made.path(), None, &out, false);
        same(&made, &load(&out));
    }
}

fn same(made: &Made, model: &Model) {
    assert_eq!(model.params.iter().count(), made.tensors.len());
    for (name, shape, elements) in &made.tensors {
        let param = model.params.get(model.params.find(name).unwrap());
        assert_eq!(&param.shape, shape, "{name}");
        assert_eq!(&read_f32(&param.value).unwrap(), elements, "{name}");
    }
}

/// Log-probabilities are those of the logits, and a pass with a cache sees what one without sees.
pub fn scores(family: &Family) {
    let model = Made::new(family, Container::Safetensors).load();
    let rows = model.info.vocabulary;
    let logits = logits(&model, &ROW, None);
    let scored = score_rows(&model, None, &[ROW.to_vec(), ROW[..7].to_vec()]).unwrap();
    for (at, logprob) in scored[0].logprobs.iter().enumerate() {
        let row = &logits[at * rows..(at + 1) * rows];
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        near(*logprob, row[ROW[at + 1] as usize] - sum.ln() as f32, "a log-probability");
    }
    let logits = prompted(&model, &ROW);
    let decoding = Decoding::new(&model, None);
    let mut got = decoding.feed(&ROW[..PROMPT]).unwrap().logits;
    for at in PROMPT..ROW.len() {
        let want = &logits[(at - 1) * rows..at * rows];
        got.iter().zip(want).for_each(|(got, want)| near(*got, *want, "a logit with a cache"));
        got = decoding.feed(&ROW[at..=at]).unwrap().logits;
    }
}

/// The logits of a row whose beginning is a prompt, which some families read as a whole: its tokens see one
/// another.
fn prompted(model: &Model, ids: &[u32]) -> Vec<f32> {
    let mut side = BeeBatch::plain(&[0]);
    side.fill(PROMPT, true);
    side.fill(ids.len(), false);
    let positions = model.positions(&Rows { side: Some(&side), ..Rows::fresh(ids, 1) }, None).unwrap();
    let pass = model.pass(&positions, PassOptions::default());
    let hidden = model.hidden(&pass, model.ids(ids, 1).unwrap());
    let hidden = hidden.narrow(1, model.decoder.lead(), ids.len());
    let logits = model.decoder.head(&pass, model.decoder.final_norm(&pass, hidden));
    read_f32(&Value::Vector(logits.flatten(0, 2))).unwrap()
}

#[track_caller]
pub fn near(got: f32, want: f32, what: &str) {
    assert!((got - want).abs() <= 2e-4 * want.abs().max(1.0), "{what}: {got} is not {want}");
}

/// The gradient of every parameter is the slope of the loss, and full fine-tuning lowers it.
pub fn trains_whole(family: &Family) {
    slopes(family);
    let made = Made::new(family, Container::Safetensors);
    let result = train(&made, "[method]\nkind = \"full\"\n", "2e-3");
    let (before, after) = (loss(&made.load()), loss(&load(&result)));
    assert!(after < before, "full fine-tuning took the loss from {before} to {after}");
}

pub fn batch() -> Batch {
    let labels: Vec<i32> =
        ROW.iter().enumerate().map(|(at, id)| if at < PROMPT { -100 } else { *id as i32 }).collect();
    Batch {
        rows: 1,
        len: ROW.len(),
        ids: ROW.to_vec(),
        labels,
        lengths: vec![ROW.len() as u32],
        learned: (ROW.len() - PROMPT) as u64,
        tokens: ROW.len() as u64,
        ..Batch::default()
    }
}

fn loss(model: &Model) -> f64 {
    batch_loss(model, None, &batch()).unwrap()
}

/// Along the gradient of one parameter at a time, against the difference of two losses.
fn slopes(family: &Family) {
    let mut model = Made::new(family, Container::Safetensors).load();
    model.params.iter_mut().for_each(|param| param.trainable = true);
    let mut gradients = Gradients::new();
    let control = Control::default();
    let backward = Backward {
        model: &model,
        adapter: None,
        dropout: None,
        layout: Layout::keeping(1),
        control: &control,
        clock: &Clock::off(),
    };
    backward.run(&batch(), 1.0, &mut gradients).unwrap().unwrap();
    let ids: Vec<_> = model.params.iter().map(|(id, _)| id).collect();
    for id in ids {
        let name = model.params.get(id).name.clone();
        let Some(gradient) = gradients.remove(&id) else {
            // An expert that no token chose.
            let other = Tensor::ones([model.params.get(id).elements()], &Device::flex());
            assert_eq!(moved(&mut model, id, &other, 0.1), loss(&model), "{name} has no gradient");
            continue;
        };
        let length = read_f32(&Value::Vector(ops::sum_of_squares(vec![gradient.clone()]))).unwrap()[0].sqrt();
        // A key's bias moves every score of a query alike: its slope is 0 but for rounding.
        if length < 1e-4 {
            continue;
        }
        let step = 4e-3 / f64::from(length).max(1.0);
        let direction = gradient / f64::from(length);
        // Where a router changes its mind within a step the loss jumps: a shorter one stays on one side.
        let slopes = [step, 0.1 * step].map(|step| {
            let rise = moved(&mut model, id, &direction, step) - moved(&mut model, id, &direction, -step);
            rise / (2.0 * step)
        });
        let allowed = 0.05 * f64::from(length) + 5e-3;
        let agrees = |slope: &f64| (slope - f64::from(length)).abs() < allowed;
        assert!(slopes.iter().any(agrees), "{name}: gradient {length}, slopes {slopes:?}");
    }
}

/// The loss with one parameter moved; it is put back.
fn moved(model: &mut Model, id: engine::nn::ParamId, direction: &Tensor<1>, by: f64) -> f64 {
    let param = model.params.get_mut(id);
    let kept = param.value.clone();
    param.value = Value::from_flat(kept.flat() + direction.clone() * by, &param.shape.clone());
    let loss = loss(model);
    model.params.get_mut(id).value = kept;
    loss
}

/// Trains for a few steps on [`ROW`] and returns the folder of what came out.
fn train(made: &Made, method: &str, rate: &str) -> std::path::PathBuf {
    let turns = json!([{ "role": "user", "content": "wood iron" }, { "role": "assistant", "content": "river stone" }]);
    let row = json!({ "messages": turns }).to_string() + "\n";
    std::fs::write(made.path().join("data.jsonl"), row.repeat(8)).unwrap();
    let settings = format!(
        "max_steps = 12\nlearning_rate = {rate}\nscheduler = \"constant\"\n[model]\npath = \".\"\n[data]\nvalidation = 0.0\n{method}"
    );
    let source = run_file(&settings);
    let config = Box::new(protocol::config::parse_run_file(&source, Path::new("run.toml")).unwrap());
    let (base, out) = (made.path().to_owned(), made.path().join("run"));
    let start = |request| protocol::RunCommand::Start { request, config, base, source, out };
    Engine::start().run(start, |_, _| {}).finished().1
}

/// LoRA on every matrix of the blocks learns, and merges into a model that says the same.
pub fn adapts(family: &Family) {
    let made = Made::new(family, Container::Safetensors);
    let adapter = train(&made, LORA, "2e-2");
    let model = made.load();
    let adapter = engine::methods::load_adapter(&adapter, &model).unwrap();
    let before = loss(&model);
    let after = batch_loss(&model, Some(adapter.view()), &batch()).unwrap();
    assert!(after < before, "LoRA took the loss from {before} to {after}");
}

const LORA: &str = "[method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";

pub fn merges(family: &Family) {
    let made = Made::new(family, Container::Safetensors);
    let folder = train(&made, LORA, "2e-2");
    let out = made.path().join("merged");
    export(made.path(), Some(&folder), &out, true);
    let model = made.load();
    let adapter = engine::methods::load_adapter(&folder, &model).unwrap();
    let unmerged = logits(&model, &ROW, Some(adapter.view()));
    let merged = logits(&load(&out), &ROW, None);
    merged.iter().zip(unmerged).for_each(|(got, want)| near(*got, want, "a merged logit"));
}

/// A conversation is answered with what the model finds most likely, token by token.
pub fn chats(family: &Family) {
    let made = Made::new(family, Container::Safetensors);
    let model = made.load();
    let messages = vec![ChatMessage { role: "user".into(), content: "wood iron".into() }];
    let sampling = Sampling { temperature: 0.0, max_new_tokens: 5, ignore_eos: true, ..Sampling::default() };
    let prompt = Prompt::Messages(messages);
    let generate =
        GenerateRequest { model: model_ref(made.path()), adapter: None, live: None, prompt, sampling };
    let got = Engine::start().ask(
        |request| Command::Generate { request, generate },
        |event| match event {
            Event::Generated { ids, .. } => Some(ids),
            Event::Failed { error, .. } => panic!("{error:?}"),
            _ => None,
        },
    );
    let mut all = ROW[..PROMPT].to_vec();
    for _ in 0..5 {
        let logits = prompted(&model, &all);
        all.push(argmax(&logits[logits.len() - model.info.vocabulary..]));
    }
    assert_eq!(got, all[PROMPT..]);
}

/// Half the bytes, and no nonsense: bf16 runs through every operation of the family.
pub fn runs_in_bf16(family: &Family) {
    let made = Made::new(family, Container::Safetensors);
    let whole = logits(&made.load(), &ROW, None);
    let model = made.open().load(&Device::flex(), DType::BF16, &mut |_, _| {}).unwrap();
    let half = logits(&model, &ROW, None);
    let (mut dot, mut a, mut b) = (0f64, 0f64, 0f64);
    for (x, y) in whole.iter().zip(&half) {
        dot += f64::from(x * y);
        a += f64::from(x * x);
        b += f64::from(y * y);
    }
    let cosine = dot / (a * b).sqrt();
    assert!(cosine > 0.995, "logits in bf16 point elsewhere: cosine {cosine}");
}

//! The contract that every method keeps on every family: its gradient is the slope of the loss, what is saved is what
//! was trained, answers with a cache are those without, and where it merges, the merged model says the same.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use engine::generate::Decoding;
use engine::methods::{self, Adapter, Attach, METHODS, Method};
use engine::models::{FAMILIES, Family, Model};
use engine::nn::{DropoutKey, Gradients, ParamId, Value};
use engine::train::{Backward, Clock, Layout, batch_loss};
use engine::weights::read_f32;
use protocol::Control;
use protocol::config::MethodConfig;
use serde_json::{Map, Value as Json, json};

use super::contract::{ROW, batch, near};
use super::made::{self, Container, Made};
use super::packed;
use crate::exports::merge;

/// Settings that suit very small models; more than one where a method has several forms.
pub fn settings(method: &Method) -> Vec<Map<String, Json>> {
    let forms = match method.id {
        "lora" => vec![json!({ "rank": 2, "targets": "all-linear", "dropout": 0.2 })],
        "dora" => vec![json!({ "rank": 2, "targets": "all-linear" })],
        "freeze" => vec![json!({ "blocks": 1, "final_norm": true })],
        "prefix" => {
            vec![json!({ "tokens": 3 }), json!({ "tokens": 3, "projection": true, "projection_width": 5 })]
        }
        "p-tuning-v2" => {
            let projected = json!({ "tokens": 2, "projection": true, "projection_width": 4, "dropout": 0.4 });
            vec![projected, json!({ "tokens": 3, "dropout": 0.3 })]
        }
        "prompt" => vec![json!({ "tokens": 3 })],
        "p-tuning" => {
            let network = |word: &str| json!({ "tokens": 3, "encoder": word, "encoder_width": 4 });
            vec![network("mlp"), network("lstm")]
        }
        "adapter" => {
            let form = |word: &str| json!({ "form": word, "reduction": 4, "activation": "gelu" });
            ["houlsby", "pfeiffer", "parallel"].map(form).to_vec()
        }
        _ => vec![json!({})],
    };
    forms.into_iter().map(|form| form.as_object().unwrap().clone()).collect()
}

/// Families with no place in front of their tokens for a method.
fn refuses(family: &Family, method: &Method) -> bool {
    let places: &[&str] = match method.id {
        // Keys and values come through fewer dimensions; positions are buckets of distances.
        "prefix" | "p-tuning-v2" => &["minicpm3", "cpmant", "cpmbee"],
        // Its context stands where its marks say.
        "prompt" | "p-tuning" => &["chatglm-6b", "cpmant", "cpmbee"],
        _ => &[],
    };
    places.contains(&family.id)
}

/// Every adapter method on every family, in each form, with no parameter at zero.
fn each(check: fn(&mut Case)) {
    let (mut refused, mut checked) = (Vec::new(), 0);
    for family in FAMILIES {
        let made = Made::new(family, Container::Safetensors);
        for method in METHODS.iter().filter(|method| method.id != "full") {
            for params in settings(method) {
                match Case::new(&made, method, params.clone()) {
                    Ok(mut case) => {
                        check(&mut case);
                        checked += 1;
                    }
                    Err(err) if refuses(family, method) => {
                        assert!(err.to_string().contains("no place"), "{err}");
                        refused.push(format!("{} on {}", method.id, family.id));
                    }
                    Err(err) => panic!("{} on {} with {params:?}: {err}", method.id, family.id),
                }
            }
        }
    }
    println!("{checked} cases; no place for: {}", refused.join(", "));
}

pub struct Case {
    pub name: String,
    method: &'static str,
    /// Whether training leaves something out: then slopes are of the loss with one mask.
    dropout: Option<DropoutKey>,
    pub model: Model,
    pub adapter: Box<dyn Adapter>,
}

impl Case {
    pub fn new(made: &Made, method: &Method, params: Map<String, Json>) -> protocol::Result<Self> {
        let mut model = made.load();
        let config = MethodConfig { kind: method.id.into(), params, ..MethodConfig::default() };
        let context = Attach { seed: 3, learning_rate: 1.0 };
        let mut adapter = methods::attach(&mut model, &config, &context)?.unwrap();
        for (index, param) in adapter.params_mut().iter_mut().enumerate() {
            let count = param.elements();
            let wave = |at: usize| ((at * 37 + index * 11) as f32 * 0.7).sin() * 0.1;
            let noise: Vec<f32> = (0..count).map(wave).collect();
            let moved = param.value.flat() + Tensor::<1>::from_data(noise.as_slice(), &model.device);
            param.value = Value::from_flat(moved, &param.shape);
        }
        let name = format!("{} on {} ({:?})", method.id, model.family.id, config.params);
        // With these masks no token stands where a small step sends it to another expert.
        let key = DropoutKey { seed: 4, step: 2, micro: 1, first_row: 0 };
        let dropout = config.params.contains_key("dropout").then_some(key);
        Ok(Self { name, method: method.id, dropout, model, adapter })
    }

    fn loss(&self) -> f64 {
        match self.dropout {
            Some(_) => self.backward(&mut Gradients::new()),
            None => batch_loss(&self.model, Some(self.adapter.view()), &batch()).unwrap(),
        }
    }

    /// The loss of a step of training, with its gradients.
    fn backward(&self, gradients: &mut Gradients) -> f64 {
        let backward = Backward {
            model: &self.model,
            adapter: Some(self.adapter.view()),
            dropout: self.dropout,
            layout: Layout::keeping(1),
            control: &Control::default(),
            clock: &Clock::off(),
        };
        let loss = backward.run(&batch(), 1.0, gradients).unwrap().unwrap();
        f64::from(read_f32(&Value::Vector(loss)).unwrap()[0])
    }

    fn logits(&self, adapter: Option<&dyn Adapter>) -> Vec<f32> {
        made::logits(&self.model, &ROW, adapter.map(Adapter::view))
    }

    /// The loss with parameters moved along their directions; they are put back.
    fn moved(&mut self, directions: &[(ParamId, Tensor<1>)], by: f64) -> f64 {
        let kept: Vec<Value> = directions
            .iter()
            .map(|(id, direction)| {
                let param = self.adapter.params_mut().get_mut(*id);
                let kept = param.value.clone();
                param.value = Value::from_flat(kept.flat() + direction.clone() * by, &param.shape.clone());
                kept
            })
            .collect();
        let loss = self.loss();
        for ((id, _), kept) in directions.iter().zip(kept) {
            self.adapter.params_mut().get_mut(*id).value = kept;
        }
        loss
    }
}

/// Parameters of one kind, and their gradients.
type Direction = Vec<(ParamId, Tensor<1>)>;

#[test]
fn gradients_of_every_method_are_slopes_on_every_family() {
    each(|case| {
        for (kind, gradients) in gradients(case) {
            // No gradient enters the norms that DoRA divides by, which A and B change: those of A and B are held against
            // PEFT, in the golden cases.
            if case.method != "dora" || kind.contains("magnitude") {
                has_slope(case, &kind, gradients);
            }
        }
    });
}

/// By kind: parameters whose names differ by a block's number alone.
fn gradients(case: &Case) -> BTreeMap<String, Direction> {
    let mut gradients = Gradients::new();
    case.backward(&mut gradients);
    let mut kinds: BTreeMap<String, Direction> = BTreeMap::new();
    for (id, param) in case.adapter.params().iter() {
        let kind = param.name.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        if let Some(gradient) = gradients.remove(&id) {
            kinds.entry(kind).or_default().push((id, gradient));
        }
    }
    assert!(!kinds.is_empty() && gradients.is_empty(), "{}: gradients of nothing", case.name);
    kinds
}

/// DoRA takes its rows' lengths for constants when it goes backward (arXiv:2402.09353, section 4.3), so that the
/// gradient of its factors is not the slope. The golden cases hold it.
fn is_no_slope(case: &Case, kind: &str) -> bool {
    case.name.starts_with("dora") && !kind.ends_with("magnitude_vector")
}

fn has_slope(case: &mut Case, kind: &str, gradients: Direction) {
    if is_no_slope(case, kind) {
        return;
    }
    let square = |gradient: &Tensor<1>| {
        read_f32(&Value::Vector((gradient.clone() * gradient.clone()).sum())).unwrap()[0]
    };
    let length = gradients.iter().map(|(_, gradient)| f64::from(square(gradient))).sum::<f64>().sqrt();
    // A key's bias moves every score of a query alike: its slope is 0 but for rounding.
    if length < 1e-4 {
        return;
    }
    let direction: Direction = gradients.into_iter().map(|(id, gradient)| (id, gradient / length)).collect();
    let step = 4e-3 / length.max(1.0);
    // Where a router changes its mind within a step the loss jumps: a shorter one stays on one side.
    let slopes = [step, 0.1 * step]
        .map(|step| (case.moved(&direction, step) - case.moved(&direction, -step)) / (2.0 * step));
    let allowed = 0.05 * length + 5e-3;
    let agrees = |slope: &f64| (slope - length).abs() < allowed;
    assert!(slopes.iter().any(agrees), "{}: {kind}: gradient {length}, slopes {slopes:?}", case.name);
}

#[test]
fn texts_of_one_row_learn_as_alone_behind_every_adapter() {
    each(|case| packed::learns_as_alone(&case.model, Some(case.adapter.view()), &case.name));
}

#[test]
fn what_is_saved_and_merged_says_what_was_trained() {
    each(|case| {
        let said = case.logits(Some(case.adapter.as_ref()));
        assert!(said != case.logits(None), "{}: the adapter changes nothing", case.name);
        let dir = tempfile::tempdir().unwrap();
        case.adapter.save(dir.path(), "base").unwrap();
        let read = methods::load_adapter(dir.path(), &case.model).unwrap();
        let names = |adapter: &dyn Adapter| -> Vec<String> {
            let mut names: Vec<_> = adapter.params().iter().map(|(_, param)| param.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(read.as_ref()), names(case.adapter.as_ref()), "{}", case.name);
        assert_eq!(case.logits(Some(read.as_ref())), said, "{}: saved and read again", case.name);
        if case.adapter.not_mergeable().is_none() {
            merge(&mut case.model, case.adapter.as_ref());
            let merged = case.logits(None);
            merged.iter().zip(&said).for_each(|(got, want)| near(*got, *want, &case.name));
        }
    });
}

#[test]
fn answers_with_a_cache_are_those_without_behind_every_adapter() {
    each(|case| {
        // Families whose prompt's tokens see one another are held against their own code, in the golden cases.
        if case.model.info.whole_prompt {
            return;
        }
        let rows = case.model.info.vocabulary;
        let all = case.logits(Some(case.adapter.as_ref()));
        let decoding = Decoding::new(&case.model, Some(case.adapter.view()));
        let mut got = decoding.feed(&ROW[..4]).unwrap().logits;
        for at in 4..ROW.len() {
            let want = &all[(at - 1) * rows..at * rows];
            got.iter().zip(want).for_each(|(got, want)| near(*got, *want, &case.name));
            got = decoding.feed(&ROW[at..=at]).unwrap().logits;
        }
    });
}

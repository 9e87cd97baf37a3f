//! `bench`: steps of training on made-up tokens, timed.

use std::path::Path;
use std::time::Instant;

use burn::tensor::DType;
use data::{Batch, Example};
use protocol::config::TrainConfig;
use protocol::{
    BenchReport, BenchRequest, BenchShape, Control, DeviceKind, Event, Phases, RequestId, Result, Text,
    UserError,
};
use serde_json::{Map, json};

use crate::device::{self, Chosen, compute_dtype};
use crate::memory::Needs;
use crate::methods::{self, Attach};
use crate::models::{ConfigJson, Front, Model, ModelFolder};
use crate::nn::ops::own;
use crate::optim::{Choice, Subject};
use crate::planner::{self, Choices};
use crate::session::Session;
use crate::sink::Sink;
use crate::train::{Clock, Learner, StepSettings};

/// Trains for `warmup + steps` steps and times the latter.
pub fn bench(
    request: RequestId,
    wanted: &BenchRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    session.release();
    let began = Instant::now();
    let chosen = session.chosen.clone();
    let dtype = compute_dtype(&wanted.dtype, &chosen)?;
    let train = TrainConfig { learning_rate: 1e-4, ..TrainConfig::default() };
    let mut model = load(wanted, &chosen.device, dtype)?;
    let context = Attach { seed: train.seed, learning_rate: train.learning_rate };
    let beside = methods::footprint(&model, &wanted.method, Path::new(""))?.beside;
    let adapter = methods::attach(&mut model, &wanted.method, &context)?;
    let parameters = model.params.elements();
    let optimizer = Choice::of(&train)?;
    let mut learner = Learner::new(model, adapter, optimizer.build(&train));
    let trainable: u64 = learner.trained_params().map(|(_, param)| param.elements() as u64).sum();
    let batch = made_up_batch(wanted, learner.model.info.vocabulary)?;
    let needs = Needs {
        model: &learner.model,
        frozen: parameters,
        quantization: learner.model.quantization,
        trained: trainable,
        element: if dtype == DType::F32 { 4 } else { 2 },
        optimizer_bytes: optimizer_bytes(&optimizer, &learner, &chosen),
        rows: wanted.batch_size,
        time: wanted.length,
        front: Front::default(),
        beside,
        answer: 0,
        accumulates: false,
        packed: false,
        base_learns: learner.adapter.is_none(),
        fused: device::fuses(&chosen, dtype),
        own: own::serving(&chosen.device, dtype),
        workers: 1,
    };
    // What is timed is the batch that was asked for, on weights that are there.
    let (layout, _) = planner::plan(&needs, Choices::default(), device::memory_free(&chosen) / 10 * 9);
    let settings = StepSettings::new(&train, layout);
    let flops = flops_per_token(&learner.model, trainable, wanted.length);
    let (mut seconds, mut losses, mut first, mut peak) = (Vec::new(), Vec::new(), 0.0, 0);
    let (batches, mut parts) = (std::slice::from_ref(&batch), Vec::new());
    let mut train_once = |step: u64, clock: &Clock| {
        let rate = train.learning_rate;
        learner
            .timed_step(batches, step, rate, &settings, control, clock)?
            .ok_or_else(|| UserError::failure(Text::fixed("The benchmark was stopped", "测速已中止")))
    };
    let measures_all = chosen.report.kind == DeviceKind::Cpu;
    for step in 0..wanted.warmup + wanted.steps {
        let started = Instant::now();
        let clock = if measures_all { Clock::on(&chosen) } else { Clock::off() };
        let result = train_once(step, &clock)?;
        if step == 0 {
            first = began.elapsed().as_secs_f64();
        }
        if step >= wanted.warmup {
            seconds.push(started.elapsed().as_secs_f64());
            parts.extend(clock.phases());
        }
        losses.push(result.loss);
        peak = peak.max(device::memory_in_use(&chosen));
        sink.progress(request, Text::fixed("steps", "步数"), step + 1, wanted.warmup + wanted.steps, None);
    }
    if !measures_all && wanted.steps > 0 {
        // Measuring waits for the device at every border: a step of its own, which is not among the timed ones.
        let clock = Clock::on(&chosen);
        train_once(wanted.warmup + wanted.steps, &clock)?;
        parts.extend(clock.phases());
    }
    let report = BenchReport {
        device: chosen.report.name.clone(),
        dtype: crate::plan::dtype_name(dtype).into(),
        parameters,
        trainable_parameters: trainable,
        tokens_per_s: batch.tokens as f64 * seconds.len() as f64 / seconds.iter().sum::<f64>().max(1e-9),
        seconds_per_step: seconds,
        losses,
        seconds_to_first_step: first,
        peak_memory_bytes: peak,
        model_flops_per_token: flops,
        phases: mean_phases(&parts),
    };
    sink.emit(Event::Benched { request, report });
    Ok(())
}

/// Bytes of the optimizer's states on the device.
fn optimizer_bytes(optimizer: &Choice, learner: &Learner, chosen: &Chosen) -> u64 {
    let subjects = learner.trained_params().map(|(_, param)| Subject {
        name: &param.name,
        shape: &param.shape,
        block_matrix: None,
    });
    optimizer.bytes(subjects, chosen.report.kind.is_gpu())
}

/// Mean seconds of each part of a step; empty when none was measured.
fn mean_phases(steps: &[Phases]) -> Vec<(String, f64)> {
    if steps.is_empty() {
        return Vec::new();
    }
    let mean = |part: fn(&Phases) -> f64| steps.iter().map(part).sum::<f64>() / steps.len() as f64;
    vec![
        ("data".into(), mean(|phases| phases.data)),
        ("forward".into(), mean(|phases| phases.forward)),
        ("head".into(), mean(|phases| phases.head)),
        ("backward".into(), mean(|phases| phases.backward)),
        ("optimizer".into(), mean(|phases| phases.optimizer)),
    ]
}

fn load(wanted: &BenchRequest, device: &burn::tensor::Device, dtype: DType) -> Result<Model> {
    match (&wanted.model, &wanted.shape) {
        (Some(model), _) => ModelFolder::of(model)?.load(device, dtype, &mut |_, _| {}),
        (None, Some(shape)) => {
            let folder = ModelFolder::from_config(Path::new("."), made_up_config(shape))?;
            Ok(folder.initialise(device, dtype, 0))
        }
        (None, None) => Err(UserError::bad_input(Text::fixed(
            "The benchmark needs a model or a shape",
            "测速需要模型或规格",
        ))
        .mend(Text::fixed("give --model or --shape", "请给出 --model 或 --shape"))),
    }
}

fn made_up_config(shape: &BenchShape) -> ConfigJson {
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": 1 << 17,
        "tie_word_embeddings": true,
    });
    let map = match config {
        serde_json::Value::Object(map) => map,
        _ => Map::new(),
    };
    ConfigJson::from_map(map)
}

/// Rows of equal length, every token labelled: the work of packed training.
fn made_up_batch(wanted: &BenchRequest, vocabulary: usize) -> Result<Batch> {
    let row = |row: u64| {
        let id = |t: u64| ((row * 7919 + t * t * 31 + t * 104_729 + 7) % vocabulary as u64) as u32;
        let ids: Vec<u32> = (0..wanted.length).map(id).collect();
        Example { labels: ids.iter().map(|id| *id as i32).collect(), ids, ..Example::default() }
    };
    let rows: Vec<Example> = (0..wanted.batch_size).map(row).collect();
    Batch::collate(&rows, 0)
}

/// Model FLOPs of a trained token, recomputation left out: forward 2N, gradient of activations 2N, and
/// 2N more for what is trained; attention 2·L·heads·dim·T forward and twice that backward.
fn flops_per_token(model: &Model, trainable: u64, length: u64) -> f64 {
    let linears: u64 = model.block_linears().map(|site| (site.inputs * site.outputs) as u64).sum();
    let head = (model.info.hidden * model.info.vocabulary) as u64;
    let matrices = (linears + head) as f64;
    let attention =
        (2 * model.info.num_layers * model.info.heads * model.info.head_dim) as f64 * length as f64;
    let trained = (trainable as f64).min(matrices);
    let adapters = if model.params.trainable_elements() > 0 { 0.0 } else { 4.0 * trainable as f64 };
    4.0 * matrices + 2.0 * trained + adapters + 3.0 * attention
}

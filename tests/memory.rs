//! The forecast of memory against what a step of training allocates: alone in its process, because it counts every
//! allocation.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may fail and report as tests do"
)]

use std::alloc::{self, GlobalAlloc, System};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::{DType, Device};
use data::{Batch, Example};
use engine::generate::{Decoding, score_rows};
use engine::memory::{Needs, forecast};
use engine::methods::{self, Attach};
use engine::models::{ConfigJson, ModelFolder};
use engine::nn::{Quantization, Site};
use engine::optim;
use engine::planner::{self, Choices};
use engine::train::{Layout, Learner, StepSettings, batch_loss};
use engine::weights::{FileDtype, Planned, ShardPlan, read_f32};
use protocol::Control;
use protocol::config::{MethodConfig, TrainConfig};
use serde_json::{Map, Value, json};

struct Counted;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

#[expect(unsafe_code, reason = "counts what the system's allocator does")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: alloc::Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: alloc::Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: alloc::Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        more(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: alloc::Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

struct Case {
    config: Value,
    /// And its targets.
    method: &'static str,
    kept_graphs: usize,
    dtype: DType,
    time: usize,
    quantization: Option<Quantization>,
    /// Formulas instead of kernels, as on other devices.
    formulas: bool,
}

const ROWS: usize = 4;

fn llama(changes: Value) -> Value {
    changed(
        json!({
            "model_type": "llama", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
            "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 128,
        }),
        changes,
    )
}

fn gpt2(changes: Value) -> Value {
    changed(
        json!({
            "model_type": "gpt2", "n_embd": 256, "n_layer": 4, "n_head": 8, "n_positions": 512, "vocab_size": 128,
        }),
        changes,
    )
}

fn changed(mut config: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A method and, if any, its targets.
fn method(words: &str) -> MethodConfig {
    let mut config = MethodConfig::default();
    let mut parts = words.split_whitespace();
    config.kind = parts.next().unwrap().into();
    if let Some(targets) = parts.next() {
        config.params.insert("targets".into(), targets.into());
    }
    config
}

fn batch(time: usize, vocabulary: usize) -> Batch {
    let row = |row: usize| {
        let ids: Vec<u32> = (0..time).map(|t| ((row * 31 + t * 7) % vocabulary) as u32).collect();
        Example { labels: ids.iter().map(|id| *id as i32).collect(), ids, ..Example::default() }
    };
    Batch::collate(&(0..ROWS).map(row).collect::<Vec<_>>(), 0).unwrap()
}

/// Bytes that a step took at its height beyond weights and optimizer, and the forecast of them.
fn measure(case: &Case) -> [u64; 2] {
    let Value::Object(map) = &case.config else { panic!("an object") };
    let folder = ModelFolder::from_config(Path::new("."), ConfigJson::from_map(map.clone())).unwrap();
    let folder = folder.quantised(case.quantization);
    let footprint = methods::footprint(folder.model(), &method(case.method), Path::new(".")).unwrap();
    let own = footprint.own_elements(folder.model());
    let needs = Needs {
        model: folder.model(),
        frozen: folder.model().params.elements() - own,
        quantization: case.quantization,
        trained: footprint.trainable(folder.model()),
        element: if case.dtype == DType::F32 { 4 } else { 2 },
        // What is measured begins when the states are there.
        optimizer_bytes: 0,
        rows: ROWS as u64,
        time: case.time as u64,
        front: footprint.front,
        beside: footprint.beside,
        answer: case.time as u64,
        accumulates: false,
        packed: false,
        base_learns: own > 0,
        fused: !case.formulas,
        own: Default::default(),
        workers: 1,
    };
    let layout = Layout::keeping(case.kept_graphs);
    let told = forecast(&needs, &layout, 0);
    // What is frozen lies there before a step; matrices in few bits become dense in it.
    let lying = if footprint.is_own() { 0 } else { frozen_bytes(&folder, case.quantization, needs.element) };
    let told = told.total - told.trainable - told.optimizer - lying;
    let mut model = folder.initialise(&Device::flex(), case.dtype, 0);
    let train = TrainConfig { learning_rate: 1e-4, ..TrainConfig::default() };
    let attach = Attach { seed: 0, learning_rate: 1e-4 };
    let adapter = methods::attach(&mut model, &method(case.method), &attach).unwrap();
    let batch = batch(case.time, model.info.vocabulary);
    let mut learner = Learner::new(model, adapter, optim::build(&train).unwrap());
    let settings = StepSettings::new(&train, layout);
    let control = Control::default();
    let mut step = |number| {
        learner.step(std::slice::from_ref(&batch), number, 1e-4, &settings, &control).unwrap().unwrap()
    };
    // The optimizer's state comes with the first step.
    step(0);
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    step(1);
    [(PEAK.load(Relaxed) - before) as u64, told]
}

/// Bytes of the frozen parameters between two steps.
fn frozen_bytes(folder: &ModelFolder, quantization: Option<Quantization>, element: u64) -> u64 {
    let params = &folder.model().params;
    let packed = |kind: Quantization| {
        let sites = folder.model().block_linears();
        let elements = |site: &Site| params.get(site.weight).elements() as u64;
        let sites = sites.map(|site| (elements(site), kind.bytes(elements(site), site.outputs as u64)));
        sites.fold((0, 0), |sum, site| (sum.0 + site.0, sum.1 + site.1))
    };
    let (elements, bytes) = quantization.map_or((0, 0), packed);
    (params.elements() - elements) * element + bytes
}
/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_step_takes_what_was_forecast() {
    let _alone = ALONE.lock();
    let cases = [
        (llama(json!({})), "full", 0, DType::F32, 512),
        (llama(json!({})), "full", 3, DType::F32, 512),
        (llama(json!({})), "lora", 0, DType::F32, 512),
        (llama(json!({})), "lora all-linear", 3, DType::F32, 512),
        (
            llama(json!({"num_key_value_heads": 2, "intermediate_size": 384})),
            "lora all-linear",
            0,
            DType::F32,
            512,
        ),
        // Matrices that learn nothing keep nothing of what they read.
        (llama(json!({})), "bitfit", 3, DType::F32, 512),
        (llama(json!({})), "ia3", 3, DType::F32, 512),
        (llama(json!({})), "adapter", 3, DType::F32, 512),
        (llama(json!({})), "lora q", 3, DType::F32, 512),
        // It multiplies every wide product by a factor that learns.
        (llama(json!({})), "dora all-linear", 0, DType::F32, 512),
        (llama(json!({})), "dora all-linear", 3, DType::F32, 512),
        (llama(json!({"intermediate_size": 2048})), "lora all-linear", 2, DType::F32, 512),
        (llama(json!({"hidden_act": "gelu"})), "lora all-linear", 3, DType::F32, 512),
        (gpt2(json!({})), "full", 0, DType::F32, 512),
        (gpt2(json!({})), "lora all-linear", 3, DType::F32, 512),
        (
            llama(json!({
                "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 100,
            })),
            "lora all-linear",
            3,
            DType::F32,
            512,
        ),
        (llama(json!({"model_type": "phi3", "pad_token_id": 0})), "lora all-linear", 3, DType::F32, 512),
        (
            llama(json!({
                "model_type": "minicpm3", "q_lora_rank": 96, "kv_lora_rank": 64, "qk_nope_head_dim": 32,
                "qk_rope_head_dim": 16, "v_head_dim": 24,
            })),
            "lora all-linear",
            3,
            DType::F32,
            512,
        ),
        (
            llama(json!({
                "model_type": "gemma2", "head_dim": 32, "hidden_activation": "gelu_pytorch_tanh",
                "sliding_window": 100, "query_pre_attn_scalar": 32,
            })),
            "lora all-linear",
            3,
            DType::F32,
            512,
        ),
        // What stands in front of every row.
        (llama(json!({})), "prefix", 0, DType::F32, 256),
        (llama(json!({})), "prompt", 2, DType::F32, 256),
        // A long text: nothing may grow with the square of its length.
        (
            llama(json!({
                "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                "num_key_value_heads": 4,
            })),
            "lora all-linear",
            0,
            DType::F32,
            8192,
        ),
        // Operations in 16 bits, which calculate in f32.
        (llama(json!({})), "lora all-linear", 0, DType::BF16, 128),
        (llama(json!({})), "lora all-linear", 3, DType::BF16, 256),
        (gpt2(json!({})), "lora all-linear", 3, DType::BF16, 128),
    ];
    packed_cases().iter().for_each(holds);
    for (config, method, kept_graphs, dtype, time) in cases {
        holds(&Case { config, method, kept_graphs, dtype, time, quantization: None, formulas: false });
    }
}

const SWITCH: (&str, &str) = ("EMBERWRIGHT_KERNELS", "off");

/// In a process of its own, in which the kernels that take 16 bits are left out.
#[test]
fn a_step_by_formulas_takes_what_was_forecast() {
    if std::env::var(SWITCH.0).as_deref() != Ok(SWITCH.1) {
        let name = "a_step_by_formulas_takes_what_was_forecast";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = again.args(["--exact", name, "--nocapture"]).env(SWITCH.0, SWITCH.1).status().unwrap();
        assert!(ended.success(), "{name} where it has no kernels");
        return;
    }
    let _alone = ALONE.lock();
    for (config, kept_graphs, time) in
        [(llama(json!({})), 0, 128), (llama(json!({})), 3, 256), (gpt2(json!({})), 3, 128)]
    {
        let (method, dtype) = ("lora all-linear", DType::BF16);
        holds(&Case { config, method, kept_graphs, dtype, time, quantization: None, formulas: true });
    }
}

/// Matrices in few bits, which are dense only with a block's graph: short rows, so that these count.
fn packed_cases() -> [Case; 4] {
    let cases = [
        (Quantization::Nf4, 0, DType::F32),
        (Quantization::Nf4Double, 3, DType::F32),
        (Quantization::Int8, 3, DType::F32),
        (Quantization::Nf4, 3, DType::BF16),
    ];
    cases.map(|(kind, kept_graphs, dtype)| Case {
        config: llama(json!({})),
        method: "lora all-linear",
        kept_graphs,
        dtype,
        time: 32,
        quantization: Some(kind),
        formulas: false,
    })
}

fn holds(case: &Case) {
    let Case { config, method, kept_graphs, dtype, time, quantization, .. } = case;
    let [took, told] = measure(case);
    let ratio = told as f64 / took as f64;
    let line = format!(
        "{config} {method} {quantization:?}, {kept_graphs} graphs, {dtype:?}, {time} tokens: took {took}, told {told}, {ratio:.2} times"
    );
    eprintln!("{line}");
    assert!((1.0..1.45).contains(&ratio), "{line}");
}

/// A model in a folder, stored as bf16: in f32 none of its matrices can be used where it lies.
fn stored(config: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let Value::Object(map) = config else { panic!("an object") };
    let folder = ModelFolder::from_config(dir.path(), ConfigJson::from_map(map.clone())).unwrap();
    let model = folder.initialise(&Device::flex(), DType::F32, 3);
    let planned = model.params.iter().map(|(_, param)| Planned {
        name: param.name.clone(),
        dtype: FileDtype::BF16,
        shape: param.shape.clone(),
    });
    let plan = ShardPlan::new("model", planned.collect(), u64::MAX).unwrap();
    plan.write(dir.path(), |tensor, sink| {
        let id = model.params.find(&tensor.name).unwrap();
        sink.put_f32(&read_f32(&model.params.get(id).value)?)
    })
    .unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

/// What a run under a budget came to.
struct Budgeted {
    layout: Layout,
    told: u64,
    /// The most that was allocated at once, loading included.
    took: u64,
    losses: Vec<f64>,
    /// An evaluation, scores and an answer's logits.
    asked: String,
}

fn within(dir: &Path, budget: u64) -> Budgeted {
    const TIME: usize = 16;
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let folder = ModelFolder::open(dir, &Map::new()).unwrap();
    let lora = method("lora");
    let footprint = methods::footprint(folder.model(), &lora, dir).unwrap();
    let needs = Needs {
        model: folder.model(),
        frozen: folder.model().params.elements(),
        quantization: None,
        trained: footprint.trainable(folder.model()),
        element: 4,
        optimizer_bytes: 8 * footprint.trainable(folder.model()),
        rows: ROWS as u64,
        time: TIME as u64,
        front: footprint.front,
        beside: footprint.beside,
        answer: TIME as u64,
        accumulates: false,
        packed: false,
        base_learns: false,
        fused: true,
        own: Default::default(),
        workers: 1,
    };
    let choices = Choices { stream: true, divide: true, ..Choices::default() };
    let (layout, told) = planner::plan(&needs, choices, budget);
    assert!(told.fits, "{told:?}");
    let folder = folder.streaming(layout.streamed);
    let mut model = folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
    let train = TrainConfig { learning_rate: 1e-3, ..TrainConfig::default() };
    let adapter = methods::attach(&mut model, &lora, &Attach { seed: 0, learning_rate: 1e-3 }).unwrap();
    let batch = batch(TIME, model.info.vocabulary);
    let mut learner = Learner::new(model, adapter, optim::build(&train).unwrap());
    let settings = StepSettings::new(&train, layout);
    let control = Control::default();
    let losses = (0..4)
        .map(|step| {
            let batches = std::slice::from_ref(&batch);
            learner.step(batches, step, 1e-3, &settings, &control).unwrap().unwrap().loss
        })
        .collect();
    let adapter = learner.adapter.as_deref().map(engine::methods::Adapter::view);
    let scores = score_rows(&learner.model, adapter, &[vec![1, 2, 3, 4, 5]]).unwrap();
    let decoding = Decoding::new(&learner.model, adapter);
    let said = [decoding.feed(&[1, 2, 3]).unwrap().logits, decoding.feed(&[4]).unwrap().logits];
    let loss = batch_loss(&learner.model, adapter, &batch).unwrap();
    let took = (PEAK.load(Relaxed) - before) as u64;
    Budgeted { layout, told: told.total, took, losses, asked: format!("{loss} {scores:?} {said:?}") }
}

/// The promise of streaming: loading, training, evaluation, scores and answers of a model whose weights are four times the
/// budget stay within it, and no number is another.
#[test]
fn a_model_of_four_times_the_budget_trains_within_it() {
    let _alone = ALONE.lock();
    let dir = stored(&llama(json!({ "num_hidden_layers": 20 })));
    let weights = 4 * ModelFolder::open(dir.path(), &Map::new()).unwrap().model().params.elements();
    let budget = weights / 4;
    let roomy = within(dir.path(), 64 * weights);
    let tight = within(dir.path(), budget);
    for run in [&roomy, &tight] {
        let Budgeted { layout, told, took, .. } = run;
        eprintln!("weights {weights}: took {took}, told {told}, {layout:?}");
    }
    assert_eq!((roomy.layout.streamed, tight.layout.pieces), (0, 1));
    assert!(roomy.took > weights, "{} for weights of {weights}", roomy.took);
    assert!(
        tight.took <= budget && tight.told <= budget,
        "took {}, told {} of {budget}",
        tight.took,
        tight.told
    );
    assert!(tight.told < tight.took * 5 / 4, "took {}, told {}", tight.took, tight.told);
    assert_eq!(roomy.losses, tight.losses);
    assert_eq!(roomy.asked, tight.asked);
}

//! How much faster two workers are on the CPU. Run it alone:
//! `cargo test --release --workspace --test engine -- --ignored --nocapture tokens_a_second_of_workers`.

use std::time::Instant;

use data::{Batch, Example};
use engine::train::{Clock, Layout, StepSettings};
use protocol::Control;
use protocol::config::TrainConfig;
use rayon::ThreadPoolBuilder;
use serde_json::json;

use super::{family, method, workers};
use crate::families::made::{Container, Made};

const ROWS: usize = 8;
const LENGTH: usize = 128;
const STEPS: u64 = 6;
const ROUNDS: usize = 3;

/// Tokens a second of `count` workers on `threads` threads in all: the best of some rounds.
fn measured(made: &Made, kind: &str, threads: usize, count: usize) -> f64 {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let train = TrainConfig::default();
    let row = |row: usize| {
        let ids: Vec<u32> = (0..LENGTH).map(|t| ((row * 31 + t * 7) % 500) as u32).collect();
        Example { labels: ids.iter().map(|id| *id as i32).collect(), ids, ..Example::default() }
    };
    let rows: Vec<Example> = (0..ROWS).map(row).collect();
    let batches = Batch::pieces(&rows, None, 0, count).unwrap();
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let work = || {
            let (mut learner, workers) = workers(made.path(), &method(kind, &json!({})), &train, count);
            let settings = StepSettings::new(&train, Layout::keeping(4));
            let (control, clock) = (Control::default(), Clock::off());
            let mut step = |step| {
                workers.step(&mut learner, &batches, (step, 1e-4), &settings, &control, &clock).unwrap();
            };
            step(0);
            let began = Instant::now();
            (1..=STEPS).for_each(&mut step);
            began.elapsed().as_secs_f64()
        };
        best = best.max((STEPS as usize * ROWS * LENGTH) as f64 / pool.install(work));
    }
    best
}

#[test]
#[ignore = "a measurement: on a quiet machine, by itself"]
fn tokens_a_second_of_workers() {
    let config = json!({
        "model_type": "llama", "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 8000, "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "hidden_act": "silu", "rope_theta": 10000.0,
        "initializer_range": 0.02
    });
    let made = Made::of(family("llama"), &config.to_string(), Container::Safetensors);
    for kind in ["lora", "full"] {
        let [alone, threads, shared] =
            [(1, 1), (2, 1), (2, 2)].map(|(threads, count)| measured(&made, kind, threads, count));
        println!(
            "{kind}: 1 worker x 1 thread {alone:.0} tokens/s; 1 x 2 {threads:.0} ({:.2}); 2 x 1 {shared:.0} ({:.2})",
            threads / alone,
            shared / alone
        );
        assert!(shared > alone, "{kind}: two workers are no faster than one");
    }
}

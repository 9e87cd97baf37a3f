//! A model of 13 billion parameters, which a machine of 24 GB must open, show and reckon with without reading it, and
//! must not begin to train where it does not fit. Its files are sparse: they hold a header, and no weights.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::program::Done;
use crate::workshop::Workshop;

/// Resident memory that opening a model may take, whatever its size.
const MOST_MIB: u64 = 400;
const LONGEST: Duration = Duration::from_secs(20);

/// Sizes of Llama-2-13B.
const HIDDEN: usize = 5120;
const INNER: usize = 13_824;
const LAYERS: usize = 40;
const VOCABULARY: usize = 32_000;

fn tensors(vocabulary: usize) -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocabulary, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
        ("lm_head.weight".to_owned(), vec![vocabulary, HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        for name in ["q", "k", "v", "o"] {
            add(&format!("self_attn.{name}_proj"), &[HIDDEN, HIDDEN]);
        }
        for name in ["gate", "up"] {
            add(&format!("mlp.{name}_proj"), &[INNER, HIDDEN]);
        }
        add("mlp.down_proj", &[HIDDEN, INNER]);
        for name in ["input_layernorm", "post_attention_layernorm"] {
            add(name, &[HIDDEN]);
        }
    }
    tensors
}

/// Three shards of bf16 and an index, 26 GB that take a few blocks of the disk.
fn write_model(dir: &Path, vocabulary: usize) {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "intermediate_size": INNER, "num_attention_heads": 40, "vocab_size": vocabulary, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16", "eos_token_id": 2,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    std::fs::remove_file(dir.join("model.safetensors")).unwrap();
    let (tensors, mut weight_map) = (tensors(vocabulary), Map::new());
    for (number, shard) in tensors.chunks(tensors.len().div_ceil(3)).enumerate() {
        let name = format!("model-{:05}-of-00003.safetensors", number + 1);
        let (mut header, mut end) = (Map::new(), 0usize);
        for (tensor, shape) in shard {
            let start = end;
            end += 2 * shape.iter().product::<usize>();
            header.insert(
                tensor.clone(),
                json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
            );
            weight_map.insert(tensor.clone(), name.clone().into());
        }
        let header = Value::Object(header).to_string();
        let mut file = std::fs::File::create(dir.join(name)).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        file.set_len((8 + header.len() + end) as u64).unwrap();
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

fn workshop(settings: &str) -> Workshop {
    let workshop = Workshop::new(settings);
    write_model(&workshop.path("model"), VOCABULARY);
    workshop
}

/// Runs, and asserts that it was quick and needed little.
#[track_caller]
fn lightly(workshop: &Workshop, arguments: &[&str]) -> Done {
    let arguments = [&["--device", "cpu"], arguments].concat();
    let began = Instant::now();
    let mut command = workshop.program.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).unwrap();
        text
    });
    let stdout = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    assert!(peak > 0 && peak < MOST_MIB << 10, "{arguments:?} took {} MiB", peak >> 10);
    assert!(took < LONGEST, "{arguments:?} took {took:?}");
    Done { code: status.code(), stdout: stdout.join().unwrap(), stderr: read.join().unwrap() }
}

/// KiB; 0 once the process has ended.
fn high_water(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[test]
fn thirteen_billion_parameters_are_shown_without_being_read() {
    let workshop = workshop("");
    let inspect = lightly(&workshop, &["inspect", "model"]);
    assert_eq!(inspect.code, Some(0), "{}", inspect.stderr);
    assert!(inspect.stdout.contains("13.0"), "{}", inspect.stdout);
    let preview = lightly(&workshop, &["preview", "run.toml", "--rows", "2"]);
    assert_eq!((preview.code, preview.stdout.lines().count()), (Some(0), 2), "{}", preview.stderr);
    let check = lightly(&workshop, &["check", "run.toml"]);
    assert!(check.stdout.contains("GiB") || check.stdout.contains("GB"), "{}", check.stdout);
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    // f32 does not fit; block by block it does, and how slowly is said.
    let roomy = workshop("memory_budget = \"8GB\"\n");
    let check = lightly(&roomy, &["check", "run.toml"]);
    assert_eq!(check.code, Some(0), "{}", check.stderr);
    for part in ["of 40 blocks read their weights", "takes about", "left in the model's files"] {
        assert!(check.stdout.contains(part), "{part} in {}", check.stdout);
    }
    // Not even two blocks fit: what the least would be is said.
    let tight = workshop("memory_budget = \"1GB\"\n");
    let train = lightly(&tight, &["train", "run.toml", "--out", "out"]);
    train.refused_with(&["even a LoRA of rank 1", "bf16", "GiB", "train.memory_budget"]);
    assert!(!tight.path("out").exists());
    // Full fine-tuning on 40 GB: a LoRA would go.
    let full = workshop("memory_budget = \"40GB\"\n[method]\nkind = \"full\"\n");
    let train = lightly(&full, &["train", "run.toml", "--out", "out"]);
    train.refused_with(&["LoRA instead"]);
}

#[test]
#[expect(clippy::print_stdout, reason = "says what was not tested")]
fn a_model_that_cannot_be_held_is_not_loaded_to_be_asked() {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    let kib: u64 = available.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    if kib > 45 << 20 {
        println!("NOT RUN: this machine holds 13 billion parameters in f32");
        return;
    }
    // Blocks can stay in the files, but not an embedding and a head of 98 GB each.
    let workshop = Workshop::new("");
    write_model(&workshop.path("model"), 150 * VOCABULARY);
    let asked = lightly(&workshop, &["generate", "--model", "model", "--ids", "1,2"]);
    asked.refused_with(&["f32", "GiB", "to mend it"]);
}

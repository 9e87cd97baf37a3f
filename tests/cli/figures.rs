//! The commands that tell figures: their JSON is the contract's, and the numbers are transformers'.

use engine::weights::open_file;
use serde_json::Value;

use crate::project::run_file;
use crate::workshop::{Workshop, golden, has};

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(golden("llama-gqa-llama3/expected.json")).unwrap()).unwrap()
}

#[test]
fn inspect_tells_what_a_folder_holds() {
    let workshop = Workshop::new("");
    let report = &workshop.event(&["inspect", "model"], "inspected")["report"];
    has(
        report,
        &[
            "family",
            "class",
            "parameters",
            "dtypes",
            "layers",
            "context_length",
            "linears",
            "default_targets",
        ],
    );
    assert_eq!((report["family"].as_str(), report["layers"].as_u64()), (Some("llama"), Some(2)));
    let linears = report["linears"].as_array().unwrap();
    // Seven in each block, the embedding, and no head of its own.
    let down = linears.iter().find(|linear| linear["path"] == "model.layers.1.mlp.down_proj").unwrap();
    assert_eq!(down["shape"], serde_json::json!([48, 136]));
    assert_eq!((down["role"].as_str(), down["layer"].as_u64()), (Some("down"), Some(1)));
    let text = workshop.run(&["inspect", "model"]);
    assert!(
        text.stdout.contains("model.layers.1.mlp.down_proj") && text.stdout.contains("48 × 136"),
        "{}",
        text.stdout
    );
}

#[test]
fn preview_shows_rows_as_the_model_sees_them() {
    let workshop = Workshop::new("");
    // With and without --json every line is a row.
    for rows in [workshop.json(&["preview", "run.toml", "--rows", "3"]), {
        let done = workshop.run(&["preview", "run.toml", "--rows", "3"]);
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }] {
        assert_eq!(rows.len(), 3);
        for (index, row) in rows.iter().enumerate() {
            has(row, &["row", "file", "rendered", "ids", "tokens", "loss_mask", "roles"]);
            assert_eq!(row["row"].as_u64(), Some(index as u64 + 1));
            let count = |key: &str| row[key].as_array().unwrap().len();
            assert!(
                count("ids") > 4 && count("ids") == count("tokens") && count("ids") == count("loss_mask")
            );
            assert!(row["rendered"].as_str().unwrap().contains("<|im_start|>assistant"), "{row}");
            let learned =
                row["loss_mask"].as_array().unwrap().iter().filter(|learned| **learned == true).count();
            assert!(learned > 1 && learned < count("ids"));
        }
    }
}

#[test]
fn what_a_check_found_out_is_known_to_the_next() {
    let workshop = Workshop::new("");
    let kept = workshop.path(".cache/emberwright/checked");
    let rows = || std::fs::read_dir(&kept).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let mut first = workshop.event(&["check", "run.toml"], "checked");
    assert_eq!(rows().collect::<Vec<_>>(), [22 * 32 + 32], "22 rows and a sum");
    let mut second = workshop.event(&["check", "run.toml"], "checked");
    // The machine's own memory is measured anew.
    for verdict in [&mut first, &mut second] {
        verdict["verdict"]["forecast"]["available"].take();
    }
    assert_eq!(first, second);
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "out"]).code, Some(0));
    assert_eq!(rows().count(), 1);
}

#[test]
fn check_judges_and_trains_nothing() {
    let workshop = Workshop::new("");
    let verdict = &workshop.event(&["check", "run.toml"], "checked")["verdict"];
    has(
        verdict,
        &[
            "sources",
            "rows",
            "usable_rows",
            "tokens",
            "learned_tokens",
            "lengths",
            "findings",
            "forecast",
            "steps",
        ],
    );
    assert_eq!((verdict["ok"].as_bool(), verdict["rows"].as_u64()), (Some(true), Some(22)));
    // 17 rows in batches of 2, three times.
    assert_eq!(verdict["steps"], 27);
    has(
        &verdict["forecast"],
        &["weights", "trainable", "gradients", "optimizer", "activations", "head", "total", "fits"],
    );
    assert!(!workshop.path("runs").exists());
}

#[test]
fn greedy_answers_are_the_golden_ones() {
    let workshop = Workshop::new("");
    let golden = expected();
    let numbers = |list: &Value| list.as_array().unwrap().iter().map(|id| id.to_string()).collect::<Vec<_>>();
    let prompt = numbers(&golden["greedy"]["prompt_ids"]).join(",");
    let wanted = numbers(&golden["greedy"]["with_cache"]);
    let count = wanted.len().to_string();
    let arguments = [
        "generate",
        "--model",
        "model",
        "--ids",
        &prompt,
        "--max-new-tokens",
        &count,
        "--temperature",
        "0",
        "--ignore-eos",
    ];
    let generated = workshop.event(&arguments, "generated");
    assert_eq!(numbers(&generated["ids"]), wanted);
    let stats = has(
        &generated["stats"],
        &["prompt_tokens", "new_tokens", "prefill_seconds", "decode_seconds", "finish"],
    );
    assert_eq!((stats["finish"].as_str(), stats["prompt_tokens"].as_u64()), (Some("length"), Some(12)));
    // The text is what the pieces made.
    let events = workshop.json(&arguments);
    let pieces: String = events
        .iter()
        .filter(|event| event["event"] == "delta")
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(Some(pieces.as_str()), generated["text"].as_str());
    assert_eq!(workshop.run(&arguments).stdout, format!("{pieces}\n"));
}

#[test]
fn drawn_answers_follow_the_seed() {
    let workshop = Workshop::new("");
    let draw = |seed: &str| {
        let arguments = [
            "generate",
            "--model",
            "model",
            "--prompt",
            "ember light",
            "--max-new-tokens",
            "12",
            "--temperature",
            "1.5",
            "--top-p",
            "1",
            "--ignore-eos",
            "--seed",
            seed,
        ];
        workshop.event(&arguments, "generated")["ids"].clone()
    };
    assert_eq!(draw("3"), draw("3"));
    assert_ne!(draw("3"), draw("4"));
}

/// Ids of the golden rows without their padding, and their logits.
fn golden_rows() -> Vec<(Vec<u32>, Vec<Vec<f64>>)> {
    let tensors = open_file(&golden("llama-gqa-llama3/expected.safetensors")).unwrap();
    let integers = |name: &str| -> Vec<i64> {
        let bytes = tensors.bytes(name).unwrap();
        bytes.chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let (ids, mask) = (integers("input_ids"), integers("attention_mask"));
    let logits = tensors.read_f32("logits").unwrap();
    let shape = tensors.info("logits").unwrap().shape.to_vec();
    let (time, vocabulary) = (shape[1], shape[2]);
    (0..shape[0])
        .map(|row| {
            let length = (0..time).filter(|t| mask[row * time + t] == 1).count();
            assert!((0..length).all(|t| mask[row * time + t] == 1), "padding is on the right");
            let at = |t: usize| {
                let start = (row * time + t) * vocabulary;
                logits[start..start + vocabulary].iter().map(|logit| f64::from(*logit)).collect()
            };
            ((0..length).map(|t| ids[row * time + t] as u32).collect(), (0..length).map(at).collect())
        })
        .collect()
}

#[test]
fn scores_are_the_log_softmax_of_the_golden_logits() {
    let workshop = Workshop::new("");
    let rows = golden_rows();
    let input: String =
        rows.iter().map(|(ids, _)| serde_json::json!({ "ids": ids }).to_string() + "\n").collect();
    workshop.write("rows.jsonl", input);
    let scored = workshop
        .event(&["score", "--model", "model", "--input", "rows.jsonl", "--output", "scores.jsonl"], "scored");
    has(&scored, &["rows", "tokens", "mean_logprob", "perplexity"]);
    let output = std::fs::read_to_string(workshop.path("scores.jsonl")).unwrap();
    assert_eq!(output.lines().count(), rows.len());
    let mut all = Vec::new();
    for (line, (ids, logits)) in output.lines().zip(&rows) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["ids"], serde_json::json!(ids));
        assert!(line["logprobs"][0].is_null() && line["argmax"][0].is_null());
        let mut sum = 0.0;
        for t in 1..ids.len() {
            let before = &logits[t - 1];
            let largest = before.iter().copied().fold(f64::MIN, f64::max);
            let mass: f64 = before.iter().map(|logit| (logit - largest).exp()).sum();
            let wanted = before[ids[t] as usize] - largest - mass.ln();
            let got = line["logprobs"][t].as_f64().unwrap();
            assert!((got - wanted).abs() < 1e-3, "token {t}: {got}, wanted {wanted}");
            let argmax = before.iter().position(|logit| *logit == largest).unwrap();
            assert_eq!(line["argmax"][t].as_u64(), Some(argmax as u64));
            sum += got;
            all.push(got);
        }
        assert!((line["sum"].as_f64().unwrap() - sum).abs() < 1e-4);
    }
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    assert!((scored["mean_logprob"].as_f64().unwrap() - mean).abs() < 1e-6);
    assert!((scored["perplexity"].as_f64().unwrap().ln() + mean).abs() < 1e-6);
}

#[test]
fn a_prompt_and_its_completion_can_be_scored() {
    let workshop = Workshop::new("");
    workshop.write("rows.jsonl", "{\"prompt\": \"ember \", \"completion\": \"light\"}\r\n\n{\"ids\": [5]}\n");
    workshop
        .event(&["score", "--model", "model", "--input", "rows.jsonl", "--output", "scores.jsonl"], "scored");
    let output = std::fs::read_to_string(workshop.path("scores.jsonl")).unwrap();
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["sum"].as_f64().unwrap() < 0.0);
    assert_eq!(
        (lines[1]["logprobs"].clone(), lines[1]["sum"].as_f64()),
        (serde_json::json!([null]), Some(0.0))
    );
}

#[test]
fn ids_are_scored_without_a_tokenizer() {
    let workshop = Workshop::new("");
    std::fs::remove_file(workshop.path("model/tokenizer.json")).unwrap();
    let score = ["score", "--model", "model", "--input", "rows.jsonl", "--output", "scores.jsonl"];
    workshop.write("rows.jsonl", "{\"ids\": [5, 6, 7]}\n");
    workshop.event(&score, "scored");
    workshop.write("rows.jsonl", "{\"prompt\": \"ember\", \"completion\": \"light\"}\n");
    workshop.run(&score).refused_with(&["tokenizer.json"]);
    workshop.run(&["generate", "--model", "model", "--ids", "5"]).refused_with(&["tokenizer.json"]);
}

#[test]
fn an_export_is_verified_and_behaves_as_the_live_model() {
    let workshop = Workshop::new("");
    let adapter = golden("method-lora-all/final").display().to_string();
    for (dtype, shard) in [("keep", "5GB"), ("bf16", "100KB")] {
        let out = format!("merged-{dtype}");
        let arguments = [
            "export",
            "--model",
            "model",
            "--adapter",
            &adapter,
            "--to",
            "merged",
            "--dtype",
            dtype,
            "--shard-size",
            shard,
            "--out",
            &out,
            "--verify",
        ];
        let report = workshop.event(&arguments, "exported")["report"].clone();
        has(&report, &["dir", "files", "bytes", "seconds", "verify"]);
        let verify = has(
            &report["verify"],
            &[
                "rows",
                "tokens",
                "max_abs_logit_difference",
                "mean_abs_logit_difference",
                "allowed_difference",
                "greedy_equal",
                "greedy_total",
            ],
        );
        assert_eq!(verify["passed"], true);
        let names: Vec<&str> =
            report["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for name in
            ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md"]
        {
            assert!(
                names.contains(&name) && workshop.path(&out).join(name).exists(),
                "{name} is not in {names:?}"
            );
        }
        assert_eq!(names.contains(&"model.safetensors.index.json"), dtype == "bf16", "{names:?}");
    }
    // What was written answers as the adapter does on its base.
    let ids = "1,236,248,442,362";
    let ask = |model: &[&str]| {
        let arguments = [
            &["generate"],
            model,
            &["--ids", ids, "--max-new-tokens", "8", "--temperature", "0", "--ignore-eos"],
        ]
        .concat();
        workshop.event(&arguments, "generated")["ids"].clone()
    };
    assert_eq!(ask(&["--model", "merged-keep"]), ask(&["--model", "model", "--adapter", &adapter]));
    let text = workshop.run(&[
        "export",
        "--model",
        "model",
        "--adapter",
        &adapter,
        "--to",
        "adapter",
        "--out",
        "again",
        "--verify",
    ]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("behaves as the live model"), "{}", text.stdout);
    assert_eq!(ask(&["--model", "model", "--adapter", "again"]), ask(&["--model", "merged-keep"]));
}

/// An export from a run is compared on the run's own rows, and its card tells of the run.
#[test]
fn an_export_of_a_run_knows_the_run() {
    let workshop = Workshop::new("");
    workshop.write("run.toml", run_file("max_steps = 4\neval_every = 2\n"));
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "out"]).code, Some(0));
    let arguments = [
        "export",
        "--model",
        "model",
        "--adapter",
        "out/adapter",
        "--to",
        "merged",
        "--out",
        "merged",
        "--verify",
    ];
    let report = workshop.event(&arguments, "exported")["report"].clone();
    assert_eq!(
        (report["verify"]["passed"].as_bool(), report["verify"]["rows"].as_u64()),
        (Some(true), Some(8))
    );
    let card = std::fs::read_to_string(workshop.path("merged/README.md")).unwrap();
    for word in ["data.jsonl", "validation loss", "base model (SHA-256)", "4 of 4"] {
        assert!(card.contains(word), "`{word}` is not in the card:\n{card}");
    }
}

#[test]
fn bench_measures_a_made_up_model() {
    let workshop = Workshop::new("");
    let arguments =
        ["bench", "--shape", "tiny", "--batch-size", "1", "--length", "32", "--steps", "2", "--warmup", "1"];
    let report = &workshop.event(&arguments, "benched")["report"];
    has(
        report,
        &[
            "device",
            "dtype",
            "parameters",
            "trainable_parameters",
            "tokens_per_s",
            "seconds_per_step",
            "losses",
            "seconds_to_first_step",
            "peak_memory_bytes",
            "model_flops_per_token",
        ],
    );
    assert_eq!(report["seconds_per_step"].as_array().unwrap().len(), 2);
    assert_eq!(report["losses"].as_array().unwrap().len(), 3);
    assert!(report["tokens_per_s"].as_f64().unwrap() > 0.0);
}

//! `handoff` from outside: a folder that holds all that a run needs elsewhere, or words that say why not.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::workshop::{Workshop, golden, has};

const ENGINES: [&str; 3] = ["accelerate-fsdp", "accelerate-deepspeed", "torchrun"];
const LORA: &str = "max_steps = 3\ngradient_accumulation = 2\n[model]\ndtype = \"f32\"\n[method]\nkind = \"lora\"\nrank = 2\n";

/// Files below a folder by their paths with `/`.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}"))),
            false => _ = found.insert(name),
        }
    }
    found
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What a text has between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_folder_holds_all_that_it_names_and_nothing_of_this_machine() {
    let workshop = Workshop::new(LORA);
    let here = workshop.program.path().display().to_string();
    for engine in ENGINES {
        let flags = ["--engine", engine, "--nodes", "2", "--cards", "2", "--copy-model", "--out", engine];
        let report =
            &workshop.event(&[&["handoff", "run.toml"], &flags[..]].concat(), "handed_off")["report"];
        has(
            report,
            &[
                "dir",
                "files",
                "bytes",
                "train_rows",
                "validation_rows",
                "tokens",
                "steps",
                "launches",
                "notes",
            ],
        );
        let dir = workshop.path(engine);
        let there = files(&dir);
        let told: BTreeSet<String> = serde_json::from_value(report["files"].clone()).unwrap();
        assert_eq!(told, there, "{engine}");
        for file in [
            "train.py",
            "job.json",
            "requirements.txt",
            "data/train.parquet",
            "data/validation.parquet",
            "data/order.parquet",
            "adapter/adapter_model.safetensors",
            "run/plan.json",
            "model/model.safetensors",
        ] {
            assert!(there.contains(file), "{engine}: no {file}");
        }
        for readme in ["README.md", "README.zh.md"] {
            let text = std::fs::read_to_string(dir.join(readme)).unwrap();
            let paths = quoted(&text)
                .filter(|name| name.contains('/') && !name.contains(' ') && !name.starts_with("run/"));
            for path in paths {
                assert!(dir.join(path).exists(), "{engine}, {readme}: {path}");
            }
        }
        for launch in report["launches"].as_array().unwrap() {
            let script = launch["line"].as_str().unwrap().rsplit(' ').next().unwrap();
            assert!(dir.join(script).is_file(), "{launch}");
        }
        let scripts = ["one-node.sh", "nodes.sh", "slurm.sbatch"];
        assert!(scripts.iter().all(|script| there.contains(&format!("launch/{script}"))), "{there:?}");
        for file in &there {
            let bytes = std::fs::read(dir.join(file)).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(&here), "{engine}: {file} names {here}");
        }
    }
    // For people: the folder on stdout's first line, then what to type.
    let done = workshop.run(&["handoff", "run.toml", "--engine", "torchrun", "--out", "plain"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], workshop.path("plain").display().to_string());
    assert!(lines[1].starts_with("One machine: torchrun --standalone"), "{}", done.stdout);
    assert!(done.stderr.contains("17 rows to train on"), "{}", done.stderr);
}

#[test]
fn qlora_is_packed_there_as_it_would_be_here() {
    let settings = LORA.replace("dtype = \"f32\"", "dtype = \"f32\"\nquantization = \"nf4-double\"");
    let workshop = Workshop::new(&settings);
    let done = workshop.run(&["handoff", "run.toml", "--engine", "accelerate-fsdp", "--out", "out"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("bitsandbytes"), "{}", done.stderr);
    let kept = &json(&workshop.path("out/job.json"))["base"]["quantization"];
    assert_eq!(kept["double"], true);
    let modules: BTreeSet<String> = serde_json::from_value(kept["modules"].clone()).unwrap();
    let linears = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let wanted = (0..2).flat_map(|layer| linears.map(|linear| format!("model.layers.{layer}.{linear}")));
    assert_eq!(modules, wanted.collect());
    let text = |name: &str| std::fs::read_to_string(workshop.path("out").join(name)).unwrap();
    assert!(text("requirements.txt").contains("\nbitsandbytes==") && text("README.md").contains("NF4"));
    assert!(text("README.zh.md").contains("NF4"));
    // Without it there is no word of it.
    workshop.write("run.toml", crate::project::run_file(LORA));
    workshop.run(&["handoff", "run.toml", "--engine", "torchrun", "--out", "plain"]);
    assert_eq!(json(&workshop.path("plain/job.json"))["base"]["quantization"], Value::Null);
    let plain = std::fs::read_to_string(workshop.path("plain/requirements.txt")).unwrap();
    assert!(!plain.contains("bitsandbytes") && plain.contains("peft=="));
}

#[test]
fn a_folder_that_holds_something_is_left_as_it_is() {
    let workshop = Workshop::new(LORA);
    let hand_off = || workshop.run(&["handoff", "run.toml", "--engine", "torchrun", "--out", "out"]);
    assert_eq!(hand_off().code, Some(0));
    let content = || -> Vec<_> {
        let dir = workshop.path("out");
        files(&dir).into_iter().map(|file| (std::fs::read(dir.join(&file)).unwrap(), file)).collect()
    };
    let before = content();
    let again = hand_off();
    again.refused_with(&["not empty", "out"]);
    again.says_how_to_mend();
    assert!(content() == before);
    workshop.write("file", "mine");
    let file = workshop.run(&["handoff", "run.toml", "--engine", "torchrun", "--out", "file"]);
    assert_eq!((file.code, file.stdout.as_str()), (Some(2), ""), "{}", file.stderr);
    file.says_how_to_mend();
    assert_eq!(std::fs::read_to_string(workshop.path("file")).unwrap(), "mine");
}

/// Refused with all words, and nothing is left.
#[track_caller]
fn refused(workshop: &Workshop, flags: &[&str], words: &[&str]) {
    let arguments = [&["handoff", "run.toml", "--out", "out"], flags].concat();
    let done = workshop.run(&arguments);
    done.refused_with(words);
    done.says_how_to_mend();
    let left = std::fs::read_dir(workshop.program.path()).unwrap();
    assert!(!left.flatten().any(|entry| entry.file_name().to_string_lossy().contains("out")));
}

#[test]
fn what_cannot_be_handed_over_says_what_to_do() {
    let torchrun: &[&str] = &["--engine", "torchrun"];
    for (from, to, words) in [
        ("kind = \"lora\"\nrank = 2", "kind = \"bitfit\"", ["`bitfit`", "lora, dora, ia3"]),
        ("max_steps = 3", "max_steps = 3\noptimizer = \"lion\"", ["`lion`", "adamw"]),
        ("dtype = \"f32\"", "quantization = \"int8\"", ["int8", "nf4"]),
        ("dtype = \"f32\"", "overrides = { rope_theta = 5000.0 }", ["config.json", "model.overrides"]),
        ("rank = 2", "rank = 2\ninit = \"pissa\"", ["`pissa`", "\"default\""]),
        ("dtype = \"f32\"", "path = \"no/model\"", ["no/model", "where: "]),
    ] {
        refused(&Workshop::new(&LORA.replace(from, to)), torchrun, &words);
    }
    let workshop = Workshop::new(LORA);
    refused(
        &workshop,
        &["--engine", "horovod"],
        &["`horovod`", "accelerate-fsdp, accelerate-deepspeed, torchrun"],
    );
    refused(&workshop, &["--engine", "torchrun", "--cards", "0"], &["0 cards", "--cards"]);
    refused(&workshop, &["--engine", "torchrun", "--cards", "5"], &["4 rows", "fewer cards"]);
    let most = u64::MAX.to_string();
    refused(&workshop, &["--engine", "torchrun", "--nodes", &most, "--cards", &most], &["cannot train"]);
    std::fs::remove_file(workshop.path("data.jsonl")).unwrap();
    refused(&workshop, torchrun, &["data.jsonl", "check the path"]);
    // GPT-2's matrices lie the other way round.
    let gpt = Workshop::new(&LORA.replace("dtype = \"f32\"", "path = \"gpt\"\nquantization = \"nf4\""));
    crate::project::copy(&golden("gpt2-base/model"), &gpt.path("gpt"));
    refused(&gpt, torchrun, &["turns them", "\"none\""]);
}

#[test]
fn run_files_that_are_none() {
    let workshop = Workshop::new(LORA);
    for (content, words) in [
        (b"[model\npath = 1\n".to_vec(), ["cannot be read", "row 1"]),
        (b"[model]\npath = \"model\"\n\xff\xfe\n".to_vec(), ["not UTF-8", "row 3"]),
        (b"[train]\nepohcs = 3\n".to_vec(), ["train.epohcs", "`epochs`"]),
        (vec![b'#'; 5 << 20], ["too large", "run.toml"]),
    ] {
        workshop.write("run.toml", content);
        refused(&workshop, &["--engine", "torchrun"], &words);
    }
    std::fs::remove_file(workshop.path("run.toml")).unwrap();
    refused(&workshop, &["--engine", "torchrun"], &["run.toml", "check the path"]);
}

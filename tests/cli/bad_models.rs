//! Model and adapter folders that cannot be used.

use crate::project::{copy, run_file};
use crate::tensors::Tensors;
use crate::workshop::{Workshop, golden};

/// `inspect`, `generate` and a run refuse the model with the same words.
#[track_caller]
fn refuses_the_model(workshop: &Workshop, words: &[&str]) {
    for arguments in [&["inspect", "model"][..], &["generate", "--model", "model", "--ids", "1"]] {
        let done = workshop.run(arguments);
        done.refused_with(words);
        assert!(done.stderr.contains("where: "), "{}", done.stderr);
    }
    let train = workshop.run(&["train", "run.toml", "--out", "out"]);
    train.refused_with(words);
    assert!(!workshop.path("out").exists());
    let export = workshop.run(&["export", "--model", "model", "--to", "merged", "--out", "merged"]);
    export.refused_with(words);
    assert!(!workshop.path("merged").exists());
}

fn weights(workshop: &Workshop) -> Vec<u8> {
    std::fs::read(workshop.path("model/model.safetensors")).unwrap()
}

#[test]
fn truncated_weights() {
    let workshop = Workshop::new("");
    let bytes = weights(&workshop);
    for length in [bytes.len() - 1, bytes.len() / 2, 300, 7, 0] {
        workshop.write("model/model.safetensors", &bytes[..length]);
        refuses_the_model(&workshop, &["model.safetensors"]);
    }
}

#[test]
fn a_header_that_lies() {
    let workshop = Workshop::new("");
    let bytes = weights(&workshop);
    let mut long = bytes.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    workshop.write("model/model.safetensors", long);
    refuses_the_model(&workshop, &["model.safetensors"]);
    let mut overlapping = Tensors::parse(&bytes);
    overlapping.header["model.norm.weight"]["data_offsets"] = serde_json::json!([0, 192]);
    workshop.write("model/model.safetensors", overlapping.bytes());
    refuses_the_model(&workshop, &["model.safetensors"]);
}

#[test]
fn missing_shards_and_indexes_that_lead_astray() {
    let workshop = Workshop::new("");
    std::fs::remove_dir_all(workshop.path("model")).unwrap();
    copy(&golden("llama-bf16-sharded/model"), &workshop.path("model"));
    let index = "model/model.safetensors.index.json";
    let text = std::fs::read_to_string(workshop.path(index)).unwrap();
    workshop.write(
        index,
        text.replace("model-00002-of-00003.safetensors", "../model-00002-of-00003.safetensors"),
    );
    refuses_the_model(
        &workshop,
        &["outside its folder", "../model-00002-of-00003.safetensors", "model.safetensors.index.json"],
    );
    workshop.write(index, text);
    std::fs::remove_file(workshop.path("model/model-00002-of-00003.safetensors")).unwrap();
    refuses_the_model(
        &workshop,
        &["1 of 3 weight files are missing", "model-00002-of-00003.safetensors", "download"],
    );
}

#[test]
fn indexes_of_torch_files_that_lead_astray() {
    let workshop = Workshop::new("");
    std::fs::remove_dir_all(workshop.path("model")).unwrap();
    copy(&golden("gpt2-base/model"), &workshop.path("model"));
    let first = "pytorch_model-00001-of-00002.bin";
    let whole = workshop.path("model/pytorch_model.bin");
    let shard = workshop.path("model").join(first);
    std::fs::rename(&whole, &shard).unwrap();
    let index = |second: &str| {
        let map = serde_json::json!({
            "transformer.wte.weight": first, "transformer.ln_f.weight": first, "transformer.ln_f.bias": second,
        });
        let index = serde_json::json!({ "metadata": {}, "weight_map": map });
        workshop.write("model/pytorch_model.bin.index.json", index.to_string());
    };
    let name = "pytorch_model.bin.index.json";
    for outside in ["../pytorch_model.bin", "/etc/hostname", "sub/x.bin", ""] {
        index(outside);
        refuses_the_model(&workshop, &["outside its folder", outside, name]);
    }
    index("pytorch_model-00002-of-00002.bin");
    refuses_the_model(
        &workshop,
        &["1 of 2 weight files are missing", "pytorch_model-00002-of-00002.bin", name, "download"],
    );
    // The second file is there and is no file of torch, then is the first once more.
    let second = workshop.path("model/pytorch_model-00002-of-00002.bin");
    std::fs::write(&second, b"import os").unwrap();
    refuses_the_model(&workshop, &["no file of torch.save", "pytorch_model-00002-of-00002.bin"]);
    std::fs::copy(&shard, &second).unwrap();
    refuses_the_model(&workshop, &["is in several shards", name]);
    workshop.write("model/pytorch_model.bin.index.json", r#"{"weight_map":{}}"#);
    refuses_the_model(&workshop, &["names no weights", name]);
}

#[test]
fn pickles_that_are_cut_off_or_want_to_run_something() {
    let workshop = Workshop::new("");
    std::fs::remove_dir_all(workshop.path("model")).unwrap();
    copy(&golden("gpt2-base/model"), &workshop.path("model"));
    let file = "model/pytorch_model.bin";
    let bytes = std::fs::read(workshop.path(file)).unwrap();
    for length in [bytes.len() - 1, bytes.len() / 2, 7, 0] {
        workshop.write(file, &bytes[..length]);
        refuses_the_model(&workshop, &["pytorch_model.bin"]);
    }
    // The legacy form: magic number, protocol, system, then the program.
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
    let call = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.";
    workshop.write(file, [&magic[..], system, call].concat());
    refuses_the_model(&workshop, &["os.system", "nothing was executed", "pytorch_model.bin"]);
}

#[test]
fn gguf_files_that_lie() {
    let workshop = Workshop::new("");
    let done =
        workshop.run(&["export", "--model", "model", "--to", "gguf", "--dtype", "f32", "--out", "gguf"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let bytes = std::fs::read(workshop.path("gguf/model-f32.gguf")).unwrap();
    std::fs::remove_dir_all(workshop.path("model")).unwrap();
    std::fs::create_dir(workshop.path("model")).unwrap();
    let file = "model/model-f32.gguf";
    workshop.write(file, &bytes);
    assert_eq!(workshop.run(&["generate", "--model", "model", "--ids", "1"]).code, Some(0));
    for length in [bytes.len() / 2, 300, 20, 7, 0] {
        workshop.write(file, &bytes[..length]);
        refuses_the_model(&workshop, &["GGUF file is malformed", "model-f32.gguf"]);
    }
    // Magic, version, number of tensors, number of metadata entries.
    let changed = |at: usize, part: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + part.len()].copy_from_slice(part);
        changed
    };
    for (at, part, words) in [
        (0, &b"GGML"[..], "does not begin with GGUF"),
        (4, &[1, 0, 0, 0], "version 1"),
        (4, &[0, 0, 0, 3], "big-endian"),
        (8, &[0xFF; 8], "it claims"),
        (16, &[0xFF; 8], "it claims"),
    ] {
        workshop.write(file, changed(at, part));
        refuses_the_model(&workshop, &[words, "model-f32.gguf"]);
    }
    let llama = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"llama")).unwrap();
    workshop.write(file, changed(llama, b"rwkv7"));
    refuses_the_model(&workshop, &["`rwkv7` are not read", "general.architecture"]);
    workshop.write(file, &bytes);
    workshop.write("model/other.gguf", &bytes);
    refuses_the_model(&workshop, &["several GGUF models", "model-f32.gguf", "other.gguf"]);
}

#[test]
fn all_tensors_that_do_not_fit_are_named() {
    let workshop = Workshop::new("");
    let mut tensors = Tensors::parse(&weights(&workshop));
    tensors.push("model.layers.7.mlp.up_proj.weight", &[2], &[0; 8]);
    tensors.header.shift_remove("model.norm.weight").unwrap();
    // Its bytes belong to somebody, or the file itself would be at fault.
    let norm = Tensors::parse(&weights(&workshop)).range("model.norm.weight");
    tensors.header.insert(
        "model.nrom.weight".into(),
        serde_json::json!({"dtype": "F32", "shape": [48], "data_offsets": [norm.start, norm.end]}),
    );
    workshop.write("model/model.safetensors", tensors.bytes());
    let config = std::fs::read_to_string(workshop.path("model/config.json")).unwrap();
    workshop.write(
        "model/config.json",
        config.replace("\"intermediate_size\": 136", "\"intermediate_size\": 128"),
    );
    let mut words = vec![
        "1 missing, 6 of another form, 2 unknown".to_owned(),
        "model.norm.weight: missing, wanted [48]".to_owned(),
        "model.nrom.weight: unknown to this model".to_owned(),
        "model.layers.7.mlp.up_proj.weight: unknown to this model".to_owned(),
    ];
    for layer in 0..2 {
        for part in ["gate_proj", "up_proj"] {
            words.push(format!("model.layers.{layer}.mlp.{part}.weight: wanted [128, 48], got [136, 48]"));
        }
        words.push(format!("model.layers.{layer}.mlp.down_proj.weight: wanted [48, 128], got [48, 136]"));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refuses_the_model(&workshop, &words);
}

#[test]
fn configs_that_describe_no_model() {
    let workshop = Workshop::new("");
    let config = std::fs::read_to_string(workshop.path("model/config.json")).unwrap();
    let cases = [
        ("{", "config.json"),
        (&config.replace("\"llama\"", "\"lama\""), "`lama`"),
        (&config.replace("\"hidden_size\": 48", "\"hidden_size\": 1e99"), "hidden_size"),
        (&config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0"), "num_hidden_layers"),
        (&config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 16777216"), "at most 4096"),
        (
            &config.replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4"),
            "6 query heads cannot share 4 key heads",
        ),
    ];
    for (text, word) in cases {
        workshop.write("model/config.json", text);
        refuses_the_model(&workshop, &[word]);
    }
    std::fs::remove_file(workshop.path("model/config.json")).unwrap();
    refuses_the_model(&workshop, &["config.json", "Hugging Face"]);
}

#[test]
fn a_tokenizer_of_a_larger_model() {
    let workshop = Workshop::new(
        "[model]\npath = \"model\"\nfrom_scratch = true\noverrides = { vocab_size = 300 }\n[method]\nkind = \"full\"\n",
    );
    workshop.refuses_the_run(&["ids up to", "300 rows", "tokenizer.json"]);
}

#[test]
fn gpt2_has_no_positions_beyond_its_own() {
    let workshop = Workshop::new("");
    std::fs::remove_dir_all(workshop.path("model")).unwrap();
    copy(&golden("gpt2-base/model"), &workshop.path("model"));
    let settings = |length: u64| {
        run_file(&format!("max_steps = 1\n[data]\nmax_length = {length}\ntemplate = \"chatml\"\n"))
    };
    workshop.write("run.toml", settings(65));
    workshop.refuses_the_run(&["max_length is 65", "64"]);
    workshop.write("run.toml", settings(64));
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "out"]).code, Some(0));
    let ids = vec!["5"; 65].join(",");
    workshop
        .run(&["generate", "--model", "model", "--ids", &ids])
        .refused_with(&["65 tokens do not fit", "64"]);
    workshop.write("rows.jsonl", format!("{{\"ids\":[1,2]}}\n{{\"ids\":[{ids}]}}\n"));
    let done =
        workshop.run(&["score", "--model", "model", "--input", "rows.jsonl", "--output", "scores.jsonl"]);
    done.refused_with(&["65 tokens do not fit", "row 2", "rows.jsonl"]);
    assert!(!workshop.path("scores.jsonl").exists());
}

#[test]
fn ids_beyond_the_embedding() {
    let workshop = Workshop::new("");
    workshop.run(&["generate", "--model", "model", "--ids", "1,524"]).refused_with(&["524", "embedding"]);
    workshop.write("rows.jsonl", "{\"ids\":[1,2]}\n{\"ids\":[1,524]}\n{\"ids\":[1,3]}\n");
    let done =
        workshop.run(&["score", "--model", "model", "--input", "rows.jsonl", "--output", "scores.jsonl"]);
    done.refused_with(&["524", "row 2", "rows.jsonl"]);
    assert!(!workshop.path("scores.jsonl").exists());
}

/// An adapter is refused wherever it is given.
#[track_caller]
fn refuses_the_adapter(workshop: &Workshop, words: &[&str]) {
    let adapter = ["--model", "model", "--adapter", "adapter"];
    workshop.write("rows.jsonl", "{\"ids\":[1,2]}\n");
    for (task, rest) in [
        ("generate", &["--ids", "1"][..]),
        ("score", &["--input", "rows.jsonl", "--output", "scores.jsonl"]),
        ("export", &["--to", "merged", "--out", "merged"]),
    ] {
        let done = workshop.run(&[&[task], &adapter[..], rest].concat());
        done.refused_with(words);
        assert!(done.stderr.contains("where: "), "{}", done.stderr);
        assert!(!workshop.path("merged").exists() && !workshop.path("scores.jsonl").exists());
    }
}

#[test]
fn an_adapter_for_another_model() {
    let workshop = Workshop::new("");
    copy(&golden("method-lora-cattn-gpt2/final"), &workshop.path("adapter"));
    refuses_the_adapter(
        &workshop,
        &["transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn", "adapter"],
    );
    workshop
        .write("run.toml", run_file("max_steps = 1\n[method]\nkind = \"lora\"\ninit_from = \"adapter\"\n"));
    workshop.run(&["train", "run.toml", "--out", "out"]).refused_with(&["transformer.h.0.attn.c_attn"]);
    assert!(!workshop.path("out").exists());
}

#[test]
fn adapters_of_variants_that_are_not_known() {
    let workshop = Workshop::new("");
    copy(&golden("method-lora-all/final"), &workshop.path("adapter"));
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(workshop.path("adapter/adapter_config.json")).unwrap())
            .unwrap();
    for (key, value) in [
        ("use_qalora", serde_json::json!(true)),
        ("lora_bias", serde_json::json!(true)),
        ("init_lora_weights", serde_json::json!("pissa_niter_4")),
        ("peft_type", serde_json::json!("VERA")),
    ] {
        let mut changed = config.clone();
        changed[key] = value;
        workshop.write("adapter/adapter_config.json", changed.to_string());
        let word = if key == "peft_type" { "VERA" } else { key };
        // What the config promises and the tensors lack is a matter of the whole folder.
        let place = if key == "lora_bias" { "adapter" } else { "adapter_config.json" };
        refuses_the_adapter(&workshop, &[word, place]);
    }
    std::fs::remove_file(workshop.path("adapter/adapter_config.json")).unwrap();
    refuses_the_adapter(&workshop, &["adapter_config.json", "choose an adapter folder"]);
}

#[test]
fn damaged_adapters() {
    let workshop = Workshop::new("");
    copy(&golden("method-lora-all/final"), &workshop.path("adapter"));
    let file = "adapter/adapter_model.safetensors";
    let bytes = std::fs::read(workshop.path(file)).unwrap();
    workshop.write(file, &bytes[..bytes.len() / 2]);
    refuses_the_adapter(&workshop, &["adapter_model.safetensors"]);
    let mut tensors = Tensors::parse(&bytes);
    let names: Vec<String> = tensors
        .header
        .keys()
        .filter(|name| name.contains("layers.1") && name.contains("lora_B"))
        .cloned()
        .collect();
    for name in &names {
        let entry = tensors.header.shift_remove(name).unwrap();
        tensors.header.insert(name.replace("lora_B", "lora_C"), entry);
    }
    workshop.write(file, tensors.bytes());
    let words: Vec<&str> = names
        .iter()
        .map(|name| name.split("layers.1.").nth(1).unwrap().split(".lora").next().unwrap())
        .collect();
    assert_eq!(words.len(), 7);
    refuses_the_adapter(&workshop, &words);
}

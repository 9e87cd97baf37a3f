//! Run files whose settings cannot be used.

use crate::project::run_file;
use crate::workshop::Workshop;

#[track_caller]
fn refuses(settings: &str, words: &[&str]) {
    Workshop::new(settings).refuses_the_run(words);
}

#[test]
fn a_rank_larger_than_the_matrix() {
    let settings = "[method]\nkind = \"lora\"\nrank = 17\ntargets = [\"q\", \"k\"]\n";
    // The queries' matrix is 48 × 48, the keys' 16 × 48.
    refuses(
        settings,
        &[
            "model.layers.0.self_attn.k_proj: rank 17",
            "model.layers.1.self_attn.k_proj: rank 17",
            "16 × 48",
            "smaller rank",
        ],
    );
}

#[test]
fn unknown_keys_are_named_with_the_nearest() {
    refuses(
        "[method]\nkind = \"lora\"\nrnak = 4\nalhpa = 2\n",
        &["`method.rnak`", "`rank`", "`method.alhpa`", "`alpha`"],
    );
    refuses("[method]\nkind = \"full\"\nrank = 4\n", &["`method.rank`"]);
    let workshop = Workshop::new("");
    workshop.write("run.toml", run_file("").replace("batch_size", "batchsize"));
    workshop.refuses_the_run(&["train.batchsize", "`batch_size`", "run.toml"]);
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    refuses("scheduler = \"cosin\"\n", &["`cosin`", "`cosine`", "train.scheduler"]);
    refuses("optimizer = \"adamv\"\n", &["`adamv`", "`adamw`", "train.optimizer"]);
    refuses("[method]\nkind = \"lorra\"\n", &["`lorra`", "`lora`", "method.kind"]);
    refuses("[method]\nkind = \"lora\"\ntargets = [\"q\", \"qq\"]\n", &["qq", "method.targets", "q_proj"]);
    refuses("[model]\npath = \"model\"\ndtype = \"f8\"\n", &["`f8`", "model.dtype", "bf16"]);
    refuses("[model]\npath = \"model\"\nquantization = \"nf5\"\n", &["nf5", "model.quantization"]);
    refuses("memory_budget = \"lots\"\n", &["lots", "train.memory_budget", "8GB"]);
}

#[test]
fn numbers_that_make_no_sense() {
    for (settings, word) in [
        ("learning_rate = 0.0\n", "train.learning_rate"),
        ("learning_rate = -1e-4\n", "train.learning_rate"),
        ("learning_rate = nan\n", "train.learning_rate"),
        ("learning_rate = inf\n", "train.learning_rate"),
        ("batch_size = 0\n", "train.batch_size"),
        ("gradient_accumulation = 0\n", "train.gradient_accumulation"),
        ("epochs = 0\n", "train.epochs"),
        ("epochs = nan\n", "train.epochs"),
        ("eps = 0.0\n", "train.eps"),
        ("betas = [0.9, 1.0]\n", "train.betas"),
        ("warmup_ratio = 2.0\n", "train.warmup_ratio"),
        ("weight_decay = -0.1\n", "train.weight_decay"),
        ("max_grad_norm = -1.0\n", "train.max_grad_norm"),
        ("weight_decay = inf\n", "train.weight_decay"),
        ("early_stop_patience = 1\n[data]\nvalidation = 0.0\n", "early_stop_patience"),
        ("[method]\nkind = \"lora\"\nrank = 0\n", "method.rank"),
        ("[method]\nkind = \"lora\"\ndropout = 1.0\n", "method.dropout"),
    ] {
        refuses(settings, &[word]);
    }
    // All of them at once.
    refuses(
        "learning_rate = 0.0\neps = -1.0\nwarmup_ratio = -1.0\n",
        &["train.learning_rate", "train.eps", "train.warmup_ratio"],
    );
}

#[test]
fn what_is_not_a_number_at_all() {
    for settings in ["batch_size = -1\n", "batch_size = \"four\"\n", "epochs = true\n", "seed = 1.5\n"] {
        let workshop = Workshop::new(settings);
        workshop.run(&["train", "run.toml", "--out", "out"]).refused_with(&["run.toml", "row "]);
        assert!(!workshop.path("out").exists());
    }
}

/// `train` refuses for want of memory, and `check` foresees it.
#[track_caller]
fn does_not_fit(workshop: &Workshop, allowed: &str) {
    let train = workshop.run(&["train", "run.toml", "--out", "out"]);
    train.refused_with(&["of memory", allowed, "max_length"]);
    train.says_how_to_mend();
    assert!(!workshop.path("out").exists());
    let check = workshop.run(&["check", "run.toml"]);
    assert_eq!(check.code, Some(2), "{}", check.stderr);
    assert!(check.stdout.contains("This will not fit"), "{}", check.stdout);
}

#[test]
fn runs_that_do_not_fit_into_memory() {
    does_not_fit(&Workshop::new("memory_budget = \"0.1MB\"\n"), "0.1 MiB");
    // 32 rows of 50,000 tokens.
    let ids = vec!["7"; 50_000].join(",");
    let row = format!("{{\"input_ids\":[{ids}],\"labels\":[{ids}]}}\n");
    let settings =
        "batch_size = 100000\nmemory_budget = \"64MB\"\n[data]\nmax_length = 1000000\nvalidation = 0.0\n";
    let workshop = Workshop::new(settings);
    workshop.write("data.jsonl", row.repeat(32));
    does_not_fit(&workshop, "64.0 MiB");
}

#[test]
fn a_run_file_without_a_model() {
    let workshop = Workshop::new("");
    workshop.write("run.toml", "[data]\ntrain = [\"data.jsonl\"]\n");
    workshop.refuses_the_run(&["names no model", "model.path"]);
    workshop.write("run.toml", run_file("[model]\npath = \"no/model\"\n"));
    workshop.refuses_the_run(&["no/model"]);
}

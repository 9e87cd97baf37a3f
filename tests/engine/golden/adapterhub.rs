//! Bottleneck adapters that AdapterHub's `adapters` saved (`tests/reference/make_adapterhub.py`), with its logits.

use std::path::{Path, PathBuf};

use engine::methods::{Adapter, load_adapter};
use engine::models::Model;
use serde_json::{Value as Json, json};

use super::{chosen, distance, floats, integers, json as read_json, load, slack};
use crate::common;
use crate::families::made::logits;
use crate::project::copy;

/// Form, and the base's golden case.
const CASES: [(&str, &str); 4] = [
    ("pfeiffer-llama", "llama-gqa-llama3"),
    ("houlsby-llama", "llama-gqa-llama3"),
    ("pfeiffer-gpt2", "gpt2-base"),
    ("houlsby-gpt2", "gpt2-base"),
];

fn folder(case: &str) -> PathBuf {
    common::root().join("tests/fixtures/adapterhub").join(case)
}

fn model(base: &str) -> Model {
    load(&common::golden(base).unwrap().join("model"), &chosen().device)
}

#[test]
fn an_adapter_of_adapterhub_says_what_it_says_there() {
    for (case, base) in CASES {
        let model = model(base);
        let expected = folder(case).join("expected.safetensors");
        let ids: Vec<u32> = integers(&expected, "ids").iter().map(|id| *id as u32).collect();
        let want = floats(&expected, "logits");
        let said = |adapter: &dyn Adapter| logits(&model, &ids, Some(adapter.view()));
        let adapter = load_adapter(&folder(case), &model).unwrap();
        let off = distance(&said(adapter.as_ref()), &want);
        println!("{case}: logits differ by {off:.1e}");
        assert!(off < 2e-5 * slack(&chosen()), "{case}: logits differ by {off:.1e}");
        assert!(distance(&logits(&model, &ids, None), &want) > 1.0, "{case}: the adapter does nothing");
        // Written as ours, and read again.
        let out = tempfile::tempdir().unwrap();
        adapter.save(out.path(), "base").unwrap();
        let again = load_adapter(out.path(), &model).unwrap();
        assert!(said(again.as_ref()) == said(adapter.as_ref()), "{case}: saved and read again");
    }
}

/// A copy of a folder with settings of its adapter's changed.
fn changed(case: &str, settings: &[(&str, Json)], dir: &Path) {
    copy(&folder(case), dir);
    let file = dir.join("adapter_config.json");
    let mut config = read_json(&file);
    for (key, value) in settings {
        config["config"][*key] = value.clone();
    }
    std::fs::write(&file, config.to_string()).unwrap();
}

#[test]
fn what_adapterhub_has_and_we_have_not_is_refused_by_name() {
    let model = model("llama-gqa-llama3");
    for (case, key, value) in [
        ("pfeiffer-llama", "is_parallel", json!(true)),
        ("pfeiffer-llama", "phm_layer", json!(true)),
        ("pfeiffer-llama", "ln_before", json!(true)),
        ("houlsby-llama", "ln_after", json!(true)),
        ("houlsby-llama", "use_gating", json!(true)),
        ("pfeiffer-llama", "inv_adapter", json!("nice")),
        ("pfeiffer-llama", "scaling", json!("learned")),
        ("pfeiffer-llama", "non_linearity", json!("leakyrelu")),
        ("houlsby-llama", "output_adapter", json!(false)),
        ("houlsby-llama", "original_ln_after", json!(false)),
        ("houlsby-llama", "original_ln_before", json!(true)),
        ("pfeiffer-llama", "original_ln_before", json!(false)),
        ("pfeiffer-llama", "residual_before_ln", json!(false)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        changed(case, &[(key, value)], dir.path());
        let err = load_adapter(dir.path(), &model).err().unwrap();
        assert!(err.what.en.contains(key) && err.mend.is_some(), "{key}: {err:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    changed("pfeiffer-llama", &[("architecture", json!("lora"))], dir.path());
    let err = load_adapter(dir.path(), &model).err().unwrap();
    assert!(err.what.en.contains("lora (AdapterHub)"), "{err:?}");
    // On a model that it was not made for.
    let other = self::model("gpt2-base");
    let err = load_adapter(&folder("pfeiffer-llama"), &other).err().unwrap();
    assert!(err.details.iter().any(|line| line.contains("no such place")), "{err:?}");
}

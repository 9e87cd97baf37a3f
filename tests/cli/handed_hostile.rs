//! `import` of folders that lie: each ends with words, and leaves nothing.

use std::io::Write;

use serde_json::{Value, json};

use super::handed::Back;
use crate::tensors::Tensors;

const WEIGHTS: &str = "adapter/adapter_model.safetensors";
const NEWEST: &str = "checkpoints/step-00000008";

/// A file's JSON, changed.
fn json_of(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn folders_that_hold_no_run() {
    let back = Back::new();
    for folder in ["/etc", "/nowhere/at/all", "run.toml", "model"] {
        let done = back.workshop.run(&["import", folder, "--model", "model", "--out", "back"]);
        done.refused_with(&["no run that was handed over", folder]);
        done.says_how_to_mend();
    }
    let done = back.workshop.run(&["import", "handed", "--out", "back"]);
    done.refused_with(&["where the base model is", "--model", "--run"]);
    done.says_how_to_mend();
    back.nothing_is_left();
}

#[test]
fn tensors_that_claim_more_than_there_is() {
    // A header of ten gigabytes; tensors of that size; a file that ends in the middle; none at all.
    let claims: [fn(Vec<u8>) -> Vec<u8>; 5] = [
        |bytes| [&10_000_000_000_u64.to_le_bytes(), &bytes[8..]].concat(),
        |bytes| [&u64::MAX.to_le_bytes(), &bytes[8..]].concat(),
        |bytes| {
            let mut tensors = Tensors::parse(&bytes);
            let name = tensors.header.keys().find(|name| name.contains("lora_A")).unwrap().clone();
            tensors.header[&name]["shape"] = json!([50_000, 50_000]);
            tensors.header[&name]["data_offsets"] = json!([0, 10_000_000_000_u64]);
            tensors.bytes()
        },
        |bytes| bytes[..bytes.len() - 100].to_vec(),
        |_| Vec::new(),
    ];
    for claim in claims {
        let back = Back::new();
        back.change(WEIGHTS, claim);
        back.refused(&["not the one that was handed over", "adapter"]);
    }
}

#[test]
fn settings_that_claim_the_impossible() {
    let back = Back::new();
    let plan = |change: fn(&mut Value)| {
        let back = Back::new();
        back.change("plan.json", |bytes| json_of(&bytes, change));
        back
    };
    plan(|plan| plan["config"]["method"]["rank"] = json!(4_000_000_000_u64))
        .refused(&["handed over", "adapter"]);
    plan(|plan| plan["config"]["method"]["kind"] = json!("../../etc/passwd")).refused(&["etc/passwd"]);
    plan(|plan| plan["config"]["train"]["optimizer"] = json!("lion")).refused(&["`lion`", "plan.json"]);
    plan(|plan| plan["model_files"] = json!([])).refused(&["not the model"]);
    for name in ["../model/config.json", "/etc/passwd", "a/../../model/config.json"] {
        let back = Back::new();
        back.change("plan.json", |bytes| {
            json_of(&bytes, |plan| plan["model_files"][0]["name"] = json!(name))
        });
        back.refused(&["not the model", name]);
    }
    back.change("plan.json", |bytes| bytes[..bytes.len() / 2].to_vec());
    back.refused(&["cannot be used", "plan.json"]);
    let huge = std::fs::File::options().write(true).open(back.path("handed/run/plan.json")).unwrap();
    huge.set_len(10 << 30).unwrap();
    back.refused(&["too large", "plan.json"]);
}

#[test]
fn manifests_that_lead_elsewhere_and_counters_that_cannot_be() {
    let escaped = Back::new();
    escaped.change(&format!("{NEWEST}/manifest.json"), |bytes| {
        json_of(&bytes, |manifest| {
            manifest["files"][0]["name"] = json!("../../../../data.jsonl");
            manifest["files"][1]["size"] = json!(10_000_000_000_u64);
        })
    });
    // The checkpoint before it serves, and that is told.
    let told = escaped.import(&["--model", "model", "--out", "back"]);
    assert!(told.contains("step-00000008") && told.contains("damaged"), "{told}");
    let kept = std::fs::read_dir(escaped.path("back/checkpoints")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["step-00000004"]);

    for (key, value) in
        [("step", json!(7)), ("updates", json!(9)), ("updates", json!(-1)), ("position", json!("end"))]
    {
        let back = Back::new();
        back.change(&format!("{NEWEST}/state.json"), |bytes| json_of(&bytes, |state| state[key] = value));
        back.sign(NEWEST);
        back.refused(&["cannot be used", "state.json"]);
    }
    let negative = Back::new();
    negative.change(&format!("{NEWEST}/optimizer.safetensors"), |bytes| {
        let mut tensors = Tensors::parse(&bytes);
        let name = tensors.header.keys().find(|name| name.ends_with("#v")).unwrap().clone();
        let start = tensors.range(&name).start;
        tensors.data[start..start + 4].copy_from_slice(&(-1.0_f32).to_le_bytes());
        tensors.bytes()
    });
    negative.sign(NEWEST);
    negative.refused(&["optimizer.safetensors", "numbers"]);
}

#[test]
fn figures_without_end_are_read_once_and_what_is_none_is_left_out() {
    let back = Back::new();
    let figures = back.path("handed/run/metrics.jsonl");
    let first = std::fs::read_to_string(&figures).unwrap().lines().next().unwrap().to_owned();
    let mut file = std::io::BufWriter::new(std::fs::File::options().append(true).open(&figures).unwrap());
    for _ in 0..2_000_000 {
        file.write_all(b"{\"step\": 9, \"loss\": NaN, \"lr\": 1e999}\n").unwrap();
    }
    // And a line without an end.
    file.write_all(&first.as_bytes()[..first.len() - 1]).unwrap();
    file.write_all(&vec![b' '; 9 << 20]).unwrap();
    file.into_inner().unwrap();
    let told = back.import(&["--model", "model", "--out", "back"]);
    assert!(told.contains("2000001 lines"), "{told}");
    assert_eq!(back.steps("back").len(), 10, "eight steps and two evaluations");
    assert!(std::fs::metadata(back.path("back/metrics.jsonl")).unwrap().len() < 10_000);
}

#[test]
fn a_history_of_numbers_that_are_none_comes_back_without_them() {
    let back = Back::new();
    back.change("metrics.jsonl", |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let nan = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            // As the script writes what is not finite.
            line["loss"] = Value::Null;
            format!("{line}\n")
        };
        text.lines().map(nan).collect::<String>().into_bytes()
    });
    let told = back.import(&["--model", "model", "--out", "back"]);
    assert!(told.contains("8 of 8 steps"), "{told}");
}

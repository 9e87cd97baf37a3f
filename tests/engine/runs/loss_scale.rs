//! Runs in f16, and what their loss scale does.

use protocol::StopReason;
use serde_json::Value;

use super::resume::{adapters_are_equal, stopped_and_resumed};
use super::support::{Project, Told};
use crate::tensors::Tensors;

const LORA: &str = "[method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";
const F16: &str = "[model]\ndtype = \"f16\"\n";

/// The lines of the steps.
fn steps(project: &Project, run: &str) -> Vec<Value> {
    let lines = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"].is_null()).collect()
}

fn completed(told: &Told) {
    assert_eq!(told.finished().0, StopReason::Completed);
}

#[test]
fn a_stopped_run_in_f16_goes_on_bit_for_bit() {
    let project = Project::new();
    let settings = format!("max_steps = 6\nbatch_size = 8\n{F16}{LORA}");
    stopped_and_resumed(&project, &settings, &[2, 4]);
    adapters_are_equal(&project, "whole", "cut");
    let steps = steps(&project, "whole");
    assert_eq!(steps[0]["loss_scale"], 32_768.0);
    assert!(steps.iter().all(|step| step["loss_scale"].as_f64().unwrap().log2().fract() == 0.0));
}

#[test]
fn a_run_in_f16_goes_where_that_of_f32_goes() {
    let project = Project::new();
    completed(&project.run(&format!("max_steps = 6\nloss_scale = 256\n{F16}{LORA}"), "half"));
    completed(&project.run(&format!("max_steps = 6\n{LORA}"), "wide"));
    let (half, wide) = (steps(&project, "half"), steps(&project, "wide"));
    assert_eq!(half.len(), 6);
    for (half, wide) in half.iter().zip(&wide) {
        assert_eq!((&half["loss_scale"], &half["skipped"]), (&256.0.into(), &Value::Null));
        assert!(wide["loss_scale"].is_null());
        for (key, allowed) in [("loss", 0.005), ("grad_norm", 0.02)] {
            let (half, wide) = (half[key].as_f64().unwrap(), wide[key].as_f64().unwrap());
            assert!((half - wide).abs() < allowed * wide, "{key}: {half} and {wide}");
        }
    }
}

/// A final norm so loud that its gradients leave f16 at first.
fn loud() -> Project {
    let project = Project::new();
    let file = project.path("model/model.safetensors");
    let mut tensors = Tensors::parse(&std::fs::read(&file).unwrap());
    let range = tensors.range("model.norm.weight");
    for weight in tensors.data[range].as_chunks_mut::<4>().0 {
        *weight = (f32::from_le_bytes(*weight) * 64.0).to_le_bytes();
    }
    std::fs::write(&file, tensors.bytes()).unwrap();
    project
}

#[test]
fn an_overflow_halves_the_scale_and_advances_no_rate() {
    let project = loud();
    let settings = format!("max_steps = 12\nwarmup_steps = 4\nmax_skipped_steps = 0\n{F16}{LORA}");
    let told = stopped_and_resumed(&project, &settings, &[1, 3]);
    completed(&told);
    adapters_are_equal(&project, "whole", "cut");
    let steps = steps(&project, "whole");
    let (mut scale, mut updates, mut skipped) = (32_768.0, 0u32, 0);
    for step in &steps {
        assert_eq!(step["loss_scale"], scale, "{step}");
        let rate = step["lr"].as_f64().unwrap();
        if updates <= 4 {
            // The warm-up's rates tell which update it is.
            assert!((rate - 4e-3 * f64::from(updates) / 4.0).abs() < 1e-12, "{step}");
        }
        if step["skipped"] == true {
            assert!(step["loss"].as_f64().is_some_and(f64::is_finite), "{step}");
            scale /= 2.0;
            skipped += 1;
        } else {
            updates += 1;
        }
    }
    println!("{skipped} steps overflowed, the scale ended at {scale}");
    assert!(skipped > 0 && updates > 0, "{skipped} skipped, {updates} applied");
    let state = project.json("whole/checkpoints/step-00000012/state.json");
    assert_eq!((state["updates"].as_u64(), state["skipped"].as_u64()), (Some(updates.into()), Some(skipped)));
    assert_eq!(state["loss_scale"]["scale"], scale);
}

/// A scale that never gives way lets the same overflow end the run.
#[test]
fn a_fixed_scale_that_is_too_high_ends_the_run() {
    let project = loud();
    let settings = format!("max_steps = 12\nloss_scale = 32768\nmax_skipped_steps = 2\n{F16}{LORA}");
    let told = project.run(&settings, "a");
    assert!(told.failed().what.en.contains("3 steps in a row"), "{}", told.failed());
}

/// A power of two moves no digit: what is scaled is scaled back before the update.
#[test]
fn a_fixed_scale_changes_no_figure_in_f32() {
    let project = Project::new();
    completed(&project.run(&format!("max_steps = 4\n{LORA}"), "plain"));
    completed(&project.run(&format!("max_steps = 4\nloss_scale = 1024\n{LORA}"), "scaled"));
    adapters_are_equal(&project, "plain", "scaled");
    for (plain, scaled) in steps(&project, "plain").iter().zip(steps(&project, "scaled")) {
        assert_eq!(scaled["loss_scale"], 1024.0);
        assert_eq!((&plain["loss"], &plain["grad_norm"]), (&scaled["loss"], &scaled["grad_norm"]));
    }
}

#[test]
fn a_scale_that_is_none_is_refused() {
    let project = Project::new();
    let told = project.run("max_steps = 1\nloss_scale = 0\n", "a");
    assert!(told.failed().to_string().contains("train.loss_scale"), "{}", told.failed());
}

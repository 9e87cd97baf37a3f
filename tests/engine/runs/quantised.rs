//! Runs on a model whose matrices are kept in few bits: QLoRA, and what becomes of its adapter.

use std::path::Path;

use engine::weights::open_file;
use protocol::{
    Command, Event, ExportReport, ExportRequest, ExportTarget, MergeInto, ModelRef, ScoreRequest, StopReason,
    UserError,
};

use super::support::{Engine, Project};
use crate::exports;

const LORA: &str = "max_steps = 8\nlearning_rate = 2e-2\nwarmup_ratio = 0.0\n[model]\nquantization = \"nf4\"\n\
    [method]\nkind = \"lora\"\nrank = 4\ntargets = \"all-linear\"\n";

fn request(project: &Project, adapter: &Path, into: MergeInto, out: &str) -> ExportRequest {
    let model = ModelRef { dtype: "f32".into(), ..exports::model_ref(&project.path("model"), &[adapter]) };
    let request = exports::request(model, "merged", project.path(out));
    ExportRequest { dtype: "f32".into(), merge_into: into, ..request }
}

fn export(export: ExportRequest) -> Result<ExportReport, UserError> {
    exports::ask(&mut Engine::start(), export)
}

/// Sums of log-probabilities of a few rows.
fn score(project: &Project, model: ModelRef) -> Vec<f64> {
    project.write("rows.jsonl", "{\"ids\":[5,9,33,40,21,7,12]}\n{\"ids\":[3,80,14,15,92,6]}\n");
    let (input, output) = (project.path("rows.jsonl"), project.path("scores.jsonl"));
    let score = ScoreRequest { model, input, output: output.clone() };
    Engine::start().ask(
        |request| Command::Score { request, score },
        |event| match event {
            Event::Scored { .. } => Some(()),
            Event::Failed { error, .. } => panic!("{error:?}"),
            _ => None,
        },
    );
    let text = std::fs::read_to_string(&output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sum"].as_f64().unwrap())
        .collect()
}

fn losses(project: &Project, run: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    let loss = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64();
    text.lines().filter_map(loss).collect()
}

#[test]
fn an_adapter_of_a_quantised_model_is_merged_either_way_and_the_nearer_is_named() {
    let project = Project::new();
    let told = project.run(LORA, "run");
    let (reason, adapter) = told.finished();
    assert_eq!(reason, StopReason::Completed);
    let losses = losses(&project, "run");
    assert!(losses[7] < losses[0], "{losses:?}");
    assert_eq!(project.json("run/adapter/emberwright.json")["quantization"], "nf4");
    assert!(project.json("run/adapter/adapter_config.json").get("quantization").is_none());

    // Into what was trained: the same model. Into the original weights: another, by what quantisation took.
    for into in MergeInto::ALL {
        let report = export(request(&project, &adapter, into, into.name())).unwrap();
        assert!(report.verify.unwrap().passed);
        let merge = report.merge.unwrap();
        assert_eq!(
            (merge.quantization.as_str(), merge.into, merge.nearer()),
            ("nf4", into, MergeInto::Dequantised)
        );
        println!("original {:?}, dequantised {:?}", merge.original, merge.dequantised);
        assert!(merge.original.mean > 1e-3 && merge.original.max > merge.original.mean);
        assert!(merge.dequantised.max < 1e-4, "{merge:?}");
    }
    let base = ModelRef { path: project.path("model"), dtype: "f32".into(), ..ModelRef::default() };
    let trained = ModelRef { adapters: vec![adapter.clone()], quantization: "nf4".into(), ..base.clone() };
    let merged = |into: MergeInto| ModelRef { path: project.path(into.name()), ..base.clone() };
    let [trained, dense, dequantised, original] = [
        trained.clone(),
        ModelRef { quantization: String::new(), ..trained },
        merged(MergeInto::Dequantised),
        merged(MergeInto::Original),
    ]
    .map(|model| score(&project, model));
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(near(&trained, &dequantised), "{trained:?} {dequantised:?}");
    assert!(near(&dense, &original), "{dense:?} {original:?}");
    assert!(!near(&trained, &dense), "{trained:?} {dense:?}");
    // Matrices without an adapter are what their codes stand for, too; norms and embeddings are as they were.
    let files = ["model", "original", "dequantised"]
        .map(|dir| open_file(&project.path(dir).join("model.safetensors")).unwrap());
    let name = files[0].names().find(|name| name.contains("norm")).unwrap().to_owned();
    assert_eq!(files[0].bytes(&name).unwrap(), files[2].bytes(&name).unwrap());
}

#[test]
fn an_adapter_is_exported_with_its_memory_and_its_checkpoints_have_it() {
    let project = Project::new();
    let settings =
        LORA.replace("nf4", "nf4-double").replace("max_steps = 8", "max_steps = 2\nsave_every = 1");
    let adapter = project.run(&settings, "run").finished().1;
    assert_eq!(
        project.json("run/checkpoints/step-00000001/adapter/emberwright.json")["quantization"],
        "nf4-double"
    );
    let adapter_only = ExportRequest {
        target: ExportTarget("adapter".into()),
        dtype: "keep".into(),
        ..request(&project, &adapter, MergeInto::Original, "alone")
    };
    let report = export(adapter_only).unwrap();
    assert!(report.files.contains(&"emberwright.json".to_owned()) && report.merge.is_none());
    assert_eq!(project.json("alone/emberwright.json")["quantization"], "nf4-double");
    // Unchecked, the difference is at least told of.
    let unchecked =
        ExportRequest { verify: false, ..request(&project, &adapter, MergeInto::Original, "told") };
    let report = export(unchecked).unwrap();
    assert!(report.merge.is_none() && report.notes.iter().any(|note| note.en.contains("nf4-double")));
}

#[test]
fn every_quantization_trains_and_goes_on_after_a_stop() {
    for (quantization, method) in [
        ("nf4-double", "dora = true\n"),
        ("int8", ""),
        ("nf4", "modules_to_save = \"q_proj\"\ntargets = [\"v\"]\n"),
    ] {
        let project = Project::new();
        let targets = if method.contains("targets") { "" } else { "targets = \"all-linear\"\n" };
        let settings = |steps: u64| {
            format!(
                "max_steps = {steps}\nlearning_rate = 1e-2\nsave_every = 2\nwarmup_ratio = 0.0\nscheduler = \"constant\"\n\
                 [model]\nquantization = \"{quantization}\"\n[method]\nkind = \"lora\"\nrank = 4\n{targets}{method}"
            )
        };
        project.run(&settings(6), "whole").finished();
        let mut engine = Engine::start();
        let told = engine.run(project.start(&settings(6), "cut"), |update, control| {
            if super::support::stepped(update) == Some(3) {
                control.stop();
            }
        });
        assert_eq!(told.finished().0, StopReason::Stopped);
        engine.run(project.resume("cut"), |_, _| {}).finished();
        assert_eq!(project.lines("whole"), project.lines("cut"), "{quantization}");
        let losses = losses(&project, "whole");
        assert!(losses[5] < losses[0], "{quantization}: {losses:?}");
    }
}

#[test]
fn what_quantization_forbids_is_refused_before_anything_is_loaded() {
    let project = Project::new();
    let cases = [
        ("[model]\nquantization = \"nf4\"\n[method]\nkind = \"full\"\n", "freezes"),
        ("[model]\nquantization = \"int8\"\nfrom_scratch = true\n", "random weights"),
        ("[model]\nquantization = \"nf5\"\n", "nf5"),
    ];
    for (settings, word) in cases {
        let told = project.run(settings, "run");
        let error = told.failed();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(word), "{error}");
        assert!(format!("{error:?}").contains("model.quantization"), "{error:?}");
    }
    // Nothing says on what codes an adapter of a dense model was trained.
    let adapter = project.run("max_steps = 1\n", "dense").finished().1;
    let refused = export(request(&project, &adapter, MergeInto::Dequantised, "out")).unwrap_err();
    assert!(refused.to_string().contains("quantised"), "{refused}");
}

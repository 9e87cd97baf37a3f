//! Every optimizer in whole runs: resumption and forecast.

use engine::optim::{OPTIMIZERS, OptimizerEntry};
use engine::weights::open_file;
use protocol::{RunEvent, StopReason};

use super::resume::stopped_and_resumed;
use super::support::{Engine, Project};

/// Methods that an optimizer is for.
fn methods(entry: &OptimizerEntry) -> &'static [&'static str] {
    if entry.whole_models_only { &["full"] } else { &["full", "lora"] }
}

#[test]
fn a_stopped_run_of_every_optimizer_goes_on_bit_for_bit() {
    for entry in OPTIMIZERS {
        let project = Project::new();
        let id = entry.id;
        let settings = format!(
            "max_steps = 4\noptimizer = \"{id}\"\nweight_decay = 0.01\nlearning_rate = 1e-3\n[method]\nkind = \"full\"\n"
        );
        stopped_and_resumed(&project, &settings, &[2]);
        let read = |run: &str| std::fs::read(project.path(run).join("model/model.safetensors")).unwrap();
        assert!(read("whole") == read("cut"), "{id}");
        assert!(read("whole") != std::fs::read(project.path("model/model.safetensors")).unwrap(), "{id}");
    }
}

/// The checkpoint holds what the device did, tensor by tensor.
#[test]
fn states_are_as_large_as_forecast() {
    let project = Project::new();
    let mut engine = Engine::start();
    for entry in OPTIMIZERS {
        for method in methods(entry) {
            let run = format!("{}-{method}", entry.id);
            let settings =
                format!("max_steps = 1\noptimizer = \"{}\"\n[method]\nkind = \"{method}\"\n", entry.id);
            let told = engine.run(project.start(&settings, &run), |_, _| {});
            assert_eq!(told.finished().0, StopReason::Completed, "{run}");
            let forecast = told.updates.iter().find_map(|update| match update {
                RunEvent::Planned { summary, .. } => Some(summary.forecast.optimizer),
                _ => None,
            });
            let file = project.path(&run).join("checkpoints/step-00000001/optimizer.safetensors");
            assert_eq!(forecast, Some(open_file(&file).unwrap().total_bytes()), "{run}");
        }
    }
}

#[test]
fn muon_is_refused_where_an_adapter_is_trained() {
    let project = Project::new();
    let told = project.run("max_steps = 1\noptimizer = \"muon\"\n", "a");
    let error = told.failed();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("train.optimizer"), "{error}");
    assert!(!project.path("a").exists());
}

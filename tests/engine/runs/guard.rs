//! Steps that come out not finite.

use protocol::{RunEvent, StopReason};

use super::support::{Engine, Project, stepped};
use crate::tensors::Tensors;

#[test]
fn a_run_that_breaks_down_ends_and_names_a_row() {
    let project = Project::new();
    let settings = "max_steps = 20\nlearning_rate = 1e30\nscheduler = \"constant\"\nmax_skipped_steps = 2\n[method]\nkind = \"full\"\n";
    let told = project.run(settings, "a");
    let error = told.failed();
    assert_eq!(error.exit_code(), 1);
    assert!(error.what.en.contains("3 steps in a row"), "{error}");
    assert_eq!(error.place.file.as_deref(), Some(project.path("data.jsonl").as_path()));
    assert!(error.place.row.is_some_and(|row| (1..=22).contains(&row)), "{error}");
    assert!(error.mend.is_some());
    let skipped: Vec<u64> = told
        .updates
        .iter()
        .filter_map(|update| match update {
            RunEvent::Stepped { steps, .. } => {
                Some(steps.iter().filter(|step| step.skipped).map(|step| step.step))
            }
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    assert_eq!(told.notices().len(), 2, "{:?}", told.notices());
    let lines = project.lines("a");
    assert_eq!(lines.iter().filter(|line| line.contains("\"skipped\":true")).count(), 3, "{lines:?}");
}

/// Seven letters that no row but one has, and whose embedding is not a number.
const POISON: &str = "Zebra";

#[test]
fn a_poisoned_row_is_named_skipped_and_changes_nothing() {
    let project = Project::new();
    let poisoned = poison(&project);
    let row = |answer: &str| {
        serde_json::json!({"messages": [{"role": "user", "content": "ember"}, {"role": "assistant", "content": answer}]})
            .to_string()
            + "\n"
    };
    let rows: String = (0..8).map(|n| if n == 4 { row(POISON) } else { row("river stone") }).collect();
    project.write("data.jsonl", &rows);
    let settings = "epochs = 1\nbatch_size = 1\nshuffle = false\nsave_every = 1\nkeep_checkpoints = 9\nscheduler = \"constant\"\n[data]\nvalidation = 0.0\n";
    let mut engine = Engine::start();
    let told = engine.run(project.start(settings, "whole"), |_, _| {});
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(told.steps(), (1..=8).collect::<Vec<_>>());
    let notices = told.notices();
    assert!(
        matches!(notices.as_slice(), [one] if one.contains("row 5 of") && one.contains("data.jsonl")),
        "{notices:?}"
    );
    assert!(poisoned > 0);
    let weights = |step: u64| {
        std::fs::read(
            project.path(&format!("whole/checkpoints/step-{step:08}/adapter/adapter_model.safetensors")),
        )
        .unwrap()
    };
    let optimizer = |step: u64| {
        std::fs::read(project.path(&format!("whole/checkpoints/step-{step:08}/optimizer.safetensors")))
            .unwrap()
    };
    assert!(weights(4) == weights(5) && optimizer(4) == optimizer(5), "the poisoned step was applied");
    assert!(weights(5) != weights(6));
    let state = project.json("whole/checkpoints/step-00000008/state.json");
    assert_eq!((state["updates"].as_u64(), state["skipped"].as_u64()), (Some(7), Some(1)));

    // The line of the skipped step survives a stop, too.
    engine.run(project.start(settings, "cut"), |update, control| {
        if stepped(update) == Some(6) {
            control.stop();
        }
    });
    engine.run(project.resume("cut"), |_, _| {}).finished();
    assert_eq!(project.lines("whole"), project.lines("cut"));
}

/// Unties the model's head and makes the embedding of the poison's tokens not a number. Gives how many
/// tokens that are.
fn poison(project: &Project) -> usize {
    let file = project.path("model/model.safetensors");
    let mut tensors = Tensors::parse(&std::fs::read(&file).unwrap());
    let range = tensors.range("model.embed_tokens.weight");
    let head = tensors.data[range.clone()].to_vec();
    tensors.push("lm_head.weight", &[524, 48], &head);
    let tokenizer = data::Tokenizer::open(&project.path("model")).unwrap();
    let innocent = tokenizer.encode(&crate::project::conversations(22), false).unwrap().ids;
    let ids: Vec<u32> = tokenizer.encode(POISON, false).unwrap().ids;
    let guilty: Vec<u32> = ids.into_iter().filter(|id| !innocent.contains(id)).collect();
    for id in &guilty {
        let start = range.start + *id as usize * 48 * 4;
        tensors.data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&file, tensors.bytes()).unwrap();
    let mut config = project.json("model/config.json");
    config["tie_word_embeddings"] = false.into();
    project.write("model/config.json", &config.to_string());
    guilty.len()
}

//! What other machines wrote, as a run here. A run of the engine's own stands in for theirs: it writes the same files.

use std::path::{Path, PathBuf};

use engine::handoff::import;
use protocol::{Command, Event, RunOrigin, RunReport, RunState, UserError};

use super::{LORA, request, write};
use crate::project::{copy, steady_lines};
use crate::runs::support::{Engine, Project};
use crate::tensors::Tensors;

/// A folder that was handed over, with what came of it.
struct Back {
    project: Project,
    dir: PathBuf,
}

impl Back {
    fn new() -> Self {
        Self::of(LORA)
    }

    fn of(settings: &str) -> Self {
        let project = Project::new();
        let dir = write(&request(&project, settings, "accelerate-fsdp", "handed")).unwrap().dir;
        project.run(settings, "there").finished();
        let there = project.path("there");
        std::fs::copy(there.join("metrics.jsonl"), dir.join("run/metrics.jsonl")).unwrap();
        copy(&there.join("adapter"), &dir.join("run/adapter"));
        copy(&there.join("checkpoints"), &dir.join("run/checkpoints"));
        Self { project, dir }
    }

    fn model(&self) -> PathBuf {
        self.project.path("model")
    }

    fn import(&self) -> Result<protocol::ImportReport, UserError> {
        import(&self.dir, Some(&self.model()), None, &self.project.path("back"))
    }

    /// Asserts that it is refused with a word, and that nothing is left.
    #[track_caller]
    fn refused(&self, word: &str) {
        let error = self.import().unwrap_err();
        assert!(error.to_string().contains(word), "`{word}` is not in: {error}");
        assert!(error.mend.is_some(), "{error}");
        assert!(!self.project.path("back").exists());
    }

    /// Says of a changed checkpoint that it is whole.
    fn sign(&self, checkpoint: &str, step: u64) {
        let folder = self.dir.join("run").join(checkpoint);
        std::fs::remove_file(folder.join("manifest.json")).unwrap();
        let manifest = engine::files::Manifest::describe(&folder, step, serde_json::Value::Null).unwrap();
        std::fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    fn change(&self, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.dir.join("run").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, change(bytes)).unwrap();
    }
}

/// The figures of a run in single precision: whoever reads a double and writes it again may change its last digit.
fn figures(run: &Path) -> Vec<String> {
    let single =
        |part: &str| part.parse::<f64>().map_or(part.to_owned(), |number| (number as f32).to_string());
    let parts = |line: &String| line.split([':', ',']).map(single).collect::<Vec<_>>().join(":");
    steady_lines(run).iter().map(parts).collect()
}

fn report(dir: &Path) -> RunReport {
    let dir = dir.to_owned();
    Engine::start().ask(
        |request| Command::ReadRun { request, dir },
        |event| match event {
            Event::RunRead { report: Some(report), .. } => Some(*report),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

#[test]
fn a_run_comes_back_whole_and_goes_on_here() {
    let back = Back::new();
    let imported = back.import().unwrap();
    assert_eq!((imported.step, imported.total_steps, imported.checkpoint), (5, 5, Some(5)));
    assert_eq!((imported.evaluations, imported.notes.len()), (3, 0));
    let (there, here) = (back.project.path("there"), back.project.path("back"));
    assert_eq!(figures(&here), figures(&there));
    let weights = "adapter_model.safetensors";
    for folder in ["adapter", "checkpoints/step-00000005/adapter"] {
        let bytes = |run: &Path| std::fs::read(run.join(folder).join(weights)).unwrap();
        assert_eq!(bytes(&here), bytes(&there), "{folder}");
    }
    let slots = "checkpoints/step-00000005/optimizer.safetensors";
    assert_eq!(std::fs::read(here.join(slots)).unwrap(), std::fs::read(there.join(slots)).unwrap());
    let run = report(&here);
    assert_eq!((run.state, run.step, run.config.model.path.clone()), (RunState::Finished, 5, back.model()));
    assert_eq!(run.result, Some(here.join("adapter")));
    // As any run, it can be removed.
    let removed = Engine::start().ask(
        |request| Command::DeleteRun { request, dir: here.clone() },
        |event| match event {
            Event::Deleted { .. } => Some(Ok(())),
            Event::Failed { error, .. } => Some(Err(*error)),
            _ => None,
        },
    );
    removed.unwrap();
}

#[test]
fn a_run_under_way_is_watched_and_its_checkpoint_is_enough() {
    let back = Back::new();
    std::fs::remove_dir_all(back.dir.join("run/adapter")).unwrap();
    let watched = report(&back.dir.join("run"));
    assert_eq!((watched.state, watched.step, watched.total_steps), (RunState::Elsewhere, 5, 5));
    // The folder alone that was mounted is enough.
    let run = back.dir.join("run");
    let imported = import(&run, Some(&back.model()), None, &back.project.path("back")).unwrap();
    assert_eq!((imported.result, imported.checkpoint), (None, Some(5)));
    assert_eq!(report(&back.project.path("back")).state, RunState::Unfinished);
    std::fs::remove_dir_all(back.dir.join("run/checkpoints")).unwrap();
    std::fs::remove_dir_all(back.project.path("back")).unwrap();
    back.refused("Nothing has come back yet");
}

#[test]
fn figures_that_are_none_are_left_out_and_told() {
    let back = Back::new();
    back.change("metrics.jsonl", |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let first = text.lines().next().unwrap().to_owned();
        let far = first.replace("\"step\":1,", "\"step\":99,");
        format!("no json\n{text}{first}\n{far}\n{{\"step\":6").into_bytes()
    });
    let imported = back.import().unwrap();
    assert_eq!(imported.step, 5);
    assert!(imported.notes[0].en.contains("4 lines"), "{:?}", imported.notes);
    assert_eq!(figures(&back.project.path("back")), figures(&back.project.path("there")));
}

#[test]
fn a_folder_must_be_that_of_the_run_and_the_model_its_base() {
    let back = Back::new();
    let nothing = import(&back.project.path("there"), None, None, &back.project.path("back")).unwrap_err();
    assert!(nothing.what.en.contains("no run that was handed over"), "{nothing}");
    let unknown = import(&back.dir, None, None, &back.project.path("back")).unwrap_err();
    assert!(unknown.mend.unwrap().en.contains("--model"));
    let config = std::fs::read_to_string(back.model().join("config.json")).unwrap();
    back.project.write("model/config.json", &(config.clone() + " "));
    back.refused("not the model");
    back.project.write("model/config.json", &config);
    back.change("handoff.json", |bytes| {
        String::from_utf8(bytes).unwrap().replace("\"format\": 1", "\"format\": 2").into_bytes()
    });
    back.refused("format 2");
}

#[test]
fn adapters_that_are_others_or_broken_are_refused() {
    let weights = "adapter/adapter_model.safetensors";
    let back = Back::new();
    back.change(weights, |bytes| {
        let mut tensors = Tensors::parse(&bytes);
        let name = tensors.header.keys().find(|name| name.contains("lora_B")).unwrap().clone();
        let range = tensors.range(&name);
        tensors.data[range.start..range.start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        tensors.bytes()
    });
    back.refused("not finite");
    back.change(weights, |bytes| bytes[..bytes.len() / 2].to_vec());
    back.refused("not the one that was handed over");
    // Of another rank.
    let other = LORA.replace("rank = 3", "rank = 2");
    back.project.run(&other, "other").finished();
    std::fs::remove_dir_all(back.dir.join("run/adapter")).unwrap();
    copy(&back.project.path("other/adapter"), &back.dir.join("run/adapter"));
    back.refused("not the one that was handed over");
}

#[cfg(unix)]
#[test]
fn links_are_followed_nowhere() {
    let back = Back::new();
    let link = |file: &str, to: &Path| {
        let path = back.dir.join("run").join(file);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(to, &path).unwrap();
    };
    let there = back.project.path("there");
    link("checkpoints/step-00000005/optimizer.safetensors", Path::new("/dev/zero"));
    back.refused("no file of a checkpoint");
    std::fs::remove_dir_all(back.dir.join("run/checkpoints")).unwrap();
    link("adapter/adapter_model.safetensors", &there.join("adapter/adapter_model.safetensors"));
    back.refused("missing, or no file");
    link("plan.json", &there.join("plan.json"));
    back.refused("missing, or no file");
}

/// Where a run ends with its best checkpoint, that one comes back beside the newest.
#[test]
fn the_best_checkpoint_comes_back_with_the_newest() {
    let settings = LORA.replace("save_every = 2", "save_every = 2\nkeep_best = true\nkeep_checkpoints = 5");
    let back = Back::of(&settings);
    let newest = "checkpoints/step-00000005";
    back.change(&format!("{newest}/state.json"), |bytes| {
        let mut state: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        state["best_step"] = 2.into();
        serde_json::to_vec(&state).unwrap()
    });
    back.sign(newest, 5);
    let imported = back.import().unwrap();
    assert_eq!((imported.checkpoint, imported.notes.len()), (Some(5), 0), "{:?}", imported.notes);
    let here = back.project.path("back");
    for step in ["step-00000002", "step-00000005"] {
        for file in ["adapter/adapter_model.safetensors", "optimizer.safetensors"] {
            let bytes = |run: &Path| std::fs::read(run.join("checkpoints").join(step).join(file)).unwrap();
            assert_eq!(bytes(&here), bytes(&back.project.path("there")), "{step}: {file}");
        }
    }
    std::fs::remove_dir_all(&here).unwrap();
    std::fs::remove_dir_all(back.dir.join("run/checkpoints/step-00000002")).unwrap();
    let imported = back.import().unwrap();
    assert!(imported.notes[0].en.contains("best checkpoint, of step 2"), "{:?}", imported.notes);
    let state = back.project.json("back/checkpoints/step-00000005/state.json");
    assert!(state["best_step"].is_null() && state["best_loss"].is_null(), "{state}");
}

#[test]
fn a_guessed_run_file_serves_where_it_is_the_one() {
    let back = Back::new();
    let handed = request(&back.project, LORA, "accelerate-fsdp", "handed");
    let mut origin = RunOrigin { config: handed.config, base: handed.base, guessed: true };
    let out = back.project.path("back");
    let base_of = |origin: &RunOrigin| {
        import(&back.dir, Some(&back.model()), Some(origin), &out)?;
        let base = back.project.json("back/plan.json")["base"].as_str().unwrap().to_owned();
        std::fs::remove_dir_all(&out).unwrap();
        Ok::<_, UserError>(PathBuf::from(base))
    };
    assert_eq!(base_of(&origin).unwrap(), origin.base);
    origin.config.train.learning_rate *= 2.0;
    assert_ne!(base_of(&origin).unwrap(), origin.base, "the run came back, and cannot go on here");
    origin.guessed = false;
    assert!(base_of(&origin).unwrap_err().details.contains(&"train.learning_rate".to_owned()));
}

#[test]
fn a_checkpoint_must_fit_its_run() {
    let back = Back::new();
    let newest = "checkpoints/step-00000005";
    // A file that changed: an older checkpoint serves, and it is told.
    back.change(&format!("{newest}/state.json"), |bytes| {
        String::from_utf8(bytes).unwrap().replace("\"step\": 5", "\"step\": 4").into_bytes()
    });
    let imported = back.import().unwrap();
    assert_eq!(imported.checkpoint, Some(4));
    assert!(imported.notes[0].en.contains("damaged"), "{:?}", imported.notes);
    std::fs::remove_dir_all(back.project.path("back")).unwrap();
    // One that says of itself that it is whole, and holds what no optimizer of this run remembers.
    let folder = back.dir.join("run").join(newest);
    let states = folder.join("optimizer.safetensors");
    let mut tensors = Tensors::parse(&std::fs::read(&states).unwrap());
    tensors.push("model.elsewhere#m", &[1], &[0; 4]);
    std::fs::write(&states, tensors.bytes()).unwrap();
    std::fs::write(
        folder.join("state.json"),
        back.project.json("there/checkpoints/step-00000005/state.json").to_string(),
    )
    .unwrap();
    back.sign(newest, 5);
    back.refused("is not of this run");
}

//! `import`: a run that other machines trained (tests/fixtures/handed), and everything that is done with a run.

use std::path::{Path, PathBuf};

use protocol::{Command, Event, RunState};
use serde_json::Value;
use ui::EngineClient;

use crate::engine_client::{all_gone, open};
use crate::project::copy;
use crate::tensors::Tensors;
use crate::workshop::Workshop;

/// The workshop's model, and what came back: `handed/run`, with the run file and the data that it was handed over from.
pub struct Back {
    pub workshop: Workshop,
}

impl Back {
    pub fn new() -> Self {
        let workshop = Workshop::new("");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/handed");
        copy(&fixture.join("run"), &workshop.path("handed/run"));
        for name in ["run.toml", "data.jsonl"] {
            std::fs::copy(fixture.join(name), workshop.path(name)).unwrap();
        }
        Self { workshop }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.workshop.path(name)
    }

    /// As if it had been killed over there after its first checkpoint.
    fn cut_off(self) -> Self {
        std::fs::remove_dir_all(self.path("handed/run/adapter")).unwrap();
        std::fs::remove_dir_all(self.path("handed/run/checkpoints/step-00000008")).unwrap();
        self
    }

    #[track_caller]
    pub fn import(&self, flags: &[&str]) -> String {
        let done = self.workshop.run(&[&["import", "handed"], flags].concat());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stderr
    }

    /// Asserts that it is refused with all words, and that nothing is left.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        let done = self.workshop.run(&["import", "handed", "--model", "model", "--out", "back"]);
        done.refused_with(words);
        done.says_how_to_mend();
        self.nothing_is_left();
    }

    #[track_caller]
    pub fn nothing_is_left(&self) {
        let names = std::fs::read_dir(self.workshop.program.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.iter().any(|name| name.contains("back")), "{names:?}");
    }

    pub fn change(&self, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.path("handed/run").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, change(bytes)).unwrap();
    }

    /// Says of a changed checkpoint that it is whole.
    pub fn sign(&self, checkpoint: &str) {
        let dir = self.path("handed/run").join(checkpoint);
        let file = dir.join("manifest.json");
        std::fs::remove_file(&file).unwrap();
        let step = checkpoint.rsplit_once('-').unwrap().1.parse().unwrap();
        let manifest = engine::files::Manifest::describe(&dir, step, Value::Null).unwrap();
        std::fs::write(file, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    pub fn steps(&self, run: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Losses of steps and evaluations within 2e-4 and norms within 0.2 %, as tests/reference/handoff_roundtrip.py asks; rates, epochs and
/// tokens the same.
#[track_caller]
fn near(one: &[Value], other: &[Value]) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        for key in ["kind", "step", "tokens", "eval_tokens"] {
            assert_eq!(one.get(key), other.get(key), "{one} and {other}");
        }
        let far = |key: &str| (one[key].as_f64().unwrap() - other[key].as_f64().unwrap()).abs();
        assert!(far("epoch") < 1e-9);
        match one.get("kind") {
            Some(_) => assert!(far("eval_loss") < 2e-4, "{one} and {other}"),
            None => {
                assert!(far("loss") < 2e-4 && far("lr") < 1e-15, "{one} and {other}");
                assert!(far("grad_norm") < 2e-3 * one["grad_norm"].as_f64().unwrap(), "{one} and {other}");
            }
        }
    }
}

#[test]
fn what_came_back_is_a_run_that_everything_works_on() {
    let back = Back::new();
    let told = back.import(&["--model", "model", "--out", "runs/back"]);
    assert!(told.contains("8 of 8 steps, 2 evaluations, the adapter and the newest checkpoint"), "{told}");
    let workshop = &back.workshop;

    // Listed.
    let mut window = open(workshop);
    window.ready();
    let request = window.request();
    window.client.send(Command::ListRuns { request, dir: None });
    let runs = window.wait("the runs", |event| match event {
        Event::Runs { runs, .. } => Some(runs.clone()),
        _ => None,
    });
    window.client.detach(false);
    all_gone(workshop);
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((run.state, run.step, run.total_steps), (RunState::Finished, 8, 8));
    assert_eq!(run.config.model.path, back.path("model"));

    // It scores as what the script wrote.
    workshop.write("rows.jsonl", "{\"prompt\":\"ember light\",\"completion\":\" wood iron\"}\n");
    let scores = |adapter: &str, out: &str| {
        let done = workshop.run(&[
            "score",
            "--model",
            "model",
            "--adapter",
            adapter,
            "--input",
            "rows.jsonl",
            "--output",
            out,
        ]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        std::fs::read_to_string(workshop.path(out)).unwrap()
    };
    let adapter = "runs/back/adapter";
    assert_eq!(scores(adapter, "own.jsonl"), scores("handed/run/adapter", "theirs.jsonl"));

    // Talked to, merged, verified, exported.
    let talk = ["chat", "--device", "cpu", "--model", "model", "--adapter", adapter, "--max-new-tokens", "4"];
    let said = workshop.program.told(&talk, b"ember\n/base\nember\n");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for (to, out) in [("merged", "merged"), ("adapter", "copy")] {
        let export =
            ["export", "--model", "model", "--adapter", adapter, "--to", to, "--out", out, "--verify"];
        let report = &workshop.event(&export, "exported")["report"];
        assert_eq!(report["verify"]["passed"], true, "{report}");
    }
    let card = std::fs::read_to_string(back.path(adapter).join("README.md")).unwrap();
    assert!(card.contains("| steps | 8 of 8 |"), "{card}");
}

#[test]
fn a_run_that_was_cut_off_there_goes_on_here_as_if_it_had_never_left() {
    let back = Back::new().cut_off();
    let told = back.import(&["--run", "run.toml", "--out", "back"]);
    assert!(told.contains("the newest checkpoint"), "{told}");
    let done = back.workshop.run(&["train", "--resume", "back"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let begins = done.stderr.find("step 4").unwrap();
    let first = done.stderr.find("step 8: validation loss").unwrap();
    assert!(begins < first, "{}", done.stderr);
    for words in ["Other machines (torchrun) brought this run to step 4", "the order of the rows go on"] {
        assert!(done.stderr.contains(words), "`{words}` is not in: {}", done.stderr);
    }
    assert!(!done.stderr.contains("begins anew") && !done.stderr.contains("bf16"), "{}", done.stderr);
    let whole = back.workshop.run(&["train", "run.toml", "--out", "whole"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    near(&back.steps("whole"), &back.steps("back"));
    let values = |run: &str| {
        let file = back.path(run).join("adapter/adapter_model.safetensors");
        let tensors = Tensors::parse(&std::fs::read(file).unwrap());
        let numbers = tensors.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (tensors.header.keys().cloned().collect::<Vec<_>>(), numbers.collect::<Vec<f32>>())
    };
    let ((names, whole), (others, gone_on)) = (values("whole"), values("back"));
    assert_eq!(names, others);
    let far = whole.iter().zip(&gone_on).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "values differ by {far}");
    // Once more it has nothing to tell: it is a run of this machine now.
    let again = back.workshop.run(&["train", "--resume", "back"]);
    assert!(again.code == Some(0) && !again.stderr.contains("Other machines"), "{}", again.stderr);
}

#[test]
fn what_cannot_go_on_here_says_why() {
    let back = Back::new().cut_off();
    let resume = |dir: &str, words: &[&str]| {
        let done = back.workshop.run(&["train", "--resume", dir]);
        done.refused_with(words);
        done.says_how_to_mend();
    };
    resume("handed/run", &["Other machines train this run", "import DIR --run"]);
    back.import(&["--model", "model", "--out", "blind"]);
    resume("blind", &["where its data is", "--run RUN.toml"]);
    back.import(&["--run", "run.toml", "--out", "back"]);
    back.workshop.write("data.jsonl", "{\"instruction\":\"a\",\"output\":\"b\"}\n".repeat(22));
    resume("back", &["has changed", "the data files"]);

    let finished = Back::new();
    std::fs::remove_dir_all(finished.path("handed/run/checkpoints")).unwrap();
    finished.import(&["--run", "run.toml", "--out", "back"]);
    let done = finished.workshop.run(&["train", "--resume", "back"]);
    done.refused_with(&["Only the adapter", "method.init_from"]);
    done.says_how_to_mend();
}

#[test]
fn the_run_file_must_be_the_one_that_was_handed_over() {
    let back = Back::new();
    let run = std::fs::read_to_string(back.path("run.toml")).unwrap();
    let changed = run.replace("rank = 2", "rank = 3").replace("learning_rate = 4e-3", "learning_rate = 5e-3");
    back.workshop.write("changed.toml", changed);
    let done = back.workshop.run(&["import", "handed", "--run", "changed.toml", "--out", "back"]);
    done.refused_with(&["settings differ", "method.rank", "train.learning_rate"]);
    done.says_how_to_mend();
    assert!(!done.stderr.contains("data.train"), "{}", done.stderr);
    back.nothing_is_left();
    // What depends on the machine may change.
    back.workshop.write("here.toml", run.replace("[train]", "[train]\nmemory_budget = \"64MB\""));
    back.import(&["--run", "here.toml", "--out", "back"]);
}

#[test]
fn what_differs_here_is_said_before_it_goes_on() {
    let back = Back::new().cut_off();
    let checkpoint = "checkpoints/step-00000004";
    let dir = back.path("handed/run").join(checkpoint);
    // As if it had been computed in bf16, and its optimizer had kept nothing of one tensor.
    back.change("plan.json", |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("\"dtype\": \"f32\",\n  \"device\"", "\"dtype\": \"bf16\",\n  \"device\"")
            .into_bytes()
    });
    let file = dir.join("optimizer.safetensors");
    let states = Tensors::parse(&std::fs::read(&file).unwrap());
    let mut fewer = Tensors { header: serde_json::Map::new(), data: Vec::new() };
    let lost = states.header.keys().next().unwrap().rsplit_once('#').unwrap().0.to_owned();
    for name in states.header.keys().filter(|name| !name.starts_with(&lost)) {
        let shape = states.header[name]["shape"].as_array().unwrap();
        let shape: Vec<usize> = shape.iter().map(|size| size.as_u64().unwrap() as usize).collect();
        fewer.push(name, &shape, &states.data[states.range(name)]);
    }
    std::fs::write(&file, fewer.bytes()).unwrap();
    back.sign(checkpoint);
    back.import(&["--run", "run.toml", "--out", "back"]);
    let done = back.workshop.run(&["train", "--resume", "back"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for words in
        ["There it computed in bf16, here it computes in f32", "Of 1 trained tensors the optimizer's memory"]
    {
        assert!(done.stderr.contains(words), "`{words}` is not in: {}", done.stderr);
    }
}

//! A folder with a tiny model and data, and the program to use them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Done, Program};
use crate::project::{conversations, copy, run_file};

/// Golden cases of the project's own fixtures.
pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(path)
}

/// The program in a folder with `model` (the golden Llama), `data.jsonl` and `run.toml`.
pub struct Workshop {
    pub program: Program,
}

impl Workshop {
    pub fn new(settings: &str) -> Self {
        let workshop = Self { program: Program::new() };
        copy(&golden("llama-gqa-llama3/model"), &workshop.path("model"));
        workshop.write("data.jsonl", conversations(22));
        workshop.write("run.toml", run_file(settings));
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.program.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.program.write(name, text);
    }

    /// On the CPU.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.program.run(&[&["--device", "cpu"], arguments].concat())
    }

    /// With `--json`; the lines of stdout of a command that must succeed.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let done = self.run(&[&["--json"], arguments].concat());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one event of a name that a command must tell.
    #[track_caller]
    pub fn event(&self, arguments: &[&str], name: &str) -> Value {
        let events = self.json(arguments);
        let mut found = events.into_iter().filter(|event| event["event"] == name);
        let event = found.next().unwrap();
        assert!(found.next().is_none(), "{name} was told twice");
        event
    }

    /// `check` and `train` refuse the run file, each with all of `words`, and no run folder is left.
    #[track_caller]
    pub fn refuses_the_run(&self, words: &[&str]) {
        let train = self.run(&["train", "run.toml", "--out", "out"]);
        train.refused_with(words);
        train.says_how_to_mend();
        assert!(!self.path("out").exists(), "a refused run left its folder");
        let check = self.run(&["check", "run.toml"]);
        assert_eq!(check.code, Some(2), "{}", check.stderr);
        assert!(!check.stderr.contains("panicked"), "{}", check.stderr);
        for word in words {
            let said = check.stderr.contains(word) || check.stdout.contains(word);
            assert!(said, "check does not say `{word}`: {}\n{}", check.stdout, check.stderr);
        }
    }
}

impl Done {
    /// What, where and how to mend it.
    #[track_caller]
    pub fn says_how_to_mend(&self) {
        for part in ["error: ", "to mend it: ", "where: "] {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

/// Asserts that an object has all keys, and gives it back.
#[track_caller]
pub fn has<'a>(value: &'a Value, keys: &[&str]) -> &'a Value {
    for key in keys {
        assert!(value.get(key).is_some_and(|value| !value.is_null()), "`{key}` is not in {value}");
    }
    value
}

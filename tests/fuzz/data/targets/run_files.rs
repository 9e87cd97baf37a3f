//! Run files. One that is read can be written, and is then read as the same run.

use protocol::config::{about, parse_run_file, run_file_text};

use crate::common::root;
use crate::harness::{Input, Target};

const FILE: &str = "run.toml";

pub fn target() -> Target {
    Target::new(seeds, || {
        Box::new(|folder| {
            let file = folder.join(FILE);
            let bytes = std::fs::read(&file).unwrap_or_default();
            let source = String::from_utf8_lossy(&bytes);
            let config = parse_run_file(&source, &file)?;
            let said = format!("{} {}", about(&source).is_some(), config.method.params.len());
            let written = run_file_text(&config)?;
            let again = parse_run_file(&written, &file)
                .unwrap_or_else(|err| panic!("what was written is refused: {err}\n{written}"));
            assert_eq!(run_file_text(&again).unwrap(), written);
            Ok(said)
        })
    })
}

fn seeds() -> Vec<Input> {
    let folder = root().join("presets/recipes");
    let mut recipes: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    recipes.sort();
    let recipes = recipes.into_iter().map(|file| std::fs::read(file).unwrap());
    let own = r#"
[model]
path = "m"
overrides = { rope_theta = 1e4, a = [1, { b = true }] }
[data]
train = ["a.jsonl", 'b.csv']
columns = { prompt = "{{ a }}", response = "b" }
validation = 0.1
on_too_long = "split"
[method]
kind = "lora"
rank = 8
targets = ["q", "model.layers.*.mlp.*"]
[train]
betas = [0.9, 0.999]
eps = 1e-8
samples = ["hi"]
seed = 7
"#;
    recipes.chain([own.as_bytes().to_vec()]).map(|bytes| Input::of(FILE, bytes)).collect()
}

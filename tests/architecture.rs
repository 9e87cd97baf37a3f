//! Rules about the project itself: who may depend on whom, how long a file may be, and that every preset is
//! one the program reads.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Package → packages of this workspace it may name. There is no edge between `ui` and `engine`: they meet only
/// in messages.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("protocol", &[]),
    ("data", &["protocol"]),
    ("hub", &["protocol"]),
    // Kernels for GPUs: they know neither tensors nor the engine.
    ("kernels", &[]),
    ("engine", &["data", "hub", "kernels", "protocol"]),
    ("ui", &["protocol"]),
    ("emberwright", &["data", "engine", "protocol", "ui"]),
    // Makes the starter's corpus and datasets.
    ("starter", &["protocol"]),
];

/// Package → beginnings of names that must not be reached from it, however indirectly.
const OUT_OF_REACH: [(&str, &[&str]); 6] = [
    ("protocol", &["burn", "cubecl", "egui", "eframe", "tokenizers", "safetensors"]),
    ("data", &["burn", "cubecl", "egui", "eframe"]),
    ("hub", &["burn", "cubecl", "egui", "eframe", "tokenizers", "safetensors"]),
    ("ui", &["burn", "cubecl", "tokenizers", "safetensors"]),
    ("kernels", &["burn", "egui", "eframe", "tokenizers", "safetensors"]),
    ("engine", &["egui", "eframe", "clap", "console"]),
];

/// Messages are plain data: what their package needs, and nothing more.
const PROTOCOL_NEEDS: [&str; 5] = ["serde", "serde_json", "strsim", "thiserror", "toml"];

/// Longer files hide things.
const LONGEST_FILE: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Package of the workspace → names it depends on directly, for building as well as for tests.
fn direct_dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            (name(package), package["dependencies"].as_array().unwrap().iter().map(name).collect())
        })
        .collect()
}

#[test]
fn packages_depend_only_in_the_direction_of_the_design() {
    let all = direct_dependencies();
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for (package, dependencies) in &all {
        let allowed = allowed.get(package.as_str()).unwrap_or_else(|| panic!("{package} has no rule"));
        // A package names itself where its tests want a feature of it.
        let others = dependencies.iter().filter(|name| *name != package);
        for dependency in others.filter(|name| all.contains_key(*name)) {
            assert!(allowed.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
    let protocol: BTreeSet<_> = all["protocol"].iter().map(String::as_str).collect();
    assert_eq!(protocol, PROTOCOL_NEEDS.into_iter().collect(), "what messages need");
}

#[test]
fn nothing_heavy_is_reached_by_a_detour() {
    let lock: toml::Table = toml::from_str(&read(&root().join("Cargo.lock"))).unwrap();
    let graph = locked_graph(&lock);
    let packages = direct_dependencies();
    for (package, forbidden) in OUT_OF_REACH.iter().filter(|(package, _)| packages.contains_key(*package)) {
        for path in shortest_paths(&graph, package) {
            let last = path.last().unwrap();
            let guilty =
                forbidden.iter().any(|start| last == start || last.starts_with(&format!("{start}-")));
            assert!(!guilty, "{}", path.join(" → "));
        }
    }
}

/// Name → names, from Cargo.lock. Several versions of a crate are taken together.
fn locked_graph(lock: &toml::Table) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph = BTreeMap::<_, BTreeSet<_>>::new();
    for package in lock["package"].as_array().unwrap() {
        let edges = graph.entry(package["name"].as_str().unwrap()).or_default();
        for dependency in package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten() {
            // `name`, or `name version` where several versions are locked.
            edges.extend(dependency.as_str().unwrap().split(' ').next());
        }
    }
    graph
}

fn shortest_paths<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> Vec<Vec<&'a str>> {
    let mut seen = BTreeSet::from([from]);
    let mut open = VecDeque::from([vec![from]]);
    let mut found = Vec::new();
    while let Some(path) = open.pop_front() {
        for next in &graph[path.last().unwrap()] {
            if seen.insert(next) {
                let longer: Vec<_> = path.iter().chain([next]).copied().collect();
                open.push_back(longer.clone());
                found.push(longer);
            }
        }
    }
    assert!(!found.is_empty(), "{from} is in Cargo.lock and depends on something");
    found
}

#[test]
fn no_file_is_too_long() {
    let files = files_under(&root().join("src"), "rs");
    assert!(files.len() > 20, "the sources are found");
    for file in files {
        let lines = read(&file).lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines, at most {LONGEST_FILE}", file.display());
    }
}

#[test]
fn every_recipe_is_a_run_file() {
    let recipes = files_under(&root().join("presets/recipes"), "toml");
    assert!(!recipes.is_empty(), "there are recipes");
    for recipe in recipes {
        let config = protocol::config::parse_run_file(&read(&recipe), &recipe)
            .unwrap_or_else(|error| panic!("{}: {error}", recipe.display()));
        // One that leaves them to the user leaves both.
        let names = (!config.model.path.as_os_str().is_empty(), !config.data.train.is_empty());
        assert!(names.0 == names.1, "{} names its model or its data alone", recipe.display());
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|err| panic!("{}: {err}", file.display()))
}

/// All files with this extension, in the order of their paths.
fn files_under(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|err| panic!("{}: {err}", dir.display()));
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => files_under(&path, extension),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    found.sort();
    found
}

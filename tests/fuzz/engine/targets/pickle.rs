//! `pytorch_model.bin`, as a zip archive and in the legacy form.

use engine::weights::open_file;

use super::read_tensors;
use crate::common::root;
use crate::harness::{Input, Target};

const FILE: &str = "pytorch_model.bin";
const FIXTURES: [&str; 8] = [
    "plain.bin",
    "plain-protocol4.bin",
    "plain-legacy.bin",
    "views.bin",
    "views-legacy.bin",
    "wrapped.bin",
    "refused-module.bin",
    "refused-device.bin",
];

pub fn target() -> Target {
    Target::new(seeds, || Box::new(|folder| read_tensors(&open_file(&folder.join(FILE))?)))
}

fn seeds() -> Vec<Input> {
    let folder = root().join("tests/fixtures/pickle");
    FIXTURES.iter().map(|name| Input::of(FILE, std::fs::read(folder.join(name)).unwrap())).collect()
}

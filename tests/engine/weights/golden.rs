//! Every model and adapter of the golden data, where it is at hand.

use std::path::{Path, PathBuf};

use engine::weights::{Checkpoint, open_file};

use super::contents;
use crate::common::{shared, skipped};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn all_golden_files_are_read() {
    // The whole set; the project's own copy of some cases is a part of it.
    let Some(golden) = shared("golden") else { return skipped(1, "set of golden models") };
    let mut found = Vec::new();
    files(&golden, &mut found);
    let (mut safetensors, mut pickles, mut folders) = (0, 0, 0);
    for path in found {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension {
            "safetensors" => {
                let bytes = std::fs::read(&path).unwrap();
                same_as_the_reference(&path, &bytes);
                safetensors += 1;
            }
            "bin" => {
                same_as_another_reader(&path);
                pickles += 1;
            }
            _ if path.ends_with("model/config.json") => {
                assert!(Checkpoint::open(path.parent().unwrap()).unwrap().parameters() > 0, "{path:?}");
                folders += 1;
            }
            _ => {}
        }
    }
    println!("read {safetensors} safetensors files, {pickles} torch files, {folders} model folders");
    assert!(safetensors > 0 && pickles > 0 && folders > 0);
}

fn same_as_the_reference(path: &Path, bytes: &[u8]) {
    let ours = open_file(path).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(bytes).unwrap();
    assert_eq!(ours.names().count(), theirs.len());
    for (name, dtype, shape, data) in contents(&ours) {
        let tensor = theirs.tensor(&name).unwrap();
        assert_eq!(
            (dtype, &shape[..], &data[..]),
            (tensor.dtype().to_string(), tensor.shape(), tensor.data())
        );
    }
}

fn same_as_another_reader(path: &Path) {
    let ours = open_file(path).unwrap();
    let theirs = pytorch_reader::PytorchReader::new(path).unwrap();
    assert_eq!(ours.names().count(), theirs.tensors().len(), "{path:?}");
    for (name, dtype, shape, data) in contents(&ours) {
        let tensor = theirs.get(&name).unwrap();
        assert_eq!((dtype, &shape[..]), (format!("{:?}", tensor.dtype()), tensor.shape()), "{path:?} {name}");
        assert_eq!(data, tensor.read().unwrap(), "{path:?} {name}");
    }
}

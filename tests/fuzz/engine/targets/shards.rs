//! Folders with an index and shards, in both containers.

use engine::weights::Checkpoint;

use super::{read_tensors, safetensors_file};
use crate::common::root;
use crate::harness::{Input, Target};

const SAFE: &str = "model.safetensors.index.json";
const TORCH: &str = "pytorch_model.bin.index.json";

pub fn target() -> Target {
    Target::new(seeds, || Box::new(|folder| read_tensors(&Checkpoint::open(folder)?)))
}

fn index(pairs: &[(&str, &str)]) -> String {
    let map: serde_json::Map<_, _> =
        pairs.iter().map(|(name, file)| ((*name).to_owned(), (*file).into())).collect();
    serde_json::json!({"metadata": {"total_size": 8}, "weight_map": map}).to_string()
}

fn shard(name: &str) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    safetensors_file(&header, &[0; 4])
}

fn seeds() -> Vec<Input> {
    let safe = Input::of(SAFE, index(&[("a", "1.safetensors"), ("b", "2.safetensors")]))
        .and("1.safetensors", shard("a"))
        .and("2.safetensors", shard("b"));
    let torch = |name: &str| std::fs::read(root().join("tests/fixtures/pickle").join(name)).unwrap();
    let [first, second] = ["plain.bin", "wrapped.bin"].map(torch);
    let names = |bytes: &[u8]| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pytorch_model.bin"), bytes).unwrap();
        Checkpoint::open(folder.path()).unwrap().names().map(str::to_owned).collect()
    };
    let (one, two) = (names(&first), names(&second));
    let pairs: Vec<(&str, &str)> = one
        .iter()
        .map(|name| (name.as_str(), "1.bin"))
        .chain(two.iter().filter(|name| !one.contains(name)).map(|name| (name.as_str(), "2.bin")))
        .collect();
    let torch = Input::of(TORCH, index(&pairs)).and("1.bin", first).and("2.bin", second);
    vec![safe, torch]
}

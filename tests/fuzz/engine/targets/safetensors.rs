//! A file of tensors. What we accept, the safetensors crate accepts too, with the same bytes.

use engine::weights::{Checkpoint, open_file};
use safetensors::SafeTensors;

use super::{read_tensors, safetensors_file};
use crate::common::root;
use crate::harness::{Input, Target};

pub const FILE: &str = "model.safetensors";

pub fn target() -> Target {
    Target::new(seeds, || {
        Box::new(|folder| {
            let checkpoint = open_file(&folder.join(FILE))?;
            compare(&checkpoint, &std::fs::read(folder.join(FILE)).unwrap());
            read_tensors(&checkpoint)
        })
    })
}

fn compare(checkpoint: &Checkpoint, file: &[u8]) {
    let reference =
        SafeTensors::deserialize(file).unwrap_or_else(|err| panic!("the crate refuses it: {err}"));
    assert_eq!(reference.len(), checkpoint.names().count());
    for (name, tensor) in reference.iter() {
        assert_eq!(tensor.data(), &*checkpoint.bytes(name).unwrap(), "{name}");
        assert_eq!(tensor.shape(), checkpoint.info(name).unwrap().shape, "{name}");
    }
}

fn seeds() -> Vec<Input> {
    let fixture = |name: &str| std::fs::read(root().join("tests/fixtures/pickle").join(name)).unwrap();
    let made = [
        (r#"{}"#, 0),
        (r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4),
        (
            r#"{"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[12,18]},"i":{"dtype":"I64","shape":[1],"data_offsets":[18,26]},"m":{"dtype":"BOOL","shape":[2,0],"data_offsets":[26,26]},"u":{"dtype":"U8","shape":[6],"data_offsets":[26,32]}}"#,
            32,
        ),
    ];
    let made = made.map(|(header, data)| safetensors_file(header, &vec![0x3c; data]));
    let whole = ["plain.safetensors", "views.safetensors", "wrapped.safetensors"].map(fixture);
    made.into_iter().chain(whole).map(|bytes| Input::of(FILE, bytes)).collect()
}

//! Checkpoints of bitsandbytes: matrices in few bits, with what lies beside them.

use engine::nn::Quantization;
use engine::nn::packed::Outputs;
use engine::weights::Checkpoint;
use protocol::Result;
use serde_json::{Map, Value, json};

use super::safetensors::FILE;
use super::{read_tensors, safetensors_file};
use crate::harness::{Input, Target};

pub fn target() -> Target {
    Target::new(seeds, || {
        Box::new(|folder| {
            let checkpoint = Checkpoint::open(folder)?;
            read_codes(&checkpoint)?;
            read_tensors(&checkpoint)
        })
    })
}

/// Matrices as they are loaded: with their own codes, or with new ones.
fn read_codes(checkpoint: &Checkpoint) -> Result<()> {
    for name in checkpoint.names().take(8) {
        let info = checkpoint.info(name).unwrap();
        if info.shape.len() != 2 || !info.dtype.is_float() {
            continue;
        }
        for kind in Quantization::ALL {
            if let Ok(packed) = checkpoint.quantised(name, kind, Outputs::Rows) {
                assert_eq!(packed.dense().len(), info.elements(), "{name}");
            }
        }
    }
    Ok(())
}

/// A file of tensors: name, dtype, shape and bytes of each.
fn file(parts: &[(&str, &str, Vec<usize>, Vec<u8>)]) -> Input {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in parts {
        let start = data.len();
        data.extend(bytes);
        header.insert(
            (*name).into(),
            json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    Input::of(FILE, safetensors_file(&Value::Object(header).to_string(), &data))
}

fn seeds() -> Vec<Input> {
    let floats = |count: usize| (0..count).flat_map(|i| (i as f32 / 9.0).to_le_bytes()).collect::<Vec<u8>>();
    let state = |nested: &str| {
        let text =
            format!(r#"{{"quant_type":"nf4","blocksize":4,"dtype":"bfloat16","shape":[2,5]{nested}}}"#);
        ("m.weight.quant_state.bitsandbytes__nf4", "U8", vec![text.len()], text.into_bytes())
    };
    let codes = ("m.weight", "U8", vec![5, 1], vec![0x12, 0x34, 0x56, 0x78, 0x90]);
    let map = ("m.weight.quant_map", "F32", vec![16], floats(16));
    let plain = [codes.clone(), ("m.weight.absmax", "F32", vec![3], floats(3)), map.clone(), state("")];
    let nested = [
        codes,
        ("m.weight.absmax", "U8", vec![3], vec![1, 2, 3]),
        map,
        ("m.weight.nested_absmax", "F32", vec![2], floats(2)),
        ("m.weight.nested_quant_map", "F32", vec![256], floats(256)),
        state(r#","nested_blocksize":2,"nested_offset":0.5"#),
    ];
    let bytes = [
        ("m.weight", "I8", vec![2, 3], vec![1, 2, 3, 4, 5, 6]),
        ("m.SCB", "F32", vec![2], floats(2)),
        ("m.weight_format", "U8", vec![], vec![0]),
    ];
    let chatglm = [
        ("m.weight", "I8", vec![2, 3], vec![1, 2, 3, 4, 5, 6]),
        ("m.weight_scale", "F32", vec![2], floats(2)),
    ];
    vec![file(&plain), file(&nested), file(&bytes), file(&chatglm)]
}

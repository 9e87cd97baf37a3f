//! Checkpoints of bitsandbytes: read, and refused where their parts do not fit.

use engine::nn::Quantization;
use engine::nn::packed::{Code, Outputs};
use engine::weights::Checkpoint;
use protocol::UserError;

use super::safetensors;

/// Tensors of a file: name, dtype, shape, bytes.
type Part<'a> = (&'a str, &'a str, Vec<usize>, Vec<u8>);

fn open(parts: &[Part<'_>]) -> Result<(tempfile::TempDir, Checkpoint), UserError> {
    let mut data = Vec::new();
    let mut header = serde_json::Map::new();
    for (name, dtype, shape, bytes) in parts {
        let start = data.len();
        data.extend(bytes);
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        header.insert((*name).into(), entry);
    }
    let folder = tempfile::tempdir().unwrap();
    let header = serde_json::Value::Object(header).to_string();
    std::fs::write(folder.path().join("model.safetensors"), safetensors(&header, &data)).unwrap();
    Checkpoint::open(folder.path()).map(|checkpoint| (folder, checkpoint))
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

const STATE: &str = r#"{"quant_type": "nf4", "blocksize": 4, "dtype": "float32", "shape": [2, 5], "nested_blocksize": 2, "nested_offset": 0.5}"#;

/// Ten elements in three blocks with 8-bit scales.
fn four_bits(state: &str) -> Vec<Part<'static>> {
    let table: Vec<f32> = (0..16).map(|code| code as f32).collect();
    let nested: Vec<f32> = (0..256).map(|code| code as f32).collect();
    vec![
        ("m.weight", "U8", vec![5, 1], vec![0x01, 0x23, 0x45, 0x67, 0x89]),
        ("m.weight.absmax", "U8", vec![3], vec![1, 2, 3]),
        ("m.weight.quant_map", "F32", vec![16], f32s(&table)),
        ("m.weight.nested_absmax", "F32", vec![2], f32s(&[1.0, 10.0])),
        ("m.weight.nested_quant_map", "F32", vec![256], f32s(&nested)),
        ("m.weight.quant_state.bitsandbytes__nf4", "U8", vec![state.len()], state.as_bytes().to_vec()),
    ]
}

#[test]
fn four_bits_with_eight_bit_scales_are_read() {
    let (_folder, checkpoint) = open(&four_bits(STATE)).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["m.weight"]);
    let info = checkpoint.info("m.weight").unwrap();
    assert_eq!((info.shape, info.stored_as), (&[2, 5][..], "nf4"));
    let scales = [1.5f32, 2.5, 30.5];
    let want: Vec<f32> = (0..10).map(|i| i as f32 * scales[i / 4]).collect();
    assert_eq!(checkpoint.read_f32("m.weight").unwrap(), want);
    // Asked for in 4 bits they are the file's own codes; in 8 bits they are found anew.
    for kind in [Quantization::Nf4, Quantization::Nf4Double] {
        let kept = checkpoint.quantised("m.weight", kind, Outputs::Rows).unwrap();
        assert!(matches!(kept.code, Code::Nibbles { block: 4, .. }));
        assert_eq!(kept.dense(), want);
    }
    let anew = checkpoint.quantised("m.weight", Quantization::Int8, Outputs::Rows).unwrap();
    assert_eq!(anew.code, Code::Bytes(Outputs::Rows));
}

#[test]
fn whole_bytes_are_read_by_their_largest_magnitudes() {
    let parts = |format: u8| {
        vec![
            ("m.weight", "I8", vec![2, 2], vec![127, 0x81, 64, 0]),
            ("m.SCB", "F32", vec![2], f32s(&[2.0, 12.7])),
            ("m.weight_format", "U8", vec![], vec![format]),
        ]
    };
    let (_folder, checkpoint) = open(&parts(0)).unwrap();
    let read = checkpoint.read_f32("m.weight").unwrap();
    let far =
        read.iter().zip([2.0, -2.0, 6.4, 0.0]).map(|(a, b): (&f32, f32)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-5, "{read:?}");
    let kept = checkpoint.quantised("m.weight", Quantization::Int8, Outputs::Rows).unwrap();
    assert_eq!((kept.codes.clone(), kept.dense()), (vec![127, 0x81, 64, 0], read));
    assert!(open(&parts(1)).is_err_and(|err| err.to_string().contains("do not fit")));
}

#[test]
fn states_and_parts_that_lie_are_refused() {
    let state = |from: &str, to: &str| four_bits(Box::leak(STATE.replace(from, to).into_boxed_str()));
    let mut cases = vec![
        ("another type", state("nf4", "nf5")),
        ("no blocks", state("\"blocksize\": 4", "\"blocksize\": 0")),
        ("odd blocks", state("\"blocksize\": 4", "\"blocksize\": 3")),
        ("endless blocks", state("\"blocksize\": 4", "\"blocksize\": 18446744073709551614")),
        ("other blocks", state("\"blocksize\": 4", "\"blocksize\": 8")),
        ("an endless shape", state("[2, 5]", "[18446744073709551615, 18446744073709551615]")),
        ("an empty shape", state("[2, 5]", "[0, 5]")),
        ("a larger shape", state("[2, 5]", "[2, 50]")),
        ("a vector", state("[2, 5]", "[10]")),
        ("another dtype", state("float32", "int64")),
        ("no offset", state(", \"nested_offset\": 0.5", "")),
        ("an endless offset", state("0.5", "1e400")),
        ("no nested blocks", state("\"nested_blocksize\": 2", "\"nested_blocksize\": 0")),
        ("other nested blocks", state("\"nested_blocksize\": 2", "\"nested_blocksize\": 1")),
        ("no text", state("{", "")),
    ];
    for (at, shape, bytes) in [
        (1, vec![2], vec![1, 2]),
        (2, vec![15], vec![0; 60]),
        (3, vec![1], vec![0; 4]),
        (4, vec![255], vec![0; 1020]),
    ] {
        let mut parts = four_bits(STATE);
        (parts[at].2, parts[at].3) = (shape, bytes);
        cases.push(("a part of another length", parts));
    }
    for missing in 0..5 {
        let mut parts = four_bits(STATE);
        parts.remove(missing);
        cases.push(("a missing part", parts));
    }
    for (what, parts) in cases {
        let Err(error) = open(&parts) else { panic!("{what} was read") };
        assert_eq!(error.exit_code(), 2, "{what}: {error}");
    }
    let alone = [("m.SCB", "F32", vec![1], f32s(&[1.0]))];
    assert!(open(&alone).is_err_and(|err| err.to_string().contains("without m.weight")));
}

#[test]
fn numbers_that_are_not_finite_have_no_codes() {
    let parts = [("m.weight", "F32", vec![1, 4], f32s(&[1.0, f32::NAN, 2.0, 3.0]))];
    let (_folder, checkpoint) = open(&parts).unwrap();
    for kind in Quantization::ALL {
        let refused = checkpoint.quantised("m.weight", kind, Outputs::Rows).unwrap_err();
        assert!(refused.to_string().contains("not finite"), "{refused}");
    }
}

//! Matrices in few bits against bitsandbytes: codes, scales, and what they stand for, bit for bit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{DType, Device};
use engine::models::{Model, ModelFolder};
use engine::nn::ops::SIGNED_CODE;
use engine::nn::packed::{Nested, Outputs, Scales, nested, nf4};
use engine::nn::{Packed, Quantised, Quantization, Value};
use engine::weights::{Checkpoint, FileDtype, encode_f32, open_file};
use serde_json::Value as Json;

use super::{chosen, distance, floats, integers, json, load, load_quantised, slack, values};
use crate::common;

const CASES: [(&str, Quantization); 2] =
    [("method-qlora-nf4", Quantization::Nf4), ("method-qlora-nf4-dq", Quantization::Nf4Double)];

fn cases() -> Vec<(PathBuf, Quantization)> {
    let found: Vec<_> =
        CASES.iter().filter_map(|(case, kind)| common::golden(case).map(|dir| (dir, *kind))).collect();
    common::skipped(CASES.len() - found.len(), "golden cases of quantisation");
    assert!(!found.is_empty());
    found
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn is_there(file: &Checkpoint, name: &str) -> bool {
    file.contains(name)
}

#[test]
fn codes_and_scales_are_those_of_bitsandbytes() {
    for (dir, kind) in cases() {
        let file = open_file(&dir.join("tensors.safetensors")).unwrap();
        for (name, about) in json(&dir.join("tensors.json"))["tensors"].as_object().unwrap() {
            has_its_codes(&file, name, about["blocksize"].as_u64().unwrap() as usize);
            if about["blocksize"] == 64 {
                stands_for_the_same(&file, name, about, kind);
            }
        }
    }
}

fn has_its_codes(file: &Checkpoint, name: &str, block: usize) {
    let original = file.read_f32(&format!("{name}/original")).unwrap();
    let (codes, scales) = nf4(&original, block);
    assert_eq!(codes, file.bytes(&format!("{name}/packed")).unwrap().as_ref(), "{name}");
    let absmax = file.read_f32(&format!("{name}/absmax")).unwrap();
    if !is_there(file, &format!("{name}/nested_absmax")) {
        assert_eq!(bits(&scales), bits(&absmax), "{name}");
        return;
    }
    let got = nested(&scales);
    let read = |part: &str| file.read_f32(&format!("{name}/{part}")).unwrap();
    assert_eq!(bits(&SIGNED_CODE.values), bits(&read("nested_code")), "{name}");
    assert_eq!(bits(&[got.offset]), bits(&read("offset")), "{name}");
    assert_eq!(bits(&got.scales), bits(&read("nested_absmax")), "{name}");
    let want = file.bytes(&format!("{name}/absmax_quantised")).unwrap();
    for (block, (code, want)) in got.codes.iter().zip(want.iter()).enumerate() {
        assert!(
            code == want || is_nearly_between(&got, scales[block], block, *want),
            "{name}, scale {block}"
        );
    }
}

/// bitsandbytes looks 8-bit codes up on the CPU by the first 16 bits of a number between -1 and 1: nearer than that to
/// the middle of two values it takes either. Its GPU kernels take the nearest, and so do we.
fn is_nearly_between(got: &Nested, scale: f32, block: usize, want: u8) -> bool {
    let scaled = (scale - got.offset) / got.scales[block / got.block];
    let (code, want) = (usize::from(got.codes[block]), usize::from(want));
    let middle = (got.table[code] + got.table[want]) / 2.0;
    code.abs_diff(want) == 1 && (scaled - middle).abs() <= 1.0 / 65536.0
}

fn stands_for_the_same(file: &Checkpoint, name: &str, about: &Json, kind: Quantization) {
    let original = file.read_f32(&format!("{name}/original")).unwrap();
    let shape = [0, 1].map(|axis| about["shape"][axis].as_u64().unwrap() as usize);
    let mut host = Quantised::new(&original, shape, kind, Outputs::Rows);
    if let Scales::Nested(nested) = &mut host.scales {
        nested.codes = file.bytes(&format!("{name}/absmax_quantised")).unwrap().into_owned();
    }
    let dense = host.dense();
    let device = chosen().device;
    let on_device = values(&Value::Matrix(Packed::new(host, &device).dense(burn::tensor::FloatDType::F32)));
    assert_eq!(bits(&on_device), bits(&dense), "{name}");
    let want = format!("{name}/dequantised");
    if is_misread(shape, 64) {
        return;
    }
    if file.info(&want).unwrap().dtype == FileDtype::BF16 {
        let mut rounded = vec![0; dense.len() * 2];
        encode_f32(&dense, &mut rounded, FileDtype::BF16).unwrap();
        assert_eq!(rounded, file.bytes(&want).unwrap().as_ref(), "{name}");
    } else {
        assert_eq!(bits(&dense), bits(&file.read_f32(&want).unwrap()), "{name}");
    }
}

/// What bitsandbytes' CPU kernel makes of a matrix whose rows are 16 elements wide or a multiple of that, but no whole
/// blocks: row `r` begins at scale `r · (columns / block)`, which is no scale of its own. The golden models were made
/// with it. Its other kernels, and what is quantised here, count blocks through the whole matrix.
pub fn is_misread([_, columns]: [usize; 2], block: usize) -> bool {
    columns % 16 == 0 && columns % block != 0
}

/// The golden models' matrices: where rows are narrower than a block, all have the scale of the first.
pub fn misread(model: &mut Model, dir: &Path, kind: Quantization) {
    let folder = ModelFolder::open(dir, &serde_json::Map::new()).unwrap().quantised(Some(kind));
    let ids: Vec<_> = folder.model().packed().map(|(id, _)| id).collect();
    for id in ids {
        let mut host = folder.packed(id).unwrap().unwrap();
        if is_misread(host.shape, 64) {
            assert!(host.shape[1] < 64);
            match &mut host.scales {
                Scales::Plain(scales) => {
                    let first = scales[0];
                    scales.fill(first);
                }
                Scales::Nested(nested) => {
                    let first = nested.codes[0];
                    nested.codes.fill(first);
                }
            }
        }
        model.params.get_mut(id).value = Value::Packed(Arc::new(Packed::new(host, &model.device)));
    }
}

fn logits(base: &Path, model: &Model) -> Vec<f32> {
    let expected = base.join("expected.safetensors");
    let ids: Vec<u32> = integers(&expected, "input_ids").into_iter().map(|id| id as u32).collect();
    let mask = integers(&expected, "attention_mask");
    let all = values(&Value::Vector(model.logits(&ids, 2, None).unwrap().flatten(0, 2)));
    let rows = all.chunks(model.info.vocabulary).zip(mask);
    rows.flat_map(|(row, seen)| row.iter().map(move |logit| if seen == 1 { *logit } else { 0.0 })).collect()
}

/// Equal. With 8-bit scales up to the last digit of their mean, which depends on the order it is summed in; and a few
/// blocks may have the next scale, where theirs lies between two (see [`is_nearly_between`]).
fn same_but_for_scales(kind: Quantization, saved: &[f32], here: &[f32], name: &str) {
    if kind != Quantization::Nf4Double {
        return assert_eq!(bits(saved), bits(here), "{name}");
    }
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * a.abs();
    let blocks = saved.chunks(64).zip(here.chunks(64));
    let differing = blocks.filter(|(a, b)| !a.iter().zip(*b).all(near)).count();
    assert!(differing <= saved.len() / 64 / 10, "{name}: {differing} of {} blocks differ", saved.len() / 64);
}

/// The folder that bitsandbytes saved: dense, in its own codes, and the same model quantised here.
#[test]
fn a_saved_model_is_the_one_that_is_quantised_here() {
    for (dir, kind) in cases() {
        let (saved, device) = (dir.join("quantised_model"), chosen().device);
        let base = common::golden("llama-gqa-llama3").unwrap();
        let dense = load(&saved, &device);
        let packed = load_quantised(&saved, &device, DType::F32, Some(kind));
        let mut here = load_quantised(&base.join("model"), &device, DType::F32, Some(kind));
        for (id, param) in dense.params.iter() {
            let [a, b, c] = [&param.value, &packed.params.get(id).value, &here.params.get(id).value];
            assert_eq!(bits(&values(a)), bits(&values(b)), "{}", param.name);
            same_but_for_scales(kind, &values(b), &values(c), &param.name);
            let is_linear = param.name.contains("_proj.");
            assert_eq!(matches!(b, Value::Packed(_)), is_linear, "{}", param.name);
        }
        let opened = ModelFolder::open(&saved, &serde_json::Map::new()).unwrap();
        let info = opened.checkpoint.as_ref().unwrap().info("model.layers.0.mlp.up_proj.weight").unwrap();
        assert_eq!((info.stored_as, info.shape), ("nf4", &[136, 48][..]));
        let off = distance(&logits(&base, &dense), &logits(&base, &packed));
        assert!(off < 1e-5 * slack(&chosen()), "dense and packed differ by {off}");
        misread(&mut here, &saved, kind);
        let want = floats(&dir.join("dequantised.safetensors"), "logits_dequantised_base");
        let off = distance(&logits(&base, &here), &want);
        println!("{}: logits differ by {off:.2e}", dir.display());
        assert!(off < 2e-4 * slack(&chosen()), "{off}");
    }
}

#[test]
fn eight_bits_stay_within_half_a_step() {
    let base = common::golden("llama-gqa-llama3").unwrap().join("model");
    let (plain, packed) = (
        load(&base, &Device::flex()),
        load_quantised(&base, &chosen().device, DType::F32, Some(Quantization::Int8)),
    );
    for site in plain.block_linears() {
        let dense = values(&plain.params.get(site.weight).value);
        let got = values(&packed.params.get(site.weight).value);
        for (row, got) in dense.chunks(site.inputs).zip(got.chunks(site.inputs)) {
            let step = row.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
            assert!(distance(row, got) <= f64::from(step) * 0.5001, "{}", site.path);
        }
    }
}

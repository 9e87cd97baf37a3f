//! Whether a model that is only to be asked, scored or compared has room on the device: said before it is loaded.

use std::collections::BTreeSet;

use burn::tensor::DType;
use protocol::{DeviceKind, Remedy, Result, Text, UserError, text};

use crate::device::{self, Chosen};
use crate::memory::size;
use crate::models::ModelFolder;
use crate::nn::{ParamId, Quantization};
use crate::plan::dtype_name;
use crate::weights::FileDtype;

/// For `copies` of a model at once.
///
/// # Errors
/// When the weights as `dtype` need more memory than is free.
pub fn require_room(folder: &ModelFolder, dtype: DType, chosen: &Chosen, copies: u64) -> Result<()> {
    let each = needed(folder, dtype, folder.model().quantization, chosen);
    let (needed, free) = (each.saturating_mul(copies), device::memory_free(chosen));
    if needed <= free {
        return Ok(());
    }
    let (need, have, name) = (size(needed), size(free), dtype_name(dtype));
    let error = UserError::bad_input(text!(
        "This model needs {need} of memory in {name}, and {have} are free",
        "该模型以 {name} 加载需要 {need} 内存，而可用的只有 {have}"
    ))
    .in_file(&folder.dir);
    let free = free / copies.max(1);
    Err(match (smaller(folder, dtype, chosen, free), in_nf4(folder, dtype, chosen, free)) {
        (None, Some(bytes)) => {
            let bytes = size(bytes);
            error
                .mend(text!(
                    "load it in 4 bits, which takes {bytes}: model.quantization = \"nf4\"",
                    "以 4 位加载只需 {bytes}：model.quantization = \"nf4\""
                ))
                .remedy(Remedy {
                    label: text!("Load it in 4 bits ({bytes})", "以 4 位加载（{bytes}）"),
                    changes: vec![("model.quantization".into(), "nf4".into())],
                })
        }
        (Some(bytes), _) => {
            let bytes = size(bytes);
            error
                .mend(text!(
                    "load it in bf16, which takes {bytes}: model.dtype = \"bf16\"",
                    "以 bf16 加载只需 {bytes}：model.dtype = \"bf16\""
                ))
                .remedy(Remedy {
                    label: text!("Load it in bf16 ({bytes})", "以 bf16 加载（{bytes}）"),
                    changes: vec![("model.dtype".into(), "bf16".into())],
                })
        }
        (None, None) => error.mend(Text::fixed(
            "free memory, use a device with more of it, or choose a smaller model",
            "请释放内存、换用内存更大的设备，或选择更小的模型",
        )),
    })
}

/// How many of the first blocks must leave their matrices with the checkpoint, so that the rest has room: none, or all.
///
/// # Errors
/// When that is not enough either.
pub fn blocks_elsewhere(folder: &ModelFolder, dtype: DType, chosen: &Chosen) -> Result<usize> {
    let refused = require_room(folder, dtype, chosen, 1).err();
    match refused {
        None => Ok(0),
        Some(error) => {
            let streams = folder.model().quantization.is_none();
            let fits = streams && needed_streaming(folder, dtype, chosen) <= device::memory_free(chosen);
            if fits { Ok(folder.info.num_layers) } else { Err(error) }
        }
    }
}

/// Bytes of what is in no block, and of the block at work and the one that is read meanwhile.
fn needed_streaming(folder: &ModelFolder, dtype: DType, chosen: &Chosen) -> u64 {
    let model = folder.model();
    let blocks: BTreeSet<(ParamId, usize)> = model.streamable().collect();
    let elsewhere: BTreeSet<ParamId> = blocks.iter().map(|(id, _)| *id).collect();
    let mut largest = vec![0u64; folder.info.num_layers];
    for (id, block) in &blocks {
        let bytes = (model.params.get(*id).elements() as u64).saturating_mul(size_of_element(dtype));
        largest[*block] = largest[*block].saturating_add(bytes);
    }
    let stays = needed_of(folder, dtype, chosen, |id| !elsewhere.contains(&id));
    largest.into_iter().max().unwrap_or(0).saturating_mul(2).saturating_add(stays)
}

/// Bytes of bf16 weights, where they would fit and are not what was asked for.
fn smaller(folder: &ModelFolder, dtype: DType, chosen: &Chosen, free: u64) -> Option<u64> {
    let offered = dtype != DType::BF16 && device::compute_dtype("bf16", chosen).is_ok();
    let bytes = || needed(folder, DType::BF16, folder.model().quantization, chosen);
    offered.then(bytes).filter(|bytes| *bytes <= free)
}

/// Bytes of the weights with the blocks' matrices in NF4, where they would fit and are not quantised already.
fn in_nf4(folder: &ModelFolder, dtype: DType, chosen: &Chosen, free: u64) -> Option<u64> {
    let bytes = || needed(folder, dtype, Some(Quantization::Nf4), chosen);
    folder.model().quantization.is_none().then(bytes).filter(|bytes| *bytes <= free)
}

/// Bytes that the weights take beside the mapped files, with the blocks' matrices in few bits where they are so.
fn needed(folder: &ModelFolder, dtype: DType, quantization: Option<Quantization>, chosen: &Chosen) -> u64 {
    let Some(quantization) = quantization else { return needed_of(folder, dtype, chosen, |_| true) };
    let params = &folder.model().params;
    let (mut packed, mut bytes, mut largest) = (BTreeSet::new(), 0u64, 0u64);
    for site in folder.model().block_linears() {
        let elements = params.get(site.weight).elements() as u64;
        bytes = bytes.saturating_add(quantization.bytes(elements, site.outputs as u64));
        largest = largest.max(elements);
        packed.insert(site.weight);
    }
    // One matrix at a time is dense.
    bytes = bytes.saturating_add(largest.saturating_mul(size_of_element(dtype)));
    bytes.saturating_add(needed_of(folder, dtype, chosen, |id| !packed.contains(&id)))
}

/// Bytes that the `chosen` weights take beside the mapped files. The CPU computes on the mapped pages themselves where a
/// file holds the dtype already: the system can take those back.
fn needed_of(folder: &ModelFolder, dtype: DType, device: &Chosen, chosen: impl Fn(ParamId) -> bool) -> u64 {
    let as_stored = match dtype {
        DType::F32 => FileDtype::F32,
        DType::F16 => FileDtype::F16,
        _ => FileDtype::BF16,
    };
    let on_cpu = device.report.kind == DeviceKind::Cpu;
    let stored = |name: &str| {
        let checkpoint = folder.checkpoint.as_ref()?;
        checkpoint.info(&folder.file_name(name)?).map(|info| info.dtype)
    };
    let params = folder.model().params.iter().filter(|(id, _)| chosen(*id));
    let copied = params.filter(|(_, param)| !(on_cpu && stored(&param.name) == Some(as_stored)));
    let bytes = copied.map(|(_, param)| (param.elements() as u64).saturating_mul(size_of_element(dtype)));
    bytes.fold(0, u64::saturating_add)
}

fn size_of_element(dtype: DType) -> u64 {
    if dtype == DType::F32 { 4 } else { 2 }
}

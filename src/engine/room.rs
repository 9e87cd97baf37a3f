//! Whether a model that is only to be asked, scored or compared has room on the device: said before it is loaded.

use std::collections::HashSet;

use burn::tensor::DType;
use protocol::{DeviceKind, Remedy, Result, Text, UserError, text};

use crate::device::{self, Chosen};
use crate::memory::size;
use crate::models::ModelFolder;
use crate::nn::Quantization;
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

/// Bytes that the weights take beside the mapped files. The CPU computes on the mapped pages themselves where a
/// file holds the dtype already: the system can take those back.
fn needed(folder: &ModelFolder, dtype: DType, quantization: Option<Quantization>, chosen: &Chosen) -> u64 {
    let (element, as_stored) = match dtype {
        DType::F32 => (4, FileDtype::F32),
        DType::F16 => (2, FileDtype::F16),
        _ => (2, FileDtype::BF16),
    };
    let on_cpu = chosen.report.kind == DeviceKind::Cpu;
    let stored = |name: &str| {
        let checkpoint = folder.checkpoint.as_ref()?;
        checkpoint.info(&folder.file_name(name)?).map(|info| info.dtype)
    };
    let params = &folder.model().params;
    let (mut packed, mut bytes, mut largest) = (HashSet::new(), 0u64, 0u64);
    if let Some(quantization) = quantization {
        for site in folder.model().block_linears() {
            let elements = params.get(site.weight).elements() as u64;
            bytes = bytes.saturating_add(quantization.bytes(elements, site.outputs as u64));
            largest = largest.max(elements);
            packed.insert(site.weight);
        }
    }
    // One matrix at a time is dense.
    bytes = bytes.saturating_add(largest.saturating_mul(element));
    let dense = params.iter().filter(|(id, _)| !packed.contains(id));
    let copied = dense.filter(|(_, param)| !(on_cpu && stored(&param.name) == Some(as_stored)));
    copied
        .map(|(_, param)| (param.elements() as u64).saturating_mul(element))
        .fold(bytes, u64::saturating_add)
}

//! Which device computes: chosen once, said once, never silently another.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
mod cuda;
pub mod fault;
#[cfg(target_os = "linux")]
pub mod links;
pub mod memory;
mod meter;
mod peak;
mod start;
pub mod toolkit;

use burn::tensor::{DType, Device, FloatDType};
use protocol::{DeviceKind, DeviceReport, Result, Text, UserError, text};

pub use memory::{memory_free, memory_in_use, resident_bytes};
pub use meter::Meter;
pub use peak::PeakMeter;
pub use start::prepare;

/// A device that was tried.
#[derive(Clone)]
pub struct Chosen {
    pub device: Device,
    pub report: DeviceReport,
}

/// Why a GPU cannot be used.
struct Unusable {
    what: Text,
    mend: Text,
}

impl Unusable {
    fn new(what: Text, mend: Text) -> Self {
        Self { what, mend }
    }
}

/// `auto`, `cpu`, or `cuda:N`.
///
/// # Errors
/// When the word is none of these, or a GPU was asked for by name and cannot be used.
pub fn choose(wish: &str) -> Result<Chosen> {
    match wish {
        "cpu" => Ok(cpu::choose(None)),
        "auto" | "" => Ok(cuda::probe(0).unwrap_or_else(|reason| cpu::choose(Some(fallback_note(&reason))))),
        _ => {
            let index = gpu_index(wish).ok_or_else(|| {
                UserError::bad_input(text!("There is no device `{wish}`", "没有名为 `{wish}` 的设备"))
                    .at_item("--device")
                    .mend(Text::fixed("use auto, cpu or cuda:0", "请使用 auto、cpu 或 cuda:0"))
            })?;
            cuda::probe(index).map_err(|Unusable { what, mend }| {
                let (en, zh) = (mend.en, mend.zh);
                UserError::bad_input(what)
                    .at_item("--device")
                    .mend(text!("{en}; or use `--device cpu`", "{zh}；或使用 `--device cpu`"))
            })
        }
    }
}

/// `cuda` and `cuda:N`.
fn gpu_index(wish: &str) -> Option<u32> {
    match wish.strip_prefix("cuda")? {
        "" => Some(0),
        rest => rest.strip_prefix(':')?.parse().ok(),
    }
}

/// One line: why not the GPU, and the one thing that mends it.
fn fallback_note(reason: &Unusable) -> Text {
    let Unusable { what, mend } = reason;
    Text::new(
        format!("{}; computing on the CPU (to use the GPU: {})", what.en, mend.en),
        format!("{}；将使用 CPU 计算（若要使用显卡：{}）", what.zh, mend.zh),
    )
}

/// Whether attention, with everything that its scores may have but a bias that learns, norms and activations are single
/// kernels that hold nothing in between (`nn::ops::route`): f32 on the CPU.
pub fn fuses(chosen: &Chosen, dtype: DType) -> bool {
    chosen.report.kind == DeviceKind::Cpu && dtype == DType::F32
}

/// bf16 on a GPU that has it, f32 otherwise, where `auto` is asked for: Flex converts bf16 at every product.
///
/// # Errors
/// When the word is not `auto`, `f32`, `bf16` or `f16`, or the GPU lacks what was asked for.
pub fn compute_dtype(wish: &str, chosen: &Chosen) -> Result<DType> {
    let bf16 = || chosen.device.supports_dtype(FloatDType::BF16);
    let f16 = || chosen.device.supports_dtype(FloatDType::F16);
    match (wish, chosen.report.kind) {
        ("auto" | "", DeviceKind::Cuda) if bf16() => Ok(DType::BF16),
        ("auto" | "" | "f32" | "float32", _) => Ok(DType::F32),
        ("bf16" | "bfloat16", _) if bf16() => Ok(DType::BF16),
        ("f16" | "float16", _) if f16() => Ok(DType::F16),
        ("bf16" | "bfloat16" | "f16" | "float16", _) => Err(UserError::bad_input(text!(
            "This device does not compute in {wish}",
            "该设备不支持 {wish} 计算"
        ))
        .at_item("model.dtype")
        .mend(Text::fixed("use auto or f32", "请使用 auto 或 f32"))),
        _ => Err(UserError::bad_input(text!(
            "`{wish}` is no dtype to compute in",
            "`{wish}` 不是可用的计算精度"
        ))
        .at_item("model.dtype")
        .mend(Text::fixed("use auto, f32, bf16 or f16", "请使用 auto、f32、bf16 或 f16"))),
    }
}

//! Which device computes: chosen once, said once, never silently another.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
mod cuda;
pub mod fault;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(target_os = "linux")]
pub mod links;
pub mod memory;
mod meter;
mod peak;
mod several;
mod start;
pub mod toolkit;
#[cfg(feature = "wgpu")]
mod wgpu;

use burn::tensor::{DType, Device, FloatDType};
use protocol::{DeviceKind, DeviceReport, Result, Text, UserError, text};

use crate::nn::ops::own;

pub use memory::{
    host_memory_free, memory_free, memory_free_each, memory_in_use, memory_in_use_at_most, resident_bytes,
};
pub use meter::Meter;
pub use peak::PeakMeter;
pub use several::{choose, for_run, on_offer};
pub use start::prepare;

/// A device that was tried.
#[derive(Clone)]
pub struct Chosen {
    pub device: Device,
    pub report: DeviceReport,
    /// Further devices that share a run with it; these have no others.
    pub others: Vec<Self>,
    /// The user named it, rather than leaving the choice to the program.
    pub by_name: bool,
}

impl Chosen {
    fn new(device: Device, report: DeviceReport) -> Self {
        Self { device, report, others: Vec::new(), by_name: false }
    }

    /// It and the others.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// For people: its name, and where there are others, the words for all of them.
    pub fn told(&self) -> String {
        let words: Vec<String> = self.all().map(|one| one.report.word()).collect();
        match words.as_slice() {
            [_] => self.report.name.clone(),
            _ => format!("{} ({})", self.report.name, words.join(", ")),
        }
    }

    /// Whether they hand each other numbers without the host.
    pub fn has_transport(&self) -> bool {
        self.all().all(|one| one.report.kind == DeviceKind::Cuda && cuda::has_transport(one.report.index))
    }

    /// Whether all of them have one memory.
    pub fn shares_memory(&self) -> bool {
        self.report.kind == DeviceKind::Cpu
    }
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

/// One device: `auto`, `cpu`, `cpu:N` or `cuda:N`.
fn choose_one(wish: &str) -> Result<Chosen> {
    if let Some(index) = cpu::index(wish) {
        return Ok(Chosen { by_name: true, ..cpu::choose(index, None) });
    }
    #[cfg(feature = "wgpu")]
    if let Some(index) = wgpu::index(wish) {
        return by_name(wgpu::probe(index));
    }
    match wish {
        "auto" | "" => {
            Ok(cuda::probe(0).unwrap_or_else(|reason| cpu::choose(0, Some(fallback_note(&reason)))))
        }
        _ => {
            let index = numbered(wish, "cuda").ok_or_else(|| {
                let last = cpu::MOST - 1;
                UserError::bad_input(text!("There is no device `{wish}`", "没有名为 `{wish}` 的设备"))
                    .at_item("--device")
                    .mend(text!(
                        "use auto, cpu or cuda:0; workers that share the CPU are cpu:0 to cpu:{last}",
                        "请使用 auto、cpu 或 cuda:0；共享 CPU 的工作单元为 cpu:0 至 cpu:{last}"
                    ))
            })?;
            by_name(cuda::probe(index))
        }
    }
}

fn by_name(tried: std::result::Result<Chosen, Unusable>) -> Result<Chosen> {
    let named = |chosen| Chosen { by_name: true, ..chosen };
    tried.map(named).map_err(|Unusable { what, mend }| {
        let (en, zh) = (mend.en, mend.zh);
        UserError::bad_input(what)
            .at_item("--device")
            .mend(text!("{en}; or use `--device cpu`", "{zh}；或使用 `--device cpu`"))
    })
}

/// The number of `KIND` (the first) or `KIND:N`; None where it is neither.
fn numbered(wish: &str, kind: &str) -> Option<u32> {
    match wish.strip_prefix(kind)? {
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
/// kernels that hold nothing in between (`nn::ops::route`): on the CPU.
pub fn fuses(chosen: &Chosen, dtype: DType) -> bool {
    chosen.report.kind == DeviceKind::Cpu && (dtype == DType::F32 || !own::off())
}

/// bf16 on a GPU that has it, f32 otherwise, where `auto` is asked for: not every CPU multiplies bf16 itself.
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

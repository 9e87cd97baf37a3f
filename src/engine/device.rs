//! Which device computes: chosen once, said once, never silently another.

use burn::tensor::{DType, Device};
use protocol::{DeviceKind, DeviceReport, Result, Text, UserError, text};
use sysinfo::System;

/// A device that was tried.
#[derive(Clone)]
pub struct Chosen {
    pub device: Device,
    pub report: DeviceReport,
}

/// `auto`, `cpu`, or `cuda:N`.
///
/// # Errors
/// When the word is none of these, or a GPU was asked for by name and cannot be used.
pub fn choose(wish: &str) -> Result<Chosen> {
    match wish {
        "cpu" => Ok(cpu(None)),
        "auto" | "" => Ok(match cuda::probe(0) {
            Ok(chosen) => chosen,
            Err(reason) => cpu(Some(reason)),
        }),
        _ => {
            let index = wish.strip_prefix("cuda:").or(wish.strip_prefix("cuda").filter(|rest| rest.is_empty()).map(|_| "0"));
            match index.and_then(|index| index.parse().ok()) {
                Some(index) => cuda::probe(index).map_err(|reason| {
                    UserError::bad_input(reason).at_item("--device").mend(Text::fixed(
                        "use `--device cpu`, or mend the CUDA installation",
                        "请使用 `--device cpu`，或修复 CUDA 安装",
                    ))
                }),
                None => Err(UserError::bad_input(text!("There is no device `{wish}`", "没有名为 `{wish}` 的设备"))
                    .mend(Text::fixed("use auto, cpu or cuda:0", "请使用 auto、cpu 或 cuda:0"))),
            }
        }
    }
}

fn cpu(note: Option<Text>) -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = DeviceReport {
        kind: DeviceKind::Cpu,
        index: 0,
        name: format!("CPU, {threads} threads"),
        memory_bytes: system_memory().map_or(0, |system| system.total_memory()),
        note,
    };
    Chosen { device: Device::flex(), report }
}

/// bf16 on CUDA, f32 on the CPU, where `auto` is asked for: Flex converts bf16 at every product.
///
/// # Errors
/// When the word is not `auto`, `f32` or `bf16`.
pub fn compute_dtype(wish: &str, kind: DeviceKind) -> Result<DType> {
    match (wish, kind) {
        ("auto" | "", DeviceKind::Cuda) | ("bf16" | "bfloat16", _) => Ok(DType::BF16),
        ("auto" | "", DeviceKind::Cpu) | ("f32" | "float32", _) => Ok(DType::F32),
        _ => Err(UserError::bad_input(text!("`{wish}` is no dtype to compute in", "`{wish}` 不是可用的计算精度"))
            .at_item("model.dtype")
            .mend(Text::fixed("use auto, f32 or bf16", "请使用 auto、f32 或 bf16"))),
    }
}

/// Memory in use: of the device's pools on CUDA, of this process on the CPU.
pub fn memory_in_use(chosen: &Chosen) -> u64 {
    match chosen.report.kind {
        DeviceKind::Cuda => chosen.device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved),
        DeviceKind::Cpu => resident_bytes(),
    }
}

/// Memory that a new run may take.
pub fn memory_free(chosen: &Chosen) -> u64 {
    match chosen.report.kind {
        DeviceKind::Cuda => chosen.report.memory_bytes,
        DeviceKind::Cpu => {
            let Some(system) = system_memory() else { return u64::MAX };
            system.available_memory().min(system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory))
        }
    }
}

/// The machine's memory, where the system tells.
fn system_memory() -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    Some(system)
}

/// Resident memory of this process; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let (Ok(pid), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else { return 0 };
    system.refresh_processes_specifics(
        sysinfo::ProcessesToUpdate::Some(&[pid]),
        true,
        sysinfo::ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

#[cfg(feature = "cuda")]
mod cuda {
    use burn::tensor::{Device, DeviceType, Tensor};
    use protocol::{DeviceKind, DeviceReport, Text, text};

    use super::Chosen;

    /// Looks for the driver, the kernel compiler's headers, and runs one kernel.
    pub fn probe(index: u32) -> Result<Chosen, Text> {
        let devices = Device::enumerate(DeviceType::Cuda).into_vec();
        if devices.is_empty() {
            return Err(Text::fixed(
                "No NVIDIA driver or GPU was found: computing on the CPU",
                "没有找到 NVIDIA 驱动或显卡：将使用 CPU 计算",
            ));
        }
        let count = devices.len();
        let Some(device) = devices.into_iter().nth(index as usize) else {
            return Err(text!("There is no GPU {index}: this machine has {count}", "没有 {index} 号显卡：本机共 {count} 块"));
        };
        check_toolkit()?;
        let trial = device.clone();
        let run = move || (Tensor::<1>::ones([8], &trial) * 2.0).try_into_data().is_ok();
        if !std::thread::spawn(run).join().unwrap_or(false) {
            return Err(Text::fixed(
                "An NVIDIA GPU is there, but a first kernel failed to run on it: computing on the CPU",
                "有 NVIDIA 显卡，但首个内核运行失败：将使用 CPU 计算",
            ));
        }
        let (name, memory_bytes) = describe(index);
        let report = DeviceReport { kind: DeviceKind::Cuda, index, name, memory_bytes, note: None };
        Ok(Chosen { device, report })
    }

    fn check_toolkit() -> Result<(), Text> {
        let root = cubecl::cuda::install::cuda_path();
        if root.is_some_and(|root| root.join("include/cuda_fp16.h").exists()) {
            return Ok(());
        }
        Err(Text::fixed(
            "An NVIDIA driver is there, but CUDA's kernel compiler is not: install the CUDA toolkit (12.8 or later) and set CUDA_PATH to it",
            "已有 NVIDIA 驱动，但缺少 CUDA 内核编译器：请安装 CUDA 工具包（12.8 或更新），并将 CUDA_PATH 指向它",
        ))
    }

    /// Name and memory as the driver's management library tells them.
    fn describe(index: u32) -> (String, u64) {
        let read = || -> Result<(String, u64), nvml_wrapper::error::NvmlError> {
            let nvml = nvml_wrapper::Nvml::init()?;
            let device = nvml.device_by_index(index)?;
            Ok((device.name()?, device.memory_info()?.total))
        };
        read().unwrap_or_else(|_| (format!("CUDA GPU {index}"), 0))
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use protocol::Text;

    use super::Chosen;

    pub fn probe(_: u32) -> Result<Chosen, Text> {
        Err(Text::fixed(
            "This build has no CUDA: computing on the CPU",
            "此版本不含 CUDA：将使用 CPU 计算",
        ))
    }
}

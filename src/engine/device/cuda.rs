//! NVIDIA GPUs: Burn's CUDA backend, with kernels compiled by NVRTC.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use burn::tensor::{Device, DeviceType, FloatDType};
use cubecl::cuda::{CudaDevice, install};
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use protocol::{DeviceKind, DeviceReport, DeviceStats, Text, text};

use super::toolkit::{self, Missing, SearchRoots, version_name};
use super::{Chosen, Unusable, gpu, start};

/// GPUs that were tried and can be used: the settings of a run name them again and again.
static TRIED: Mutex<BTreeMap<u32, Chosen>> = Mutex::new(BTreeMap::new());

/// Looks for the driver and for the kernel compiler with its headers, and runs a kernel.
///
/// # Errors
/// Why this GPU cannot be used, and what mends it.
pub fn probe(index: u32) -> Result<Chosen, Unusable> {
    let tried = || TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(chosen) = tried().get(&index) {
        return Ok(gpu::noted(chosen.clone()));
    }
    let chosen = try_first(index)?;
    tried().insert(index, chosen.clone());
    Ok(gpu::noted(chosen))
}

fn try_first(index: u32) -> Result<Chosen, Unusable> {
    gpu::configure();
    // Without a driver this is empty; `Device::cuda` would panic.
    let devices = Device::enumerate(DeviceType::Cuda).into_vec();
    let count = devices.len();
    if count == 0 {
        return Err(Unusable::new(
            Text::fixed("No NVIDIA driver or GPU was found", "没有找到 NVIDIA 驱动或显卡"),
            Text::fixed("install NVIDIA's driver", "请安装 NVIDIA 驱动"),
        ));
    }
    let Some(device) = devices.into_iter().nth(index as usize) else {
        let last = count - 1;
        return Err(Unusable::new(
            text!(
                "There is no GPU {index}: this machine has {count}",
                "没有 {index} 号显卡：本机共 {count} 块"
            ),
            text!("use a number from 0 to {last}", "请使用 0 到 {last} 的编号"),
        ));
    };
    check_toolkit()?;
    run_first_kernel(&device)?;
    let report = report(&device, index);
    Ok(Chosen::new(device, report))
}

/// Every GPU that the driver shows, by name and memory; none is started.
pub fn reports() -> Vec<DeviceReport> {
    gpu::configure();
    let devices = Device::enumerate(DeviceType::Cuda).into_vec();
    let report = |(index, device): (usize, Device)| DeviceReport {
        kind: DeviceKind::Cuda,
        index: index as u32,
        name: gpu::name(&device, index as u32, "CUDA GPU"),
        memory_bytes: managed(&device)
            .and_then(|gpu| gpu.memory_info().ok())
            .map_or(0, |memory| memory.total),
        note: None,
    };
    devices.into_iter().enumerate().map(report).collect()
}

/// Whether GPUs hand each other numbers themselves (NCCL): without it collective operations panic.
pub fn has_transport(index: u32) -> bool {
    cubecl::Device::Cuda(CudaDevice::new(index as usize)).client().has_device_transport()
}

/// cubecl panics in a thread of its own where it finds no headers, so this is asked first.
fn check_toolkit() -> Result<(), Unusable> {
    if install::cuda_path().is_some_and(|root| toolkit::lacking(&root).is_empty()) {
        return Ok(());
    }
    let driver = driver_version();
    match (toolkit::find(&SearchRoots::of_this_machine(driver)), start::failure()) {
        (Err(missing), _) => Err(missing_toolkit(&missing, driver)),
        (Ok(toolkit), failure) => {
            let root = toolkit.root.display();
            let why = failure.unwrap_or("the program was not started through its own main function");
            Err(Unusable::new(
                text!(
                    "The CUDA toolkit in {root} could not be set up: {why}",
                    "无法启用 {root} 中的 CUDA 工具包：{why}"
                ),
                text!(
                    "set CUDA_PATH to {root}, or make the user's cache folder writable",
                    "请将 CUDA_PATH 设为 {root}，或使用户缓存目录可写"
                ),
            ))
        }
    }
}

fn missing_toolkit(missing: &Missing, driver: Option<u32>) -> Unusable {
    let install = toolkit::install_command(driver);
    let mend = text!(
        "run `{install}` in the active Python environment, or install the CUDA toolkit",
        "请在已激活的 Python 环境中运行 `{install}`，或安装 CUDA 工具包"
    );
    match missing {
        Missing::Everything => Unusable::new(
            Text::fixed(
                "An NVIDIA driver is there, but CUDA's kernel compiler (NVRTC) is not",
                "已有 NVIDIA 驱动，但缺少 CUDA 内核编译器（NVRTC）",
            ),
            mend,
        ),
        Missing::Headers { root, names } => {
            let (root, names) = (root.display(), names.join(", "));
            Unusable::new(
                text!(
                    "CUDA's kernel compiler is in {root}, but its headers {names} are not",
                    "{root} 中有 CUDA 内核编译器，但缺少头文件 {names}"
                ),
                mend,
            )
        }
        Missing::TooNew { root, version, driver } => {
            let (root, version, driver) = (root.display(), version_name(*version), version_name(*driver));
            Unusable::new(
                text!(
                    "The CUDA toolkit in {root} is {version}, and the driver serves {driver} at most",
                    "{root} 中的 CUDA 工具包为 {version}，而驱动最高支持 {driver}"
                ),
                text!(
                    "update the driver, or run `{install}` in the active Python environment",
                    "请更新驱动，或在已激活的 Python 环境中运行 `{install}`"
                ),
            )
        }
    }
}

fn run_first_kernel(device: &Device) -> Result<(), Unusable> {
    gpu::run_first_kernel(device).map_err(|reason| {
        Unusable::new(
            text!(
                "An NVIDIA GPU is there, but a first kernel failed on it ({reason})",
                "有 NVIDIA 显卡，但首个内核运行失败（{reason}）"
            ),
            Text::fixed(
                "check that the CUDA toolkit suits the driver, and that the GPU's memory is not taken",
                "请检查 CUDA 工具包与驱动是否匹配，以及显存是否被占用",
            ),
        )
    })
}

fn report(device: &Device, index: u32) -> DeviceReport {
    let client = cubecl::Device::Cuda(CudaDevice::new(index as usize)).client();
    let memory_bytes = client.properties().memory.max_memory().unwrap_or(0);
    let note = (!device.supports_dtype(FloatDType::BF16)).then(|| {
        Text::fixed(
            "This GPU does not compute in bf16: `auto` is f32 on it",
            "该显卡不支持 bf16 计算：`auto` 将使用 f32",
        )
    });
    DeviceReport {
        kind: DeviceKind::Cuda,
        index,
        name: gpu::name(device, index, "CUDA GPU"),
        memory_bytes,
        note,
    }
}

/// The driver's management library, opened once; none where there is no driver.
fn management() -> Option<&'static Nvml> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    NVML.get_or_init(|| Nvml::init().ok()).as_ref()
}

/// The newest CUDA that the driver serves, as `1000 · major + 10 · minor`.
pub fn driver_version() -> Option<u32> {
    let version = management()?.sys_cuda_driver_version().ok()?;
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// The GPU as the driver knows it. It is found by its PCI address: CUDA's numbers follow `CUDA_VISIBLE_DEVICES` and
/// speed, the management library's follow the bus.
fn managed(device: &Device) -> Option<nvml_wrapper::Device<'static>> {
    let address = device.identity()?.physical?.pci_address?;
    management()?.device_by_pci_bus_id(address.to_string()).ok()
}

/// Bytes that the driver has left on this GPU.
pub fn driver_free(device: &Device) -> Option<u64> {
    managed(device)?.memory_info().ok().map(|memory| memory.free)
}

/// What the driver tells of a GPU while it works. Each figure is asked for on its own: drivers differ in what they
/// have.
pub struct Gauge {
    gpu: nvml_wrapper::Device<'static>,
}

impl Gauge {
    pub fn new(device: &Device) -> Option<Self> {
        managed(device).map(|gpu| Self { gpu })
    }

    /// Without what only this process knows.
    pub fn read(&self) -> DeviceStats {
        let memory = self.gpu.memory_info().ok();
        DeviceStats {
            memory_used: memory.as_ref().map_or(0, |memory| memory.used),
            memory_total: memory.as_ref().map_or(0, |memory| memory.total),
            utilization: self.gpu.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0),
            temperature_celsius: self.gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            // The driver counts milliwatts.
            power_watts: self.gpu.power_usage().ok().map(|power| f64::from(power) / 1000.0),
            ..DeviceStats::default()
        }
    }
}
